"""Twelve faults of a click pipeline, each done to one day of a marketplace."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.step import Outcome, Step

Change = Callable[[pa.Table], pa.Table]
HOUR_US = 3_600_000_000


@dataclass(frozen=True)
class Fault:
    """What is done to a day, and what the checks should say has happened.

    Attributes
    ----------
    cause : str
        As in `conf/causes.toml`.
    land : callable
        Changes the landing files of the day.
    found_by : str
        The job after whose tables the fault can be seen.
    rewrite : tuple of (str, callable)
        After a job has written the day: how its table is changed, by `job.table`.
    replace : tuple of (str, callable)
        What a function of a job becomes, by `job.function`.
    """

    name: str
    cause: str
    found_by: str
    land: Callable[[Path, date], None] = lambda landing, day: None
    rewrite: tuple[tuple[str, Callable[[Step, pa.Table], pa.Table]], ...] = ()
    replace: tuple[tuple[str, Callable[[Any], Any]], ...] = ()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Let the jobs write what the fault makes of their rows."""
        with ExitStack() as stack:
            for name, change in self.rewrite:
                job, _, table = name.partition(".")
                module = importlib.import_module(f"jobs.{job}")
                stack.enter_context(patch.object(module, "run", _then(module.run, table, change)))
            for name, wrap in self.replace:
                job, _, function = name.partition(".")
                module = importlib.import_module(f"jobs.{job}")
                wrapped = wrap(getattr(module, function))
                stack.enter_context(patch.object(module, function, wrapped))
            yield


def _then(
    run: Callable[[Step], Outcome], table: str, change: Callable[[Step, pa.Table], pa.Table]
) -> Callable[[Step], Outcome]:
    def run_and_change(step: Step) -> Outcome:
        outcome = run(step)
        rows = step.tables.read_arrow(table, step.days)
        step.tables.write_arrow(table, change(step, rows), step.days)
        return outcome

    return run_and_change


def read_log(landing: Path, log: str, day: date) -> pa.Table:
    """All rows of a landed log's day."""
    files = sorted((landing / log / f"ds={day}").glob("*.parquet"))
    return pa.concat_tables([pq.ParquetFile(file).read() for file in files])


def change_log(landing: Path, log: str, day: date, change: Change) -> None:
    """Land a log's day again, changed."""
    changed = change(read_log(landing, log, day))
    folder = landing / log / f"ds={day}"
    for file in folder.glob("*.parquet"):
        file.unlink()
    pq.write_table(changed, folder / "part-00000.parquet")


def _clicks_of(landing: Path, day: date, change: Change) -> None:
    """Change the clicks on a day's impressions: those of the day, and of the night after."""
    for at in (day, day + timedelta(days=1)):
        change_log(landing, "clicks", at, change)


def _drop_clicks(landing: Path, day: date) -> None:
    _clicks_of(landing, day, lambda rows: rows.slice(0, 0))


def _halve_listings(landing: Path, day: date) -> None:
    change_log(landing, "listings", day, lambda rows: rows.take(np.arange(0, len(rows), 2)))


def _double_scores(step: Step, rows: pa.Table) -> pa.Table:
    doubled = pc.min_element_wise(pc.multiply(rows["p_click"], 2.0), 0.999)
    return rows.set_column(rows.schema.get_field_index("p_click"), "p_click", doubled)


def _double_a_category(score: Callable[..., Any]) -> Callable[..., Any]:
    """Twice the published probability for the traffic of the largest category."""

    def score_and_double(rows: pa.Table, *how: Any) -> Any:
        scored, fields = score(rows, *how)
        sizes = {v["values"]: v["counts"] for v in rows["category"].value_counts().to_pylist()}
        is_largest = pc.equal(rows["category"], max(sizes, key=lambda name: sizes[name]))
        factor = pc.if_else(pc.fill_null(is_largest, False), 2.0, 1.0)
        doubled = pc.min_element_wise(pc.multiply(scored["p_click"], factor), 0.999)
        at = scored.schema.get_field_index("p_click")
        return scored.set_column(at, "p_click", doubled), fields

    return score_and_double


def _drop_clicks_of_desktop(landing: Path, day: date) -> None:
    shown = read_log(landing, "impressions", day)
    lost = shown.filter(pc.equal(shown["device"], "desktop"))["impression_id"]
    _clicks_of(
        landing, day,
        lambda rows: rows.filter(pc.invert(pc.is_in(rows["impression_id"], lost.combine_chunks()))),
    )  # fmt: skip


