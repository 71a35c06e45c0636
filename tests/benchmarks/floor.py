"""The best that logs can know of a drawn market: what no learner can do better, nearly.

Run as ``python -m tests.benchmarks.floor [--markets 1,2] [--scale small] [--keep DIR]``. Each of
the last seven days is predicted from the clicks of all days before, by who knows the market's
structure and what each kind of effect is worth (`planted_structure`), and judged as
``make bench-peers`` judges: excess over the truth in 1e-5 nats, mixed, cold and warm.

The posterior is taken as normal around its mode, without covariances (Laplace's approximation);
heavy tails as a mixture of normal laws; a listing's wave as one of 50 days. So what is measured is
a little above the true floor.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import expit

from pipelines.models.joint_kernels import row_sums
from pipelines.models.segments import SEGMENTS
from pipelines.simulation.calibration import REFERENCE_DAYS
from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.draw_market import Scale
from pipelines.simulation.world import make_world
from tests.benchmarks.batch_optimum import batch_optimum, logits, scattered
from tests.benchmarks.peers.comparison import figures
from tests.benchmarks.peers.contenders import in_order
from tests.benchmarks.peers.markets import JUDGED_DAYS, Market, judged_rows, simulated
from tests.benchmarks.peers.measured import Cost
from tests.benchmarks.planted_structure import Structure, planted_structure

Floats = npt.NDArray[np.float64]

# The first day begins without variances; afterwards they hardly move from day to day.
_FIRST_ROUNDS = 4


@dataclass(frozen=True)
class Known:
    """What is known of the effects: the posterior's mode and variances, shape (p,) each."""

    mode: Floats
    variance: Floats


def prior_precision(structure: Structure, known: Known | None) -> Floats:
    """Of each effect, given what is known of it, shape (p,).

    Student's t with 4 degrees of freedom and variance T is a normal law whose precision, given the
    effect, is 5 / (2 T + effect^2) on the mean (Lange, Little and Taylor, JASA 1989).
    """
    variance = structure.deviation**2
    if known is None or not structure.is_heavy:
        return 1.0 / variance
    return 5.0 / (2.0 * variance + known.mode**2 + known.variance)


def learnt(
    structure: Structure, rows: npt.NDArray[np.bool_], clicked: npt.NDArray[np.uint8],
    before: Known | None = None,
) -> Known:  # fmt: skip
    """The posterior given some rows, from that of fewer rows if there is one.

    With small probabilities E exp(z) = exp(m + s^2 / 2): half of a row's variance is added to its
    logit, both here and in predictions, and the variances follow from the mode in rounds.
    """
    known = before
    index, labels = structure.rows[rows], clicked[rows]
    for _ in range(1 if before else _FIRST_ROUNDS):
        precision = prior_precision(structure, known)
        offset = structure.offset[rows]
        if known:
            offset = offset + 0.5 * row_variance(structure, index, known)
        mode = batch_optimum(
            index, labels, offset, precision, design=structure.design,
            start=known.mode if known else None,
        )  # fmt: skip
        p = expit(logits(index, offset, mode, structure.design))
        information = structure.design.squared @ scattered(
            index, p * (1.0 - p), structure.design.matrix.shape[0]
        )
        known = Known(mode, 1.0 / (precision + information))
    if known is None:
        raise AssertionError("at least one round")
    return known


def row_variance(structure: Structure, index: npt.NDArray[np.int32], known: Known) -> Floats:
    """Posterior variance of each row's logit, on the diagonal, shape (n,)."""
    variance = np.empty(len(index))
    row_sums(structure.design.squared.T @ known.variance, index, variance)
    return variance


def floor_by_day(
    structure: Structure, clicked: npt.NDArray[np.uint8], first: int
) -> Iterator[tuple[int, Floats]]:
    """Probabilities of the promoted rows of every day from a day on, by the days before it.

    Yields
    ------
    (int, numpy.ndarray of float64)
        Day index, and the probabilities in the order of the rows.
    """
    known: Known | None = None
    for day in range(first, int(structure.day[-1]) + 1):
        known = learnt(structure, structure.day < day, clicked, known)
        judged = (structure.day == day) & structure.is_promoted
        index, offset = structure.rows[judged], structure.offset[judged]
        logit = logits(index, offset, known.mode, structure.design)
        yield day, expit(logit + 0.5 * row_variance(structure, index, known))


def market_floor(market: Market) -> pa.Table:
    """impression_id and p of the judged rows of a simulated market."""
    truth = market.place / "truth"
    drawn = json.loads((truth / "market.json").read_text())
    config = SimulationConfig(**drawn["settings"], market=drawn["market"])
    world = make_world(config, max(config.days, *REFERENCE_DAYS))
    structure = planted_structure(world, config)
    # The truth of a day is in the order in which the simulator makes its rows.
    days = [pq.read_table(path, partitioning=None) for path in sorted(truth.glob("ds=*.parquet"))]
    rows = pa.concat_tables(days).select(["impression_id", "clicked"])
    clicked = rows["clicked"].cast(pa.uint8()).to_numpy()
    first = config.days - JUDGED_DAYS
    p = np.concatenate([p for _, p in floor_by_day(structure, clicked, first)])
    judged = (structure.day >= first) & structure.is_promoted
    ids = rows["impression_id"].filter(pa.array(judged))
    return pa.table({"impression_id": ids, "p": p})


def main() -> None:
    """Print a line a market."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--markets", default="1,2", metavar="SEEDS")
    parser.add_argument("--scale", choices=get_args(Scale), default="small")
    parser.add_argument("--keep", type=Path, help="work here, keep it, go on from what is there")
    given = parser.parse_args()
    print(f"{'market':12}{''.join(f'{segment:>9}' for segment in SEGMENTS)}{'p / truth':>11}")
    with tempfile.TemporaryDirectory() as temporary:
        for seed in given.markets.split(","):
            place = Path(given.keep or temporary).absolute() / f"{seed}-{given.scale}"
            market = simulated(int(seed), given.scale, place)
            rows = judged_rows(market)
            [p] = in_order("floor", market_floor(market), rows).values()
            found = figures(p, rows, Cost(0.0, 0))
            excess = "".join(f"{found.excess[segment] * 1e5:9.1f}" for segment in SEGMENTS)
            print(f"{market.name:12}{excess}{found.ratio['mixed']:11.3f}", flush=True)


if __name__ == "__main__":
    main()
