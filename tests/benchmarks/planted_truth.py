"""How much of what logs can teach is learnt: a simulated marketplace against its planted truth.

Run as ``python -m tests.benchmarks.planted_truth [--seed N]``: simulates a marketplace, makes and
publishes its last days with ``promoted-ctr backfill``, and compares what would have been published
with the clicks and with the true click probabilities. Exits with 1 if a target is missed.

Excess log loss is the mean of KL(truth || p): the expected log loss of p over that of the true
probabilities, free of the chance of the clicks. The share removed is that of the baseline's
excess, a smoothed click rate times a position factor. No model removes all of it: a part of the
truth is in no log, and a listing's own quality only shows in clicks it has not had.

Which of two models is better in a segment is judged by the excess too: on the same rows it orders
models as their expected normalized entropy does, while the NE of a hundred cold clicks is chance
within its interval.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable
from scipy.special import rel_entr

from pipelines.models.metrics import Judged, MetricRow, evaluate
from pipelines.models.segments import COLD, MIXED, SEGMENTS, WARM, segment_masks

Floats = npt.NDArray[np.float64]

BASELINE, HISTORICAL, CONTENT, ENSEMBLE, PUBLISHED, TRUTH = (
    "baseline", "historical", "content", "ensemble", "published", "truth",
)  # fmt: skip
COLUMNS = {
    BASELINE: "p_baseline",
    HISTORICAL: "p_historical",
    CONTENT: "p_content",
    ENSEMBLE: "p_ensemble",
    PUBLISHED: "p_click",
}
REMOVED_AT_LEAST = 0.40
# A 95 % interval of a day's clicks leaves out what no log of the days before can know: the chance
# of the clicks learnt from, and where the market goes. Of seven days two may lie outside.
DAYS_OUTSIDE_AT_MOST = 2 / 7


@dataclass(frozen=True)
class Scored:
    """Judged traffic with its truth; one array entry an impression."""

    day: npt.NDArray[np.int32]
    clicked: npt.NDArray[np.bool_]
    user: npt.NDArray[np.int64]
    is_cold: npt.NDArray[np.bool_]
    truth: Floats
    probabilities: dict[str, Floats]

    def judged(self, rows: npt.NDArray[np.bool_], baseline: str) -> Judged:
        """Some rows as the evaluation takes them."""
        return Judged(
            clicked=self.clicked[rows],
            user=self.user[rows],
            is_cold=self.is_cold[rows],
            probabilities={name: p[rows] for name, p in self.probabilities.items()},
            baseline=baseline,
        )

    def excess(self, model: str, rows: npt.NDArray[np.bool_]) -> float:
        """Mean excess log loss of a model over the truth, in nats."""
        p, t = self.probabilities[model][rows], self.truth[rows]
        return float(np.mean(rel_entr(t, p) + rel_entr(1.0 - t, 1.0 - p)))


def command(*arguments: str) -> None:
    """Run a command of the project; its own messages tell what went wrong."""
    done = subprocess.run([sys.executable, "-m", "jobs", *arguments], check=False)
    if done.returncode:
        sys.exit(f"promoted-ctr {arguments[0]} ended with {done.returncode}")


def read(root: Path, truth: Path, days: list[date]) -> Scored:
    """What would have been published on some days, joined with the truth."""
    table = DeltaTable(root / "scored_traffic").to_pyarrow_table()
    table = table.filter(pc.is_in(table["ds"], pa.array(days, pa.date32())))
    columns = ["impression_id", "probability"]
    planted = pa.concat_tables(
        [pq.read_table(truth / f"ds={day}.parquet", columns=columns) for day in days]
    )
    rows = table.join(planted, "impression_id", join_type="inner").combine_chunks()
    rows = rows.sort_by([("ds", "ascending"), ("impression_id", "ascending")])
    if len(rows) != len(table) or sorted(set(rows["ds"].to_pylist())) != days:
        sys.exit(f"{len(table)} impressions scored, {len(rows)} of them known to the truth")

    def numbers(name: str) -> Floats:
        return np.asarray(rows[name].to_numpy(), dtype=np.float64)

    return Scored(
        day=rows["ds"].combine_chunks().cast(pa.int32()).to_numpy(),
        clicked=np.asarray(rows["clicked"].to_numpy(), dtype=bool),
        user=rows["user_key"].to_numpy(),
        is_cold=np.asarray(pc.equal(rows["segment"], COLD).to_numpy(), dtype=bool),
        truth=numbers("probability"),
        probabilities={model: numbers(column) for model, column in COLUMNS.items()},
    )


def interval(row: MetricRow, *, digits: int, scale: float = 1.0) -> str:
    """A value with its 95 % interval."""
    if row.value is None or row.low is None or row.high is None:
        return row.reason or "no interval"
    value, low, high = (f"{number * scale:.{digits}f}" for number in (row.value, row.low, row.high))
    return f"{value} [{low}, {high}]"


def of(rows: list[MetricRow], model: str, segment: str, metric: str) -> MetricRow:
    """One row of an evaluation."""
    return next(r for r in rows if (r.model, r.segment, r.metric) == (model, segment, metric))


def compare_segments(scored: Scored) -> Iterator[tuple[str, bool]]:
    """Print every model in every segment; yield the targets that segments set."""
    every = np.ones(len(scored.truth), dtype=bool)
    rows = evaluate(scored.judged(every, ENSEMBLE))
    masks = segment_masks(scored.is_cold)
    loss: dict[tuple[str, str], float] = {}
    for segment in SEGMENTS:
        mask = masks[segment]
        print(
            f"\n{segment}: {mask.sum()} impressions, {scored.clicked[mask].sum()} clicks, "
            f"{scored.truth[mask].sum():.0f} expected by the truth"
        )
        print(
            f"  {'model':11}{'NE':25}{'NE - ensemble':29}{'AUC %':22}"
            f"{'excess 1e-5':>12}{'removed':>9}{'p / truth':>11}"
        )
        worst = scored.excess(BASELINE, mask)
        for model in COLUMNS:
            excess = scored.excess(model, mask)
            loss[model, segment] = excess
            entropy = of(rows, model, segment, "normalized_entropy")
            difference = ""
            if model != ENSEMBLE:
                row = of(rows, model, segment, "normalized_entropy_difference")
                difference = interval(row, digits=4)
            area = interval(of(rows, model, segment, "auc"), digits=2, scale=100.0)
            ratio = scored.probabilities[model][mask].sum() / scored.truth[mask].sum()
            print(
                f"  {model:11}{interval(entropy, digits=4):25}{difference:29}{area:22}"
                f"{excess * 1e5:12.1f}{1 - excess / worst:9.1%}{ratio:11.3f}"
            )
    for segment in SEGMENTS:
        for model in (HISTORICAL, CONTENT):
            yield (
                f"the ensemble beats the {model} model, {segment}",
                loss[ENSEMBLE, segment] < loss[model, segment],
            )
    for segment, better, worse in ((WARM, HISTORICAL, CONTENT), (COLD, CONTENT, HISTORICAL)):
        yield (
            f"the {better} model beats the {worse} model, {segment}",
            loss[better, segment] < loss[worse, segment],
        )
    removed = 1 - scored.excess(PUBLISHED, every) / scored.excess(BASELINE, every)
    yield (
        f"published removes {removed:.1%} of the excess, at least {REMOVED_AT_LEAST:.0%}",
        (removed >= REMOVED_AT_LEAST),
    )


def compare_days(scored: Scored, days: list[date]) -> Iterator[tuple[str, bool]]:
    """Print calibration ratios per day, the truth's beside; yield the targets of calibration."""
    print(f"\n{'published, day':16}{'p / clicks':23}{'truth / clicks':23}", end="")
    print(f"{'p / truth':>10}{'removed':>9}")
    with_truth = replace(scored, probabilities={**scored.probabilities, TRUTH: scored.truth})
    outside: dict[str, list[bool]] = {PUBLISHED: [], TRUTH: []}
    shares = []
    for day, number in zip(days, np.unique(scored.day).tolist(), strict=True):
        mask = scored.day == number
        rows = evaluate(with_truth.judged(mask, BASELINE))
        ratios = {model: of(rows, model, MIXED, "calibration_ratio") for model in outside}
        for model, row in ratios.items():
            known = row.low is not None and row.high is not None
            outside[model].append(not (known and (row.low or 0) <= 1.0 <= (row.high or 0)))
        removed = 1 - scored.excess(PUBLISHED, mask) / scored.excess(BASELINE, mask)
        shares.append(scored.probabilities[PUBLISHED][mask].sum() / scored.truth[mask].sum())
        shown = "".join(f"{interval(row, digits=3):23}" for row in ratios.values())
        print(
            f"{day!s:16}{shown}{shares[-1]:10.3f}{removed:9.1%}"
            f"{'   1 lies outside' if outside[PUBLISHED][-1] else ''}"
        )
    spread = float(np.sqrt(np.mean(np.log(shares) ** 2)))
    print(f"p / truth is off by {spread:.1%} (root mean square of its logarithm)")
    yield (
        "1 lies within the last day's interval of the calibration ratio",
        not outside[PUBLISHED][-1],
    )
    count, chance = sum(outside[PUBLISHED]), sum(outside[TRUTH])
    yield (
        f"and outside on {count} of {len(days)} days (on {chance} for the truth itself), "
        f"at most {DAYS_OUTSIDE_AT_MOST:.0%}",
        count <= DAYS_OUTSIDE_AT_MOST * len(days),
    )