def _drop_an_hour(landing: Path, day: date) -> None:
    """Impressions of an hour, with their clicks: the same collector writes both."""
    shown = read_log(landing, "impressions", day)
    is_lost = pc.equal(pc.hour(shown["ts"]), 14)
    lost = shown.filter(is_lost)["impression_id"].combine_chunks()
    change_log(landing, "impressions", day, lambda rows: rows.filter(pc.invert(is_lost)))
    _clicks_of(
        landing, day, lambda rows: rows.filter(pc.invert(pc.is_in(rows["impression_id"], lost)))
    )


def _weights_of_three_days_ago(table: str) -> Callable[[Step, pa.Table], pa.Table]:
    def change(step: Step, rows: pa.Table) -> pa.Table:
        (day,) = step.days
        older = step.tables.read_arrow(table, [day - timedelta(days=3)])
        at = older.schema.get_field_index("ds")
        return older.set_column(at, older.schema.field(at), pa.array([day] * len(older)))

    return change


def _leak_label(landing: Path, day: date) -> None:
    clicked = pa.concat_tables(
        [read_log(landing, "clicks", day), read_log(landing, "clicks", day + timedelta(days=1))]
    )["impression_id"].combine_chunks()

    def leak(rows: pa.Table) -> pa.Table:
        known = pc.is_in(rows["impression_id"], clicked).to_pylist()
        told = [
            [*pairs, ("seconds_on_page", str(30 + place % 60) if is_clicked else "0")]
            for place, (pairs, is_clicked) in enumerate(
                zip(rows["attributes"].to_pylist(), known, strict=True)
            )
        ]
        at = rows.schema.get_field_index("attributes")
        return rows.set_column(at, "attributes", pa.array(told, pa.map_(pa.string(), pa.string())))

    change_log(landing, "impressions", day, leak)


def _prices_in_cents(landing: Path, day: date) -> None:
    def change(rows: pa.Table) -> pa.Table:
        at = rows.schema.get_field_index("price")
        return rows.set_column(at, "price", pc.multiply(rows["price"], 100.0))

    change_log(landing, "listings", day, change)


