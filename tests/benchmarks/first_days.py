"""What a young warehouse publishes: every day from the second on against rates by position.

``python -m tests.benchmarks.first_days --markets 401,402 --days 10``, and with ``--datasets DIR``
the public logs that `tests/support/young_logs.py` cuts into days. A day is judged by what would
have been published for it the day before; whether it was, the gates of the day before have said.
Of simulated days the truth is known, and normalized entropy is in expectation over it; of real ones
it is that of the clicks.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.setup.exits import QualityStop
from pipelines.models.entropy import click_rate_entropy
from pipelines.models.gain import Gain, gain_over_rates
from pipelines.models.judged import CALIBRATION_RATIO
from pipelines.simulation.draw_market import market_config
from tests.support.chain import Chain
from tests.support.world import World, day
from tests.support.young_logs import LOGS, young

FORMS = ("p_baseline", "p_joint", "p_click")


def main() -> None:
    """Print a line a day, and what all of them say."""
    parser = argparse.ArgumentParser(
        description=__doc__, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--markets", default="", help="seeds of drawn small markets")
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--datasets", type=Path, help="folder of the public logs")
    given = parser.parse_args()
    print("log day rows clicks baseline joint published difference ratio low high")
    lines: list[Line] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in (int(text) for text in given.markets.split(",") if text):
            own = Path(folder) / str(seed)
            world = World.make(own, market_config(seed, "small", days=given.days))
            chain = Chain(own / "warehouse", world.landing, settings=())
            days = [day(number) for number in range(2, given.days + 1)]
            lines += judge(f"market-{seed}", chain, days, own / "truth")
        for name in LOGS if given.datasets else ():
            chain, landed = young(name, given.datasets, Path(folder) / name)
            lines += judge(name, chain, landed[1:])
    told = {
        "judged days": lines,
        "days that passed their own gates": [line for line in lines if line.is_passed],
        "days served by published scores": [line for line in lines if line.is_served],
    }
    for what, own_lines in told.items():
        kept = sum(line.gap <= 0.002 for line in own_lines)
        held = sum(line.holds for line in own_lines)
        print(f"{len(own_lines)} {what}: {kept} at most .002 above the rates, "
              f"{held} whose interval holds 1")  # fmt: skip


@dataclass(frozen=True)
class Line:
    """What a day says.

    Attributes
    ----------
    gap : float
        Normalized entropy of what was made for the day above that of the rates.
    holds : bool
        Whether the interval of its calibration ratio holds 1.
    is_passed, is_served : bool
        Whether its own gates passed, and those of the day before.
    """

    gap: float
    holds: bool
    is_passed: bool
    is_served: bool


def publish(chain: Chain, days: Sequence[date]) -> set[date]:
    """The days that gates let through."""
    passed = set()
    for at in days:
        with suppress(QualityStop):
            chain.make("publish_scores", at)
            passed.add(at)
    return passed


def judge(name: str, chain: Chain, days: list[date], truth: Path | None = None) -> Iterator[Line]:
    """Make the days and print what each says."""
    chain.make("evaluate_models", *days)
    passed = publish(chain, days)
    held: list[pa.Table] = []
    for at in days:
        scored = chain.tables.read_arrow("scored_traffic", [at])
        clicked = np.asarray(scored["clicked"].combine_chunks()).astype(float)
        true = clicked
        if truth is not None:
            known = pq.read_table(truth / f"ds={at}.parquet")
            place = pc.index_in(
                scored["impression_id"].combine_chunks(), known["impression_id"].combine_chunks()
            )
            true = np.asarray(known["probability"].combine_chunks().take(place))
        losses = []
        for form in FORMS:
            p = np.asarray(scored[form])
            loss = -np.mean(true * np.log(p) + (1 - true) * np.log1p(-p))
            losses.append(float(loss / click_rate_entropy(true.sum(), len(true))))
        row = next(
            row for row in chain.tables.read_arrow("model_metrics", [at]).to_pylist()
            if row["model"] == "published" and row["segment"] == "mixed"
            if row["metric"] == CALIBRATION_RATIO
        )  # fmt: skip
        held.append(scored)
        gain = evidence(pa.concat_tables(held))
        low, high = row["low"], row["high"]
        holds = (low is None or low <= 1) and (high is None or high >= 1)
        gap = losses[2] - losses[0]
        figures = " ".join(f"{value:.4f}" for value in (*losses, gap))
        print(f"{name} {at} {len(true)} {clicked.sum():.0f} {figures}", row["value"], low, high,
              "" if holds else "off", "WORSE" if gap > 0.002 else "",
              "passed" if at in passed else "stopped",
              "proven" if gain.is_proven else "unproven", gain, flush=True)  # fmt: skip
        yield Line(gap, holds, at in passed, at - timedelta(days=1) in passed)


def evidence(scored: pa.Table) -> Gain:
    """What the joint model has gained over rates by position on all days so far."""
    p = np.asarray(scored["p_joint"])
    clicked = np.asarray(scored["clicked"])
    users = np.asarray(scored["user_key"])
    return gain_over_rates(np.log(p) - np.log1p(-p), scored, clicked, users)


if __name__ == "__main__":
    main()
