"""The whole state of the joint model at the end of a day, from its tables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from jobs.planning.joint_inputs import joint_spec
from jobs.setup.config import Config
from jobs.setup.exits import InputMissing, UsageError
from jobs.storage.day_reader import DayReader
from jobs.storage.tables import Tables
from pipelines.features.joint_registry import JointRegistry
from pipelines.models.joint_state import JointSpec, JointState
from pipelines.models.joint_tables import from_tables

JOINT_STATE = (
    "joint_runs",
    "joint_priors",
    "joint_state",
    "joint_contents",
    "joint_holdings",
    "joint_pairs",
)
"""Tables that hold the whole state of the joint model at the end of a day."""


def read_joint_state(
    tables: Tables, config: Config, registry: JointRegistry, day: date
) -> JointState:
    """The joint model's whole state at the end of a day: users, queries and all else.

    Parameters
    ----------
    registry : JointRegistry
        As of `known_registry`.

    Raises
    ------
    InputMissing
        It is not kept for that day.
    """
    kept = tables.days("joint_state")
    if day not in kept:
        newest = f"of {max(kept)} it is" if kept else "no day's is"
        raise InputMissing(
            f"the joint model's whole state of {day} is not kept ({newest}): "
            f"run `promoted-ctr train_joint --date {day} --force` first"
        )
    readers = {name: tables.day_reader(name, [day]) for name in JOINT_STATE}
    try:
        return stored_state(joint_spec(config, registry), readers, day)
    except ValueError as problem:
        raise UsageError(f"{problem}: give the settings that {day} was made with") from None


def stored_state(spec: JointSpec, readers: Mapping[str, DayReader], day: date) -> JointState:
    """The joint model's state from readers of `JOINT_STATE`, the coordinates some at a time.

    Raises
    ------
    ValueError
        It is of another registry or of other scales.
    """
    few = {name: read(day) for name, read in readers.items() if name != "joint_state"}
    return from_tables(spec, joint_state=readers["joint_state"].batches(day), **few)
