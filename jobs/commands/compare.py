"""`promoted-ctr compare`: a side warehouse against the main one, on the same rows."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import date

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from jobs.commands.arguments import iso_date
from jobs.setup.config import Config
from jobs.setup.exits import ExitCode, InputMissing, UsageError
from jobs.storage.side import main_of
from jobs.storage.tables import Tables
from pipelines.models.judged import DIFFERENCE, Judged, MetricRow
from pipelines.models.metrics import evaluate
from pipelines.models.segments import COLD, SEGMENTS
from pipelines.quality.duck import connect

EXAMPLES = """examples:
  promoted-ctr run --side data/tried --set joint.strength=20   try it beside the warehouse
  promoted-ctr compare data/tried                              what it changes, last day of both
  promoted-ctr compare data/tried --start 2026-02-01 --end 2026-02-06

Both are judged on the promoted impressions that both have judged, by what each would have
published for them. Intervals are 95 %, by user; a difference whose interval holds 0 may be
chance."""

_SHOWN = (
    ("log loss, 10^-5", "log_loss", 1e5, 1),
    ("entropy, 10^-3", "normalized_entropy", 1e3, 1),
    ("AUC, %", "auc", 1e2, 2),
    ("promised/clicks", "calibration_ratio", 1.0, 3),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Own flags."""
    parser.epilog = EXAMPLES
    parser.add_argument("folder", metavar="DIR", help="the side warehouse, made by --side")
    parser.add_argument("--start", type=iso_date, metavar="A", help="first day to judge by")
    parser.add_argument("--end", type=iso_date, metavar="B", help="last day; default: of both")


def run(arguments: argparse.Namespace, config: Config, tables: Tables, console: Console) -> int:
    """Print both sides of every figure, and the difference with its interval."""
    main = main_of(arguments.folder)
    if not main:
        raise UsageError(f"{arguments.folder} is no side warehouse: `run --side DIR` makes one")
    pair = (Tables(main), Tables(arguments.folder))
    common = sorted(pair[0].days("scored_traffic") & pair[1].days("scored_traffic"))
    if not common:
        raise InputMissing("there is no day that both have judged: run a day with --side first")
    end = arguments.end or common[-1]
    start = arguments.start or end
    days = [day for day in common if start <= day <= end]
    if not days:
        raise InputMissing(f"both have judged {common[0]} to {common[-1]}, not {start} to {end}")
    rows = _joined(pair, days)
    judged = judged_pair(rows)
    span = str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"
    clicks = int(np.count_nonzero(judged.clicked))
    console.print(f"{span}: {rows.num_rows:,} impressions and {clicks:,} clicks of both")
    console.print(_table(evaluate(judged)))
    console.print(_scores(pair, days[-1]), highlight=False)
    return ExitCode.DONE


def judged_pair(rows: pa.Table) -> Judged:
    """Both probabilities of the same rows; the main one is what the other is compared with.

    Parameters
    ----------
    rows : pyarrow.Table
        user_key, clicked, segment, main, side.
    """
    values = {name: rows[name].to_numpy() for name in ("user_key", "main", "side")}
    clicked = rows["clicked"].to_numpy(zero_copy_only=False)
    is_cold = np.asarray(rows["segment"].to_pylist(), dtype=object) == COLD
    return Judged(
        clicked=clicked,
        user=values["user_key"],
        is_cold=is_cold,
        probabilities={"main": values["main"], "side": values["side"]},
        baseline="main",
    )


def _joined(pair: Sequence[Tables], days: Sequence[date]) -> pa.Table:
    columns = ["impression_id", "user_key", "clicked", "segment", "p_click", "ds"]
    main, side = (tables.read_arrow("scored_traffic", days, columns=columns) for tables in pair)
    with connect() as connection:
        connection.register("main_rows", main)
        connection.register("side_rows", side)
        return connection.sql(
            "SELECT m.user_key, m.clicked, m.segment, m.p_click AS main, s.p_click AS side "
            "FROM main_rows m JOIN side_rows s USING (impression_id, ds) "
            "ORDER BY ds, impression_id"
        ).to_arrow_table()


def _table(rows: Sequence[MetricRow]) -> Table:
    known = {(row.model, row.segment, row.metric): row for row in rows}
    table = Table(box=None, pad_edge=False)
    table.add_column("figure")
    for name in ("traffic", "main", "side", "side - main", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, metric, scale, digits in _SHOWN:
        for segment in SEGMENTS:
            main, side = (known.get((model, segment, metric)) for model in ("main", "side"))
            if main is None or side is None or main.value is None or side.value is None:
                continue
            change = known.get(("side", segment, metric + DIFFERENCE))
            if change is None:
                low, high, moved = side.low, side.high, side.value - main.value
            else:
                low, high, moved = change.low, change.high, change.value or 0.0
            of = "of side" if change is None else ""
            interval = (
                "" if low is None or high is None
                else f"{low * scale:.{digits}f} to {high * scale:.{digits}f} {of}".strip()
            )  # fmt: skip
            table.add_row(
                name if segment == "mixed" else "",
                segment,
                f"{main.value * scale:.{digits}f}",
                f"{side.value * scale:.{digits}f}",
                f"{moved * scale:+.{digits}f}",
                interval,
            )
    return table


def _scores(pair: Sequence[Tables], day: date) -> str:
    """How far the scores of listings are apart."""
    columns = ["listing_id", "p_click"]
    main, side = (tables.read_arrow("listing_scores", [day], columns=columns) for tables in pair)
    with connect() as connection:
        connection.register("m", main)
        connection.register("s", side)
        both, middle, most = connection.sql(
            "SELECT count(*), median(abs(s.p_click / m.p_click - 1)), "
            "quantile_cont(abs(s.p_click / m.p_click - 1), 0.95) FROM m JOIN s USING (listing_id)"
        ).fetchall()[0]
    if not both:
        return f"no listing has a score of {day} in both"
    return (
        f"scores of {day}: {both:,} listings in both; half of them move by more than "
        f"{middle:.1%}, one in twenty by more than {most:.1%}"
    )
