"""What is to be said of a source: of its files, and of one day of each of its logs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import SparkSession

from jobs.landing.canonical_logs import failed_select
from jobs.landing.feature_inputs import OwnInput
from jobs.landing.judged_rows import with_matches
from jobs.landing.log_findings import Finding, Level, columns_of, rows_of
from jobs.landing.looking import LookedAt, Looker, is_sampled
from jobs.landing.raw_files import first_line
from jobs.landing.sources import Source
from jobs.setup.exits import InputMissing, JobError, UsageError
from pipelines.logs.labels import LabelRules
from pipelines.logs.nobody import count_frequent
from pipelines.quality.duck import connect
from schemas.logs import LOGS

_FILES_NAMED = 5
_MOST, _HALF = 0.95, 0.5
"""Shares of impressions whose listing is known: below, it is worth a look, or wrong."""


def check_source(
    source: Source,
    session: Callable[[], SparkSession],
    day: date | None = None,
    *,
    max_string_bytes: int = 4096,
    labels: LabelRules | None = None,
    inputs: Sequence[OwnInput] = (),
) -> list[Finding]:
    """Look at one day of every log of a source.

    Spark runs a SELECT once, and none over files that have the canonical types; what is to be said
    of its rows is counted here.

    Parameters
    ----------
    session : callable
        Gives the session, where one is needed.
    day : datetime.date, optional
        Without it, the last that has impressions; of a log that has none then, its own last.
    labels : LabelRules, optional
        What makes a user id nobody's; without it, none is looked for.
    inputs : sequence of OwnInput
        What the user's own features read.

    Raises
    ------
    JobError
        No session can be started.
    """
    looker = Looker(source, _started(session), inputs, max_string_bytes)
    findings: list[Finding] = []
    checked: dict[str, LookedAt] = {}
    for log in LOGS:
        landed = source.days(log)
        findings += [*_looked_at(source, log), *_unread(source, log, day)]
        if log not in source.logs or not landed:
            needed: Level = "wrong" if log == "impressions" else "look"
            where = source.landing.path(source.main_view(log).path) if log in source.logs else ""
            what = f"no file has landed as {where}" if where else "has no SELECT"
            findings.append(Finding(log, "", needed, what))
            continue
        last = source.last_complete_day()
        at = day or (last if last in landed else landed[-1])
        try:
            findings += _of_log(looker, log, at, checked)
        except _NoSession as problem:
            raise problem.reason from None
    if "impressions" in checked:
        if labels is not None:
            findings += _nobody(checked["impressions"].rows, labels)
        if "listings" in checked:
            findings += _partners(checked["impressions"], checked["listings"])
    return findings


class _NoSession(Exception):
    """Why no session can be started, which is no finding of a source."""

    def __init__(self, reason: JobError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _started(session: Callable[[], SparkSession]) -> Callable[[], SparkSession]:
    def start() -> SparkSession:
        try:
            return session()
        except JobError as problem:
            raise _NoSession(problem) from problem

    return start


def _of_log(looker: Looker, log: str, day: date, checked: dict[str, LookedAt]) -> list[Finding]:
    """What is to be said of a log's day, which joins `checked` if it could be read."""
    findings: list[Finding] = []
    try:
        part = looker.one_in(log, day)
        looked = looker.look(log, day, part, lambda types: findings.extend(columns_of(log, types)))
        if looked is None:
            return [Finding(log, "", "wrong", f"no file has landed for {day}")]
        if log == "clicks" and "impressions" in checked:
            shown = _shown(looker, day, checked["impressions"])
            looked = replace(looked, rows=with_matches(looked.rows, shown))
        findings += rows_of(log, looked, day)
        findings += _without_input(log, looked.rows, looker.inputs)
        checked[log] = looked
    except (UsageError, InputMissing) as problem:
        findings.insert(0, Finding(log, "", "wrong", str(problem)))
    except AnalysisException as problem:
        # Mostly told already, per column: a type that cannot be cast.
        if all(finding.level != "wrong" for finding in findings):
            findings.insert(0, Finding(log, "", "wrong", first_line(problem)))
    except (PySparkException, Py4JJavaError) as problem:
        failed = failed_select(looker.source, problem)
        if failed is None:
            raise
        findings.append(Finding(log, "", "wrong", failed))
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


def _without_input(log: str, rows: pa.Table, every: Sequence[OwnInput]) -> list[Finding]:
    """Features of the user's own whose input no accepted row has."""
    inputs = [one for one in every if one.log == log]
    accepted = rows.filter(pc.equal(rows["reasons"], 0))
    if not len(accepted):
        return []
    (bits,) = _query("SELECT bit_or(inputs) FROM rows", rows=accepted)
    empty = [one for place, one in enumerate(inputs) if not bits[0] >> place & 1]
    return [Finding(log, one.name, "wrong", one.text) for one in empty]


def _query(sql: str, **tables: pa.Table) -> list[tuple[Any, ...]]:
    with connect() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        return connection.execute(sql).fetchall()


def _unread(source: Source, log: str, day: date | None) -> list[Finding]:
    """The files beside a log's that nothing reads."""
    files = source.unread(log, None if day is None else [day])
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
    often = count_frequent(accepted["user_id"], rules.most_impressions(len(accepted)), rules)
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


def _partners(impressions: LookedAt, listings: LookedAt) -> list[Finding]:
    """Whether the listings shown are in the listings' log."""
    shown = impressions.rows
    if listings.one_in > 1:
        shown = shown.filter(pa.array(is_sampled(shown["listing_id"], listings.one_in)))
    ((rows, found, unknown, example),) = _query(
        """
        WITH known AS (SELECT DISTINCT listing_id FROM listings WHERE reasons = 0)
        SELECT count(*), count(known.listing_id),
          min(shown.listing_id) FILTER (known.listing_id IS NULL),
          (SELECT min(listing_id) FROM known)
        FROM shown LEFT JOIN known USING (listing_id) WHERE shown.reasons = 0
        """,
        shown=shown,
        listings=listings.rows,
    )
    if not rows or example is None:
        return []
    share = found / rows
    level: Level = "good" if share >= _MOST else "look" if share >= _HALF else "wrong"
    text = f"{share:.1%} of the impressions show a listing that the listings' log has"
    if level != "good":
        text += f"; it has no {str(unknown)[:40]!r}, but {example[:40]!r}"
    return [Finding("impressions", "listing_id", level, text)]


def _shown(looker: Looker, day: date, impressions: LookedAt) -> pa.Table:
    """Impressions of the day, which are known, and of the day before."""
    columns = ["impression_id", "ds", "ts", "reasons"]
    shown = impressions.rows.select(columns)
    before = looker.look("impressions", day - timedelta(days=1), impressions.one_in)
    return shown if before is None else pa.concat_tables([shown, before.rows.select(columns)])
