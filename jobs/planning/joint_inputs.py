"""What jobs read of the joint model in the same way: registry, settings, reference, state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from jobs.planning.inputs import request_names
from jobs.setup.config import Config
from jobs.setup.exits import InputMissing, UsageError
from jobs.storage.tables import Tables
from pipelines.features.joint_reference import reference_ids
from pipelines.features.joint_registry import SURFACE, JointNamespace, JointRegistry
from pipelines.models.joint_state import ContentKind, JointSpec, RowNamespace, UsualColumns
from pipelines.models.joint_tables import ROW
from pipelines.scores.joint_scoring import JointWeights


def joint_registry(config: Config) -> JointRegistry:
    """The registered namespaces, those that the source adds last.

    Raises
    ------
    UsageError
        The registry is wrong.
    """
    registered = (*config.joint.namespaces, *config.joint.more)
    try:
        return JointRegistry([JointNamespace(**n.model_dump()) for n in registered])
    except ValueError as problem:
        raise UsageError(f"configuration: joint: {problem}") from None


def joint_spec(config: Config) -> JointSpec:
    """The joint model's namespaces and how its priors are learnt."""
    registry = joint_registry(config)
    joint = config.joint
    return JointSpec(
        tuple(RowNamespace(c.name, c.prior, c.learnt, c.walk) for c in registry.columns),
        tuple(ContentKind(c.name, c.of, c.prior) for c in registry.contents),
        joint.scales,
        joint.strength,
        joint.smallest,
        joint.content_days,
        joint.content_every,
        _usual_columns(registry),
    )


def _usual_columns(registry: JointRegistry) -> UsualColumns | None:
    usual = registry.usual
    if usual is None:
        return None
    cross = f"{SURFACE}_x_{usual.name}"
    entity, value, branch = (registry.column_number(name) for name in usual.inputs)
    return UsualColumns(
        usual.name,
        entity,
        value,
        branch,
        registry.column_number(usual.name),
        registry.column_number(cross),
        registry.column_number(SURFACE),
        cross,
    )


def joint_references(
    tables: Tables, config: Config, days: Sequence[date]
) -> dict[date, Mapping[str, int]]:
    """Ids of the reference context of each day, by what was frequent the day before."""
    registry = joint_registry(config)
    return {
        day: reference_ids(
            registry,
            request_names(tables, config, day - timedelta(days=1)),
            config.scoring.reference,
            day,
        )
        for day in days
    }


def held_days(config: Config, counted: set[date], day: date) -> tuple[int, int]:
    """How many counted days the search and promoted windows that end with a day hold."""
    history = config.history
    held = [at for at in counted if 0 <= (day - at).days < history.window_days]
    return (
        sum((day - at).days < history.search_days for at in held),
        sum((day - at).days < history.promoted_days for at in held),
    )


def read_joint_weights(tables: Tables, day: date) -> JointWeights:
    """What scoring needs of the joint model of a day.

    Raises
    ------
    InputMissing
        It has not been learnt.
    """
    runs = tables.read_arrow("joint_runs", [day]).to_pylist()
    scale = next((run["scale"] for run in runs if run["is_chosen"]), None)
    if scale is None:
        raise InputMissing(f"no joint model for {day}: run train_joint for it first")
    priors = tables.read_arrow("joint_priors", [day]).to_pylist()
    return JointWeights(
        tables.read_arrow("joint_weights", [day]),
        {
            row["namespace"]: row["variance"]
            for row in priors
            if row["scale"] == scale and row["level"] == ROW
        },
    )
