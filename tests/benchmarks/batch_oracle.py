"""The joint model against the optimum of its own posterior: what one pass in order loses.

Run as ``python -m tests.benchmarks.batch_oracle [--markets 1,2] [--scale small] [--keep DIR]``. The
oracle sees the same rows of the same days, keeps the same prior, content included, with the
variances that the product has learnt by then, and takes for each judged day the optimum over all
rows before it at once. It knows no walk. Printed as ``make bench-peers`` judges: excess over the
truth in 1e-5 nats, mixed, cold and warm.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import expit

from pipelines.features.ids import NONE
from pipelines.models.contents import Contents
from pipelines.models.joint import JointModel
from pipelines.models.joint_content import Design as Held
from pipelines.models.joint_content import units
from pipelines.models.joint_state import JointSpec
from pipelines.models.numbering import Numbering
from pipelines.models.segments import COLD, MIXED, SEGMENTS
from pipelines.simulation.draw_market import Scale
from tests.benchmarks.batch_optimum import Design, batch_optimum, logits
from tests.benchmarks.joint_market import (
    JointDay,
    JointMarket,
    Replayed,
    joint_market,
    learnt_days,
    pooled,
    promised,
)

Floats = npt.NDArray[np.float64]
Index = npt.NDArray[np.int32]


def compared(market: JointMarket) -> tuple[Replayed, Replayed]:
    """The joint model on the judged days, and its batch oracle."""
    oracle = _Oracle(market.spec)
    one_pass, at_once = [], []
    for day, model in learnt_days(market.spec, market.days):
        if market.is_judged(day):
            one_pass.append((day, promised(model, day)))
            at_once.append((day, oracle.predict(model, day)))
        oracle.see(model, day)
        state = model.state
    return pooled(one_pass, state), pooled(at_once, state)


@dataclass
class _Oracle:
    """All rows so far by coordinates that are numbered once, and yesterday's optimum."""

    spec: JointSpec
    numbers: Numbering = field(default_factory=lambda: Numbering(np.empty(0, np.int64)))
    contents: Numbering = field(default_factory=lambda: Numbering(np.empty(0, np.int64)))
    rows: list[Index] = field(default_factory=list)
    clicked: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    offset: list[Floats] = field(default_factory=list)
    optimum: tuple[Floats, Floats] = (np.empty(0), np.empty(0))

    def _numbered(self, model: JointModel, day: JointDay) -> Index:
        """Rows of a day, with the columns that the model fills in; its coordinates are added."""
        index = model.index(day.ids, add=True)
        ids = np.where(index >= 0, model.ids[index], NONE)
        columns = [self.numbers.add(np.ascontiguousarray(column)) for column in ids.T]
        return np.stack(columns, axis=1)

    def see(self, model: JointModel, day: JointDay) -> None:
        """Keep the rows of a day that is over."""
        self.rows.append(self._numbered(model, day)[day.is_learnt])
        self.clicked.append(day.clicked[day.is_learnt])
        self.offset.append(day.offset[day.is_learnt])

    def predict(self, model: JointModel, day: JointDay) -> Floats:
        """Probabilities of a day's promoted rows by the optimum over all days before."""
        own = self._numbered(model, day)[day.is_promoted]
        held = {name: self._placed(known) for name, known in model.contents.items()}
        precision, design = self._prior(model, held)
        size = self.numbers.count
        start = np.concatenate(
            [_extended(self.optimum[0], size), _extended(self.optimum[1], self.contents.count)]
        )
        effects = batch_optimum(
            np.concatenate(self.rows),
            np.concatenate(self.clicked),
            np.concatenate(self.offset),
            precision, design=design, start=start,
        )  # fmt: skip
        self.optimum = effects[:size], effects[size:]
        return np.asarray(expit(logits(own, np.zeros(len(own)), effects, design)))

    def _placed(self, known: Contents) -> sparse.coo_array:
        """From contents to the coordinates of their entities."""
        entity = np.repeat(self.numbers.add(known.ids), np.diff(known.offsets))
        return sparse.coo_array((known.values, (entity, self.contents.add(known.parts))))

    def _prior(self, model: JointModel, held: dict[str, sparse.coo_array]) -> tuple[Floats, Design]:
        """Precision of every effect by what is learnt, and from effects to coordinates."""
        posterior = model.state.posteriors[model.state.chosen]
        size, made = self.numbers.count, self.contents.count
        variance = np.ones(size)
        places = self.numbers.find(model.ids)
        variance[places[places >= 0]] = posterior.variance[model.namespace[places >= 0]]
        for name, known in model.contents.items():
            variance[self.numbers.find(known.ids)] = posterior.variance[self.spec.row_number(name)]
        content_variance = np.ones(made)
        for known in model.contents.values():
            columns = self.contents.find(known.parts)
            is_dense = np.zeros(made, dtype=np.bool_)
            is_dense[columns] = [self.spec.kinds[kind].is_dense for kind in known.kinds]
            unit = units(Held(known.offsets, columns, known.values), is_dense)
            content_variance[columns] = posterior.content_variance[known.kinds] / unit[columns] ** 2
        matrix = sparse.coo_array((size, made))
        for block in held.values():
            matrix += sparse.coo_array((block.data, block.coords), shape=(size, made))
        design = sparse.hstack([sparse.eye_array(size), matrix], format="csr")
        return 1.0 / np.concatenate([variance, content_variance]), Design.of(design)


def _extended(values: Floats, length: int) -> Floats:
    return np.concatenate([values, np.zeros(length - len(values))])


def main() -> None:
    """Print two lines a market."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--markets", default="1,2", metavar="SEEDS")
    parser.add_argument("--scale", choices=get_args(Scale), default="small")
    parser.add_argument("--keep", type=Path, help="work here, keep it, go on from what is there")
    given = parser.parse_args()
    print(
        f"{'market':12}{'learner':10}{''.join(f'{name:>8}' for name in SEGMENTS)}"
        f"{'p / truth':>11}{'cold':>8}"
    )
    with tempfile.TemporaryDirectory() as temporary:
        for seed in given.markets.split(","):
            market = joint_market(int(seed), given.scale, Path(given.keep or temporary))
            for name, made in zip(("one pass", "at once"), compared(market), strict=True):
                found = made.figures
                excess = "".join(f"{found.excess[segment] * 1e5:8.1f}" for segment in SEGMENTS)
                ratios = f"{found.ratio[MIXED]:11.3f}{found.ratio[COLD]:8.3f}"
                print(f"{market.market.name:12}{name:10}{excess}{ratios}", flush=True)


if __name__ == "__main__":
    main()