def _send_robots(landing: Path, day: date) -> None:
    """One user that loads a page a second for ten minutes and clicks on three of five."""
    shown = read_log(landing, "impressions", day)
    rows = shown.take(np.arange(600) * (len(shown) // 600))
    start = pc.cast(pa.scalar(day), pa.timestamp("us", tz="UTC")).cast(pa.int64()).as_py()
    moments = start + 9 * HOUR_US + np.arange(600) * 1_000_000
    robot = {
        "impression_id": pa.array([f"robot-{day}-{n}" for n in range(600)]),
        "request_id": pa.array([f"robot-page-{day}-{n}" for n in range(600)]),
        "user_id": pa.array(["robot"] * 600),
        "ts": pa.array(moments).cast(rows.schema.field("ts").type),
    }
    for name, values in robot.items():
        rows = rows.set_column(rows.schema.get_field_index(name), name, values)
    change_log(
        landing, "impressions", day, lambda own: pa.concat_tables([own, rows.cast(own.schema)])
    )
    clicked = np.flatnonzero(np.arange(600) % 5 < 3)

    def click(own: pa.Table) -> pa.Table:
        made = pa.table(
            {
                "click_id": pa.array([f"robot-click-{day}-{n}" for n in clicked]),
                "impression_id": rows["impression_id"].take(clicked),
                "ts": pa.array(moments[clicked] + 500_000),
            }
        )
        return pa.concat_tables([own, made.cast(own.schema)])

    change_log(landing, "clicks", day, click)


def _delay_clicks(landing: Path, day: date) -> None:
    """Clicks that come more than an hour after their impression: three times as many."""
    shown = read_log(landing, "impressions", day)
    seen = dict(
        zip(shown["impression_id"].to_pylist(), shown["ts"].cast(pa.int64()).to_pylist(),
            strict=True)
    )  # fmt: skip

    def change(rows: pa.Table) -> pa.Table:
        times = np.array(rows["ts"].cast(pa.int64()).to_pylist())
        shown_at = np.array([seen.get(name, -1) for name in rows["impression_id"].to_pylist()])
        delay = times - shown_at
        hour = shown_at // HOUR_US % 24
        late = int(((shown_at >= 0) & (delay > HOUR_US)).sum())
        early = np.flatnonzero((shown_at >= 0) & (delay < HOUR_US // 60) & (hour < 17))
        chosen = early[:: max(1, len(early) // (2 * late))][: 2 * late]
        times[chosen] = shown_at[chosen] + HOUR_US + (np.arange(len(chosen)) % 5) * HOUR_US
        at = rows.schema.get_field_index("ts")
        return rows.set_column(at, "ts", pa.array(times).cast(rows.schema.field("ts").type))

    change_log(landing, "clicks", day, change)


def _number_positions_from_two(landing: Path, day: date) -> None:
    def change(rows: pa.Table) -> pa.Table:
        at = rows.schema.get_field_index("position")
        moved = pc.add(rows["position"], pa.scalar(1, rows.schema.field(at).type))
        return rows.set_column(at, "position", moved)

    change_log(landing, "impressions", day, change)


def _drop_clicks_of_an_hour(landing: Path, day: date) -> None:
    change_log(
        landing, "clicks", day,
        lambda rows: rows.filter(pc.not_equal(pc.hour(rows["ts"]), 14)),
    )  # fmt: skip


def _list_one_of_tomorrow(landing: Path, day: date) -> None:
    def change(rows: pa.Table) -> pa.Table:
        at = rows.schema.get_field_index("created_ts")
        times = rows["created_ts"].to_pylist()
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
        times[0] = midnight + timedelta(hours=3)
        return rows.set_column(at, "created_ts", pa.array(times, rows.schema.field(at).type))

    change_log(landing, "listings", day, change)


def _rename_listings(landing: Path, day: date) -> None:
    def change(rows: pa.Table) -> pa.Table:
        at = rows.schema.get_field_index("listing_id")
        named = pc.binary_join_element_wise("v2", rows["listing_id"].cast(pa.string()), "-")
        return rows.set_column(at, "listing_id", named)

    for log in ("impressions", "listings"):
        change_log(landing, log, day, change)


def _level_scores(step: Step, rows: pa.Table) -> pa.Table:
    at = rows.schema.get_field_index("p_click")
    return rows.set_column(at, "p_click", pa.array([0.05] * len(rows)))


def _drop_sampled_clicks(step: Step, rows: pa.Table) -> pa.Table:
    is_lost = pc.and_(rows["clicked"], pc.equal(pc.bit_wise_and(rows["order_key"], 3), 0))
    return rows.filter(pc.invert(is_lost))


STALE = tuple(
    (name, _weights_of_three_days_ago(name.partition(".")[2]))
    for name in ("train_models.model_weights", "train_joint.joint_weights")
)
FAULTS = (
    Fault("dead click stream", "clicks stopped arriving", "label_impressions", _drop_clicks),
    Fault(
        "half of the listings gone", "the number of live listings jumped", "ingest_logs",
        _halve_listings,
    ),
    Fault(
        "doubled scores", "scores jumped", "score_listings",
        rewrite=(("score_listings.listing_scores", _double_scores),),
    ),
    Fault(
        "one category off by 2", "promised and observed clicks differ", "evaluate_models",
        replace=(("evaluate_models._scored", _double_a_category),),
    ),
    Fault(
        "clicks of one device lost", "the click rate changed in a part of the traffic",
        "label_impressions", _drop_clicks_of_desktop,
    ),
    Fault("a missing hour", "an hour of impressions is missing", "ingest_logs", _drop_an_hour),
    Fault("stale model", "the model is stale", "train_joint", rewrite=STALE),
    Fault("leaked label", "a feature knows the label", "sample_training", _leak_label),
    Fault("prices in cents", "prices changed their unit", "ingest_logs", _prices_in_cents),
    Fault("a burst of robots", "a burst of robots", "label_impressions", _send_robots),
    Fault(
        "late clicks tripled", "clicks come later than they used to", "label_impressions",
        _delay_clicks,
    ),
    Fault(
        "a changed position numbering", "positions are numbered otherwise", "ingest_logs",
        _number_positions_from_two,
    ),
)  # fmt: skip
MORE_FAULTS = (
    Fault(
        "an hour of clicks lost", "an hour of clicks is missing", "ingest_logs",
        _drop_clicks_of_an_hour,
    ),
    Fault(
        "a snapshot taken late", "the snapshot of listings was taken late", "ingest_logs",
        _list_one_of_tomorrow,
    ),
    Fault(
        "ids in another format", "traffic moved to ids that were never learnt", "build_history",
        _rename_listings,
    ),
    Fault(
        "one score for all", "scores lost their detail", "score_listings",
        rewrite=(("score_listings.listing_scores", _level_scores),),
    ),
    Fault(
        "clicks dropped from the sample", "the sample does not stand for its day",
        "sample_training",
        rewrite=(("sample_training.training_samples", _drop_sampled_clicks),),
    ),
)  # fmt: skip
"""What some of the other checks are for."""
