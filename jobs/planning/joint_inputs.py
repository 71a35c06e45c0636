"""What jobs read of the joint model in the same way: registry, settings, reference, state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.planning.inputs import assembler
from jobs.setup.config import Config
from jobs.setup.exits import InputMissing, UsageError
from jobs.storage.day_reader import DayReader, wanted
from jobs.storage.tables import Tables
from pipelines.features.feature_rows import one_batch
from pipelines.features.joint_checks import surface_cross
from pipelines.features.joint_days import stored_keys
from pipelines.features.joint_namespace import DENSE, SURFACE, JointNamespace
from pipelines.features.joint_patterns import keys_of
from pipelines.features.joint_registry import JointRegistry
from pipelines.features.joint_rows import JointAssembler
from pipelines.models.joint_state import (
    ContentKind,
    JointSpec,
    RowNamespace,
    UsualColumns,
)
from pipelines.scores.joint_scoring import JointWeights


def joint_registry(config: Config) -> JointRegistry:
    """The registered namespaces, those that the source adds last; patterns stand for nothing yet.

    Raises
    ------
    UsageError
        The registry is wrong.
    """
    registered = (*config.joint.namespaces, *config.joint.more)
    try:
        return JointRegistry(
            [JointNamespace(**n.model_dump()) for n in registered], config.joint.with_surface
        )
    except ValueError as problem:
        raise UsageError(f"configuration: joint: {problem}") from None


def check_registries(config: Config) -> None:
    """Refuse features that cannot be made, of any model, before any log is read.

    Raises
    ------
    UsageError
    """
    assembler(config, {})
    joint_registry(config)


def day_registry(config: Config, namespaces: Sequence[Mapping[str, object]]) -> JointRegistry:
    """The registry by which the rows of a day were made, from its rows of `joint_namespaces`."""
    return joint_registry(config).with_keys(stored_keys(namespaces))


def read_namespaces(tables: Tables, day: date) -> list[dict[str, object]]:
    """Rows of `joint_namespaces` of a day.

    Raises
    ------
    InputMissing
        There are none.
    """
    rows: list[dict[str, object]] = tables.read_arrow("joint_namespaces", [day]).to_pylist()
    if not rows:
        raise InputMissing(f"no joint rows for {day}: run build_joint_rows for it first")
    return rows


def joint_spec(config: Config, registry: JointRegistry) -> JointSpec:
    """The joint model's namespaces and how its priors are learnt."""
    joint = config.joint
    return JointSpec(
        tuple(RowNamespace(c.name, c.prior, c.learnt, c.walk) for c in registry.columns),
        tuple(ContentKind(c.name, c.of, c.prior, c.kind == DENSE) for c in registry.contents),
        joint.scales,
        joint.strength,
        joint.smallest,
        joint.largest,
        joint.content_days,
        joint.content_every,
        _usual_columns(registry),
        registry.base,
        registry.level,
        joint.level_days,
        joint.most_coordinates,
    )


def _usual_columns(registry: JointRegistry) -> UsualColumns | None:
    usual = registry.usual
    if usual is None:
        return None
    cross = surface_cross(usual.name)
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


def held_days(config: Config, counted: set[date], day: date) -> tuple[int, int]:
    """How many counted days the search and promoted windows that end with a day hold."""
    history = config.history
    held = [at for at in counted if 0 <= (day - at).days < history.window_days]
    return (
        sum((day - at).days < history.search_days for at in held),
        sum((day - at).days < history.promoted_days for at in held),
    )


@dataclass(frozen=True)
class JointWeightReader:
    """Reads what scoring needs of the joint model of a day: for some listings at a time.

    Attributes
    ----------
    weights : DayReader
        Of `joint_weights`.
    prior_variance : mapping of str to float
        As of `JointWeights`.
    """

    day: date
    weights: DayReader
    prior_variance: Mapping[str, float]

    @classmethod
    def of(cls, tables: Tables, day: date) -> JointWeightReader:
        """That of a day.

        Raises
        ------
        InputMissing
            The joint model of the day has not been learnt.
        """
        return cls(day, tables.day_reader("joint_weights", [day]), _prior_variance(tables, day))

    def of_listings(self, listings: pa.Table, assembler: JointAssembler) -> JointWeights:
        """What the scores of listings need, at any request."""
        ids = assembler.listing_ids(one_batch(listings))
        many = pa.array(sorted(ids), pa.string())
        own = pa.array(np.unique(np.concatenate([*ids.values(), np.empty(0, np.int64)])))

        def keep(rows: pa.Table) -> pa.Array:
            return pc.or_(pc.invert(pc.is_in(rows["namespace"], many)), pc.is_in(rows["id"], own))

        return JointWeights(self.weights.where(keep)(self.day), self.prior_variance)

    def of_requests(self, registry: JointRegistry) -> JointWeights:
        """What requests alone bring to a score."""
        names = [column.name for column in registry.columns if column.scope == "request"]
        own = self.weights.where(wanted(namespace=pa.array(names, pa.string())))
        return JointWeights(own(self.day), self.prior_variance)


def read_joint_weights(tables: Tables, day: date) -> JointWeights:
    """What scoring needs of the joint model of a day, of all listings.

    Raises
    ------
    InputMissing
        It has not been learnt.
    """
    prior_variance = _prior_variance(tables, day)
    return JointWeights(tables.read_arrow("joint_weights", [day]), prior_variance)


def _prior_variance(tables: Tables, day: date) -> dict[str, float]:
    runs = tables.read_arrow("joint_runs", [day]).to_pylist()
    scale = next((run["scale"] for run in runs if run["is_chosen"]), None)
    if scale is None:
        raise InputMissing(f"no joint model for {day}: run train_joint for it first")
    priors = tables.read_arrow("joint_priors", [day]).to_pylist()
    return {row["namespace"]: row["variance"] for row in priors if row["scale"] == scale}


def known_registry(config: Config, tables: Tables, day: date) -> JointRegistry:
    """The registry with all attributes that the joint model of a day knows."""
    registry = joint_registry(config)
    names = tables.read_arrow("joint_priors", [day])["namespace"].to_pylist()
    return registry.with_keys(keys_of(registry.registered, names))
