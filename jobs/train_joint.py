"""Predict the day by the joint model of the day before, then learn it.

Grain: promoted impression for predictions; coordinate for the state. Days are learnt in order: the
state of a day is that of the day before and the day's rows, whatever range is made at once. Of a
range the whole state of its last two days is stored, and of every day what scoring needs; a day in
between is learnt again from the last stored state before it, to the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain

import numpy as np
import pyarrow as pa

from jobs.commands.job import job_main
from jobs.planning.joint_inputs import (
    day_registry,
    joint_registry,
    joint_spec,
    known_registry,
)
from jobs.planning.joint_states import JOINT_STATE, stored_state
from jobs.planning.model_days import CONTENTS, REFERENCES, ROWS, ModelDay
from jobs.setup.exits import leave
from jobs.step import DayRecord, Outcome, Step
from jobs.storage.contracts import arrow_schema
from jobs.storage.day_reader import DayReader
from jobs.storage.stored_parts import ONE_PART, Parts
from jobs.storage.task_writes import write_unit_tables
from pipelines.days import day_number, with_day
from pipelines.features.id_rows import unpacked
from pipelines.features.joint_patterns import both_keys
from pipelines.features.joint_registry import JointRegistry
from pipelines.memory import give_back_memory
from pipelines.models.joint import JointModel
from pipelines.models.joint_content import ordered_sum
from pipelines.models.joint_growth import grown
from pipelines.models.joint_predictions import JointPredictor
from pipelines.models.joint_state import JointSpec, JointState
from pipelines.models.joint_tables import (
    prior_rows,
    run_rows,
    state_tables,
    weight_rows,
)
from pipelines.parts import part_of_hashes

MADE = ("joint_predictions", "joint_weights", *JOINT_STATE)


@dataclass(frozen=True)
class _Work:
    """What the task is to do: which days to learn again, which to make, and from what."""

    start: JointSpec
    stored: date | None
    learnt: Mapping[date, ModelDay]
    made: frozenset[date]
    rows: DayReader
    references: DayReader
    contents: DayReader
    state: Mapping[str, DayReader]


def run(step: Step) -> Outcome:
    """Learn all days of the step in one task, in order."""
    days = list(step.days)
    stored = max((day for day in step.tables.days("joint_state") if day < days[0]), default=None)
    learnt = sorted(
        day
        for day in step.tables.days("joint_rows")
        if day <= days[-1] and (stored is None or day > stored)
    )
    start = joint_registry(step.config)
    if stored is not None:
        start = known_registry(step.config, step.tables, stored)
    reader = step.tables.day_reader
    work = _Work(
        joint_spec(step.config, start),
        stored,
        _day_models(step, start, learnt),
        frozenset(days),
        reader("joint_rows", learnt, ROWS),
        reader("joint_entities", learnt, REFERENCES),
        reader("joint_entities", learnt, CONTENTS),
        {name: reader(name, [stored] if stored else []) for name in JOINT_STATE},
    )
    # Where those read it who read a part of the traffic.
    of_traffic = Parts(
        step.tables.stored_parts("joint_rows", days),
        lambda rows, parts: part_of_hashes(rows["place_hash"].to_numpy(), parts),
        is_moved=False,
    )
    parts = {**dict.fromkeys(MADE, ONE_PART), "joint_predictions": of_traffic}
    write_unit_tables(step.tables, 1, lambda number: _learn(work), days, parts)
    return _outcome(step)


def _day_models(step: Step, start: JointRegistry, learnt: Sequence[date]) -> dict[date, ModelDay]:
    """The model of each day: it has all attributes that came until then."""
    stored = step.tables.read_arrow("joint_namespaces", learnt).to_pylist()
    known = start
    made: dict[date, ModelDay] = {}
    for day in learnt:
        own = day_registry(step.config, [row for row in stored if row["ds"] == day])
        known = known.with_keys(both_keys(known.keys, own.keys))
        made[day] = ModelDay.of(step.config, own, known)
    return made


def _learn(work: _Work) -> Iterator[tuple[str, pa.Table]]:
    """Learn day after day; yield rows of the tables."""
    # A worker comes with what the steps before have left free.
    give_back_memory()
    spec, state = work.start, JointState.new(work.start)
    if work.stored is not None:
        state = stored_state(spec, work.state, work.stored)
    for number, (day, own) in enumerate(work.learnt.items()):
        state, spec = grown(state, spec, own.spec), own.spec
        if not state.rows:
            state = _at_base(work, own, state, day)
        model = JointModel(spec, state, own.contents(work.contents, day))
        # Of a large warehouse these are as much as the model itself.
        del state
        # Nothing was known before the first rows: their own base rate is no prediction of them.
        if day in work.made and model.state.rows:
            for predicted in _predictions(work, model, day):
                yield "joint_predictions", predicted
        give_back_memory()
        for rows in own.learnt_rows(work.rows, day):
            model.learn(
                unpacked(rows.column("ids"), len(spec.rows)),
                np.asarray(rows.column("clicked").cast(pa.uint8())),
                rows.column("order_key").to_numpy(),
                offset=-np.log(rows.column("sampling_rate").to_numpy()),
            )
        state = model.end(day_number(day))
        del model
        give_back_memory()
        if day in work.made:
            # The day before the last too: the next run makes the last anew, with its late clicks.
            whole = number >= len(work.learnt) - 2
            yield from _tables(own, state, day, whole=whole)
    del state
    give_back_memory()


def _predictions(work: _Work, model: JointModel, day: date) -> Iterator[pa.Table]:
    """Predict the day by the model of the day before."""
    own = work.learnt[day]
    listings = own.references(work.references, day)
    predictor = JointPredictor(model, listings, own.spec.row_number("listing"))
    for rows in own.predicted_rows(work.rows, day):
        yield predictor.predict(rows).append_column("place_hash", rows.column("place_hash"))


def _at_base(work: _Work, own: ModelDay, state: JointState, day: date) -> JointState:
    """The state before the first rows, with their log odds of a click as what is expected."""
    clicks, others, constant = 0, 0.0, None
    for rows in own.learnt_rows(work.rows, day):
        clicked = np.asarray(rows.column("clicked").cast(pa.uint8()))
        clicks += int(np.count_nonzero(clicked))
        others += ordered_sum((1.0 - clicked) / rows.column("sampling_rate").to_numpy())
        if len(rows) and own.spec.base >= 0:
            constant = int(unpacked(rows.column("ids"), len(own.spec.rows))[0, own.spec.base])
    if constant is None:
        return state
    return state.at_base(own.spec, constant, math.log((clicks + 0.5) / (others + 0.5)))


def _tables(
    own: ModelDay, state: JointState, day: date, *, whole: bool
) -> Iterator[tuple[str, pa.Table]]:
    """Rows of the tables of a day; of the whole state where asked for."""
    spec = own.spec
    rows = {"joint_runs": run_rows(spec, state), "joint_priors": prior_rows(spec, state)}
    for name, few in rows.items():
        yield name, pa.Table.from_pylist([row | {"ds": day} for row in few], arrow_schema(name))
    made = (("joint_weights", table) for table in weight_rows(spec, state, own.served))
    for name, table in chain(made, state_tables(spec, state) if whole else ()):
        yield name, with_day(table, day)


def _outcome(step: Step) -> Outcome:
    runs = step.tables.read_arrow("joint_runs", step.days).to_pylist()
    outcome: Outcome = {}
    for day in step.days:
        own = [run for run in runs if run["ds"] == day]
        chosen = next(run for run in own if run["is_chosen"])
        keys = ("scale", "days", "rows", "clicks", "coordinates", "log_loss")
        outcome[day] = DayRecord(details={key: chosen[key] for key in keys})
    return outcome


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr train_joint``."""
    return job_main("train_joint", argv)


if __name__ == "__main__":
    leave(main())
