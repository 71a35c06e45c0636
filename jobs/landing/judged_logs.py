"""What Spark says of the rows of a log: accepted, or refused with every reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.landing.canonical_logs import YieldedLog, select_log
from jobs.setup.exits import QualityStop, UsageError
from jobs.step import Step
from pipelines.logs.click_matching import with_impression_day
from pipelines.logs.deduplication import count_ids, id_hash, with_duplicates_refused
from pipelines.logs.validation import REASONS, REFUSED, fractional_ids, raw_json, with_checks
from schemas.catalog import TABLES
from schemas.logs import ID_COLUMN


@dataclass(frozen=True)
class JudgedLog:
    """Rows of some days of a log with what is wrong with each.

    Attributes
    ----------
    log : str
    checked : DataFrame
        As of `with_duplicates_refused`.
    lines : DataFrame or None
        What was no row: ds, raw, reasons.
    rows : dict of date to int
        All rows and lines of each day.
    """

    log: str
    checked: DataFrame
    lines: DataFrame | None
    rows: dict[date, int]

    @property
    def accepted(self) -> DataFrame:
        """Columns of the log's table."""
        return self.checked.where(~F.col(REFUSED)).select(*TABLES[self.log].column_names)

    def refused(self, run_id: str) -> DataFrame:
        """Columns of `quarantine`."""
        rows = self.checked.where(REFUSED).select(
            "ds", raw_json().alias("raw"), F.col(REASONS).alias("reasons")
        )
        if self.lines is not None:
            rows = rows.unionByName(self.lines)
        return rows.withColumns({"log": F.lit(self.log), "run_id": F.lit(run_id)}).select(
            *TABLES["quarantine"].column_names
        )


def judge(step: Step, log: str, yielded: YieldedLog, days: Sequence[date]) -> JudgedLog:
    """Check what a SELECT yields for some days.

    Raises
    ------
    UsageError
        A column is of a type that cannot become the canonical one, or rows are of other days.
    QualityStop
        Ids are numbers with a fraction.
    """
    _require_whole_ids(step, log, yielded, days)
    rows, repeated = _count_ids(step, log, yielded, days)
    try:
        limit = step.config.ingest.max_string_bytes
        checked = with_checks(yielded.rows, log, max_string_bytes=limit)
    except AnalysisException as problem:
        raise UsageError(
            f"source {step.source.name}: {log}.sql yields a type that cannot become the canonical "
            f"one ({problem.getMessage()}); check-source says which and what to write"
        ) from None
    if log == "clicks":
        checked = with_impression_day(checked, impressions_in_reach(step, days))
    checked = with_duplicates_refused(checked, log, repeated)
    return JudgedLog(log, checked, yielded.refused, rows)


def _require_whole_ids(step: Step, log: str, yielded: YieldedLog, days: Sequence[date]) -> None:
    """Refuse the days whose ids would meet no other log's; one such day makes all look alike."""
    fractional = _fractional(yielded, log)
    if not fractional:
        return
    alone = {day: select_log(step.spark, step.source, log, [day]) for day in days}
    refused = [day for day, of in alone.items() if of and _fractional(of, log)] or days
    raise QualityStop(
        f"stopped by quality, nothing published: {log} of {', '.join(map(str, refused))}: "
        f"{fractional[0]} is a number with a fraction, 1.0 where other logs have 1, so nothing "
        f"joins: write CAST(CAST({fractional[0]} AS BIGINT) AS STRING) in {log}.sql of source "
        f"{step.source.name}, or mend the export",
        refused=refused,
    )


def _fractional(yielded: YieldedLog, log: str) -> list[str]:
    kinds = {field.name: field.dataType for field in yielded.rows.schema.fields}
    return fractional_ids(kinds, log)


def _count_ids(
    step: Step, log: str, yielded: YieldedLog, days: Sequence[date]
) -> tuple[dict[date, int], DataFrame | None]:
    """Rows per day, and the hashes of ids that may repeat."""
    no_id = F.lit(None).cast("bigint")
    has_id = ID_COLUMN[log] in yielded.rows.columns
    ids = yielded.rows.select("ds", (id_hash(log) if has_id else no_id).alias("id_hash"))
    if yielded.refused is not None:
        ids = ids.unionByName(yielded.refused.select("ds", no_id.alias("id_hash")))
    counted = count_ids(ids).toArrow()
    rows: dict[date, int] = dict(
        zip(counted["ds"].to_pylist(), counted["rows"].to_pylist(), strict=True)
    )
    for day in sorted(set(rows) - set(days)):
        raise UsageError(
            f"{log}.sql yields {rows[day]} rows of ds {day}, a day that the "
            "files read do not stand for: take ds from the raw view"
        )
    repeated = pc.list_flatten(counted["repeated"])
    if not len(repeated):
        return rows, None
    return rows, step.spark.createDataFrame(pa.table({"id_hash": repeated}))


def impressions_in_reach(step: Step, days: Sequence[date]) -> DataFrame:
    """Accepted impressions of these days and of the day before each.

    A day before that is not in the table yet is read from its landing files, so that it does not
    matter which day is made first.
    """
    reach = sorted({day - timedelta(days=back) for day in days for back in (0, 1)})
    known = step.tables.days("impressions") | set(step.days)
    shown = step.tables.read("impressions", [day for day in reach if day in known])
    columns = ["impression_id", "ts", "user_id", "listing_id", "ds"]
    unknown = [day for day in reach if day not in known]
    yielded = select_log(step.spark, step.source, "impressions", unknown)
    if yielded is None:
        return shown.select(*columns)
    judged = judge(step, "impressions", YieldedLog(yielded.rows, None), unknown)
    return shown.select(*columns).unionByName(judged.accepted.select(*columns))