def main() -> int:
    """Simulate, publish, compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=37, help="days of logs")
    parser.add_argument("--judged-days", type=int, default=7, help="the last of them, published")
    parser.add_argument("--per-day", type=int, default=60_000, help="impressions of each surface")
    parser.add_argument(
        "--keep", type=Path, help="work here, keep it, and go on from what is there"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(given.keep or temporary)
        landing, truth, root = place / "landing", place / "truth", place / "warehouse"
        start = date(2026, 1, 1)
        last = start + timedelta(days=given.days - 1)
        days = [last - timedelta(days=back) for back in reversed(range(given.judged_days))]
        size = str(given.per_day)
        command(
            "simulate", "--seed", str(given.seed), "--start", str(start), "--days", str(given.days),
            "--search-per-day", size, "--promoted-per-day", size,
            "--landing", str(landing), "--truth", str(truth),
        )  # fmt: skip
        command(
            "backfill", "--start", str(days[0]), "--end", str(last), "--landing", str(landing),
            "--root", str(root), "--set", f"storage.reports={place / 'reports'}",
        )  # fmt: skip
        scored = read(root, truth, days)
        targets = [*compare_segments(scored), *compare_days(scored, days)]
    print()
    for target, met in targets:
        print(f"{'met   ' if met else 'MISSED'}  {target}")
    return 0 if all(met for _, met in targets) else 1


if __name__ == "__main__":
    sys.exit(main())
