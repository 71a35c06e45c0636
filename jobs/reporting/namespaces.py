"""The joint model's registry of a day with what each namespace is worth, from stored tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.planning.joint_inputs import (
    day_registry,
    joint_spec,
    known_registry,
    read_namespaces,
)
from jobs.planning.joint_states import JOINT_STATE, stored_state
from jobs.setup.config import Config
from jobs.setup.exits import InputMissing
from jobs.storage.reading import Row
from jobs.storage.tables import Tables
from pipelines.features.feature_rows import one_batch
from pipelines.features.joint_columns import row_columns
from pipelines.features.joint_inputs import with_relative_price
from pipelines.features.joint_registry import JointRegistry, RowColumn
from pipelines.models.joint import JointModel
from pipelines.models.joint_growth import places_of, spread, with_kinds
from pipelines.models.joint_state import JointState
from pipelines.models.joint_tables import CONTENT, ROW, to_contents
from pipelines.models.namespace_figures import (
    Figures,
    content_figures,
    cross_collisions,
    row_figures,
    shared_ids,
    text_collisions,
)


@dataclass(frozen=True)
class NamespacesOf:
    """The registry of a day.

    Attributes
    ----------
    rows : list of dict
        One a namespace, those of rows before contents, each in the registry's order.
    left_out : list of dict
        namespace, scope and reason of what is left out of the day.
    coordinates, shared : int
        Coordinates of rows, and how many of them have the id of another one.
    scale : float
        Scale of the priors that the day after is predicted at.
    """

    ds: date
    scale: float
    coordinates: int
    shared: int
    rows: list[Row]
    left_out: list[Row]


def read_registry(tables: Tables, config: Config, ds: date | None) -> NamespacesOf:
    """Read a day's registry and take its model apart; the newest day by default.

    Raises
    ------
    InputMissing
        The joint model's state is not stored for that day; the message says for which it is.
    """
    known = tables.days("joint_state") if tables.exists("joint_state") else set()
    if not known:
        raise InputMissing(f"no joint model in {tables.root}: start with `promoted-ctr run`")
    day = ds or max(known)
    if day not in known:
        raise InputMissing(
            f"the joint model of {day} is not stored whole, that of "
            f"{', '.join(str(at) for at in sorted(known)[-3:])} is"
        )
    namespaces = read_namespaces(tables, day)
    stored = {name: tables.day_reader(name, [day]) for name in JOINT_STATE}
    registry = known_registry(config, tables, day)
    try:
        state = stored_state(joint_spec(config, registry), stored, day)
    except ValueError as problem:
        raise InputMissing(f"{day}: {problem}; run train_joint for it first") from None
    own = day_registry(config, namespaces)
    figures = _figures(tables, config, registry, own, state, day)
    scale = config.joint.scales[state.chosen]
    return NamespacesOf(
        day,
        scale,
        len(state.ids),
        shared_ids(state.ids),
        _rows(registry, figures, _priors(stored["joint_priors"](day), scale)),
        [
            {"namespace": n["namespace"], "scope": n["scope"], "reason": n["left_out"]}
            for n in namespaces
            if n["left_out"]
        ],
    )


def _figures(
    tables: Tables,
    config: Config,
    registry: JointRegistry,
    own: JointRegistry,
    state: JointState,
    day: date,
) -> dict[tuple[str, str], tuple[Figures | None, int | None]]:
    """Figures and collisions by level and namespace."""
    model = JointModel(joint_spec(config, registry), state, {})
    places = places_of([c.name for c in own.columns], [c.name for c in registry.columns])
    kinds = places_of([c.name for c in own.contents], [c.name for c in registry.contents])
    width = len(registry.columns)
    stored = tables.read_arrow("joint_rows", [day], columns=["ids"])["ids"]
    index = model.index(spread(row_columns(own, stored), places, width))
    crossed = cross_collisions(registry, index)
    shown = tables.read_arrow("labeled_impressions", [day])
    shown = one_batch(shown.filter(shown["is_valid_traffic"]))
    logs = {"request": shown, "listing": one_batch(_snapshot(tables, day))}

    def collisions(name: str) -> int | None:
        namespace = registry.by_name[name]
        rows = logs.get(namespace.scope)
        return None if rows is None else text_collisions(namespace, rows)

    found: dict[tuple[str, str], tuple[Figures | None, int | None]] = {}
    by_column = row_figures(model, index, state.chosen)
    for column, figures in zip(registry.columns, by_column, strict=True):
        is_own = not column.parts and not column.missing
        found[ROW, column.name] = (
            figures, collisions(column.name) if is_own else crossed.get(column.name),
        )  # fmt: skip
    entities = tables.read_arrow("joint_entities", [day])
    for entity in model.spec.entities:
        held = with_kinds(to_contents(entities, entity), kinds)
        by_kind = content_figures(model, index, held, model.spec.row_number(entity), state.chosen)
        for number, content in enumerate(registry.contents):
            if content.of == entity:
                found[CONTENT, content.name] = (by_kind.get(number), collisions(content.name))
    return found


def _snapshot(tables: Tables, day: date) -> pa.Table:
    return with_relative_price(tables.read_arrow("listings", [day]))


def _priors(table: pa.Table, scale: float) -> dict[tuple[str, str], Row]:
    own = table.filter(pc.equal(table["scale"], scale)).to_pylist()
    return {(row["level"], row["namespace"]): row for row in own}


def _rows(
    registry: JointRegistry,
    figures: dict[tuple[str, str], tuple[Figures | None, int | None]],
    priors: dict[tuple[str, str], Row],
) -> list[Row]:
    total = sum(row["coordinates"] for row in priors.values())
    described: list[tuple[str, str, dict[str, Any]]] = [
        (ROW, column.name, _column(column, registry)) for column in registry.columns
    ] + [
        (CONTENT, n.name, {"scope": n.of, "kind": n.kind, "inputs": list(n.inputs)})
        for n in registry.contents
    ]
    rows = []
    for level, name, what in described:
        found, collisions = figures.get((level, name), (None, None))
        prior = priors[level, name]
        rows.append(
            {
                "namespace": name,
                "level": level,
                **what,
                "coverage": found.coverage if found else 0.0,
                "values": found.values if found else 0,
                "registered": prior["registered"],
                "learnt": float(np.sqrt(prior["variance"])),
                "share": found.share if found else 0.0,
                "collisions": collisions,
                "coordinates": prior["coordinates"],
                "cost": prior["coordinates"] / total if total else 0.0,
            }
        )
    return rows


def _column(column: RowColumn, registry: JointRegistry) -> dict[str, Any]:
    registered = registry.by_name[column.registered]
    kind = "cross" if column.parts else "value" if column.missing else registered.kind
    inputs = column.parts or registered.inputs
    return {"scope": column.scope, "kind": kind, "inputs": list(inputs)}
