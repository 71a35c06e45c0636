"""What is to be said of a source: of its files, and of one day of each of its logs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from jobs.landing.canonical_logs import select_log
from jobs.landing.feature_inputs import OwnInput
from jobs.landing.judged_rows import judged_rows, with_matches
from jobs.landing.log_findings import Finding, Level, columns_of, rows_of
from jobs.landing.raw_files import first_line
from jobs.landing.sources import Source
from jobs.setup.exits import InputMissing, UsageError
from pipelines.logs.labels import LabelRules
from pipelines.logs.nobody import frequent_ids
from schemas.logs import LOGS

_FILES_NAMED = 5
_MOST, _HALF = 0.95, 0.5
"""Shares of impressions whose listing is known: below, it is worth a look, or wrong."""


def check_source(
    source: Source,
    spark: SparkSession,
    days: Sequence[date] | None = None,
    *,
    max_string_bytes: int = 4096,
    labels: LabelRules | None = None,
    inputs: Sequence[OwnInput] = (),
) -> list[Finding]:
    """Look at one day (or the days given) of every log of a source.

    Spark runs each SELECT once; what is to be said of its rows is counted here.

    Parameters
    ----------
    labels : LabelRules, optional
        What makes a user id nobody's; without it, none is looked for.
    inputs : sequence of OwnInput
        What the user's own features read.
    """
    findings: list[Finding] = []
    checked: dict[str, pa.Table] = {}
    for log in LOGS:
        landed = source.days(log)
        findings += [*_looked_at(source, log), *_unread(source, log, days)]
        if log not in source.logs or not landed:
            needed: Level = "wrong" if log == "impressions" else "look"
            where = source.landing.path(source.main_view(log).path) if log in source.logs else ""
            what = f"no file has landed as {where}" if where else "has no SELECT"
            findings.append(Finding(log, "", needed, what))
            continue
        last = source.last_complete_day()
        sample = days or [last if last in landed else landed[-1]]
        told = len(findings)
        try:
            yielded = select_log(spark, source, log, sample)
            if yielded is None:
                findings.append(Finding(log, "", "wrong", f"no file has landed for {sample[0]}"))
                continue
            findings += columns_of(log, yielded.rows)
            own = [one for one in inputs if one.log == log]
            checked[log] = judged_rows(yielded.rows, log, own, max_string_bytes)
            if log == "clicks" and "impressions" in checked:
                shown = _shown(source, spark, sample, checked["impressions"], max_string_bytes)
                checked[log] = with_matches(checked[log], shown)
            findings += rows_of(log, checked[log], yielded, sample)
            findings += _without_input(log, checked[log], own)
        except (UsageError, InputMissing) as problem:
            findings.insert(told, Finding(log, "", "wrong", str(problem)))
        except AnalysisException as problem:
            # Mostly told already, per column: a type that cannot be cast.
            if all(finding.level != "wrong" for finding in findings[told:]):
                findings.insert(told, Finding(log, "", "wrong", first_line(problem)))
            checked.pop(log, None)
    if "impressions" in checked:
        if labels is not None:
            findings += _nobody(checked["impressions"], labels)
        if "listings" in checked:
            findings += _partners(checked["impressions"], checked["listings"])
    return findings


def _looked_at(source: Source, log: str) -> list[Finding]:
    """Where the files of a log are looked for."""
    if log not in source.logs:
        return []
    places = []
    for name in source.spec.logs[log].views:
        files = len(source.view_files(name))
        counted = f"{files:,} file{'' if files == 1 else 's'}"
        places.append(f"{source.landing.path(source.spec.views[name].path)} ({counted})")
    return [Finding(log, "", "good", f"looked at {', '.join(places)}")]


def _without_input(log: str, rows: pa.Table, inputs: Sequence[OwnInput]) -> list[Finding]:
    """Features of the user's own whose input no accepted row has."""
    accepted = rows.filter(pc.equal(rows["reasons"], 0))
    if not len(accepted):
        return []
    (bits,) = _query("SELECT bit_or(inputs) FROM rows", rows=accepted)
    empty = [one for place, one in enumerate(inputs) if not bits[0] >> place & 1]
    return [Finding(log, one.name, "wrong", one.text) for one in empty]


def _query(sql: str, **tables: pa.Table) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        return connection.execute(sql).fetchall()


def _unread(source: Source, log: str, days: Sequence[date] | None) -> list[Finding]:
    """The files beside a log's that nothing reads."""
    files = source.unread(log, days)
    found: list[Finding] = []
    for why in dict.fromkeys(file.why for file in files):
        of_kind = [file for file in files if file.why == why]
        names = ", ".join(file.name for file in of_kind[:_FILES_NAMED])
        more = f" and {len(of_kind) - _FILES_NAMED} more" if len(of_kind) > _FILES_NAMED else ""
        size = sum(file.size for file in of_kind)
        text = f"{len(of_kind)} files ({size:,} bytes) are not read, {why}: {names}{more}"
        found.append(Finding(log, "", "look", text))
    return found


def _nobody(impressions: pa.Table, rules: LabelRules) -> list[Finding]:
    """User ids on more rows than a person's is."""
    accepted = impressions.filter(pc.equal(impressions["reasons"], 0))
    often = frequent_ids(accepted.select(["user_id"]), len(accepted), rules)
    most = sorted(often.items(), key=lambda item: (-item[1], item[0]))[:_FILES_NAMED]
    return [
        Finding(
            "impressions",
            "user_id",
            "look",
            f"{user[:40]!r} is on {rows / len(accepted):.1%} of the rows: taken for a "
            "visitor who is not known, not for one person; null says the same",
        )
        for user, rows in most
    ]


def _partners(impressions: pa.Table, listings: pa.Table) -> list[Finding]:
    """Whether the listings shown are in the listings' log."""
    ((rows, found, unknown, example),) = _query(
        """
        WITH known AS (SELECT DISTINCT listing_id FROM listings WHERE reasons = 0)
        SELECT count(*), count(known.listing_id),
          min(shown.listing_id) FILTER (known.listing_id IS NULL),
          (SELECT min(listing_id) FROM known)
        FROM shown LEFT JOIN known USING (listing_id) WHERE shown.reasons = 0
        """,
        shown=impressions,
        listings=listings,
    )
    if not rows or example is None:
        return []
    share = found / rows
    level: Level = "good" if share >= _MOST else "look" if share >= _HALF else "wrong"
    text = f"{share:.1%} of the impressions show a listing that the listings' log has"
    if level != "good":
        text += f"; it has no {str(unknown)[:40]!r}, but {example[:40]!r}"
    return [Finding("impressions", "listing_id", level, text)]


def _shown(
    source: Source,
    spark: SparkSession,
    days: Sequence[date],
    impressions: pa.Table,
    max_string_bytes: int,
) -> pa.Table:
    """Impressions of the days, which are known, and of the day before each."""
    before = sorted({day - timedelta(days=1) for day in days} - set(days))
    columns = ["impression_id", "ds", "ts", "reasons"]
    yielded = select_log(spark, source, "impressions", before)
    shown = impressions.select(columns)
    if yielded is None:
        return shown
    earlier = judged_rows(yielded.rows, "impressions", (), max_string_bytes)
    return pa.concat_tables([shown, earlier.select(columns)])
