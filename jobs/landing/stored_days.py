"""Days of the logs judged again from what is stored: accepted rows, and refused ones as JSON.

For days whose landing files are gone, and for refused rows that a SELECT mends. A day is read at
the table versions that its last finished record names: an attempt that was killed half-way changes
nothing of what the next one reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import reduce

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.landing.judged_logs import impressions_in_reach
from jobs.landing.mends import NUMBER, Mend, mended, numbered
from jobs.setup.exits import InputMissing
from jobs.step import Step
from jobs.storage.task_writes import frame_files, write_frame
from pipelines.logs.click_matching import with_impression_day
from pipelines.logs.deduplication import id_hash, with_duplicates_refused
from pipelines.logs.reasons import DUPLICATE_ID
from pipelines.logs.validation import RAW, REASONS, REFUSED, raw_json, with_checks
from schemas.catalog import TABLES
from schemas.logs import ID_COLUMN, LOGS

Versions = Mapping[date, Mapping[str, int]]
"""Delta version of each table by day."""


@dataclass(frozen=True)
class JudgedAgain:
    """A log's days after they were judged again.

    Attributes
    ----------
    accepted : DataFrame
        Columns of the log's table.
    refused : DataFrame
        Columns of `quarantine`.
    rows_in, rows_out : dict of date to int
        Refused rows that came in, and accepted ones that are refused now.
    cached : tuple of DataFrame
        What both frames and both counts are made of, to be let go of when they are written.
    """

    log: str
    accepted: DataFrame
    refused: DataFrame
    rows_in: dict[date, int]
    rows_out: dict[date, int]
    cached: tuple[DataFrame, ...] = ()

    @property
    def has_changed(self) -> bool:
        """Whether any row has changed sides."""
        return bool(self.rows_in or self.rows_out)


def judge_again(
    step: Step, log: str, versions: Versions, mend: Mend, *, with_accepted: bool
) -> JudgedAgain:
    """Judge the stored rows of some days of a log by the rules as they are now.

    Parameters
    ----------
    with_accepted : bool
        Whether accepted rows are judged too; not of a day that is up to date, of which the rules
        have not changed.

    An accepted row keeps its id: a refused one with the same id stays refused. A refused row that
    stays so is kept as it is, with its reasons and the run that refused it.

    Raises
    ------
    UsageError
        A SELECT is not understood, lacks `refused_row` or ds, or makes several rows of one.
    InputMissing
        A version is no longer there.
    """
    limit = step.config.ingest.max_string_bytes
    columns = TABLES[log].column_names
    stored = _read(step, log, versions)
    refused = numbered(_read(step, "quarantine", versions).where(F.col("log") == log))
    again = with_checks(mended(step, log, refused, mend), log, max_string_bytes=limit)
    shown = impressions_in_reach(step, sorted(versions)) if log == "clicks" else None
    if shown is not None:
        again = with_impression_day(again, shown)
    kept, lost, cached = stored, None, []
    if with_accepted:
        names = [column.name for column in LOGS[log]]
        checked = with_checks(stored.select(*names, "ds"), log, max_string_bytes=limit)
        if shown is not None:
            checked = with_impression_day(checked, shown)
        checked = checked.persist()
        kept, lost, cached = checked.where(~F.col(REFUSED)), checked.where(REFUSED), [checked]
    again = _without_known_ids(again, kept, log).persist()
    taken = again.where(~F.col(REFUSED))
    left = refused.join(
        taken.select(F.col(f"{RAW}.{NUMBER}").alias(NUMBER), "ds"), [NUMBER, "ds"], how="left_anti"
    ).select(*TABLES["quarantine"].column_names)
    if lost is not None:
        newly = lost.select(
            F.lit(log).alias("log"), raw_json().alias("raw"), F.col(REASONS).alias("reasons"),
            F.lit(step.run_id).alias("run_id"), "ds",
        )  # fmt: skip
        left = left.unionByName(newly)
    return JudgedAgain(
        log,
        kept.select(*columns).unionByName(taken.select(*columns)),
        left,
        _by_day(taken),
        {} if lost is None else _by_day(lost),
        (*cached, again),
    )


def _read(step: Step, name: str, versions: Versions) -> DataFrame:
    """Days of a table, each at its version."""
    by_version: dict[int, list[date]] = {}
    for day, of_day in versions.items():
        if name in of_day:
            by_version.setdefault(of_day[name], []).append(day)
    none = step.spark.createDataFrame([], TABLES[name].frame_struct)
    parts = []
    for version, days in sorted(by_version.items()):
        try:
            frame = (
                step.spark.read.format("delta")
                .option("versionAsOf", version)
                .load(step.tables.path(name))
            )
        except AnalysisException as problem:
            raise InputMissing(
                f"version {version} of {name} is gone, of which {days[0]} was made: land its files"
            ) from problem
        parts.append(frame.where(F.col("ds").isin(days)).select(*TABLES[name].column_names))
    return reduce(DataFrame.unionByName, parts, none)


def _without_known_ids(again: DataFrame, accepted: DataFrame, log: str) -> DataFrame:
    """Refuse rows whose id an accepted row has, and all but the first of those with one id."""
    key = ID_COLUMN[log]
    known = accepted.select(key, "ds", F.lit(True).alias("_known"))
    columns = again.columns
    joined = again.join(known, [key, "ds"], how="left")
    is_known = F.coalesce(F.col("_known"), F.lit(False))
    reasons = F.when(is_known, F.concat(REASONS, F.array(F.lit(DUPLICATE_ID)))).otherwise(
        F.col(REASONS)
    )
    marked = joined.withColumns({REASONS: reasons, REFUSED: F.col(REFUSED) | is_known})
    hashes = again.select(id_hash(log).alias("id_hash")).distinct()
    return with_duplicates_refused(marked.select(*columns), log, hashes)


def _by_day(rows: DataFrame) -> dict[date, int]:
    return {row["ds"]: row["count"] for row in rows.groupBy("ds").count().collect()}


def take_in(
    step: Step,
    versions: Versions,
    mend: Mend,
    begin: Callable[[], None] = lambda: None,
    *,
    with_accepted: bool = False,
) -> dict[str, JudgedAgain]:
    """Judge stored rows of some days again and write what has changed.

    Parameters
    ----------
    with_accepted : bool
        As of `judge_again`; and what has not changed is written too, for whoever was killed may
        have left something else.
    begin : callable
        Called once before the first table is written, and not at all where no row changes sides.

    Returns
    -------
    dict of str to JudgedAgain
        The logs that have changed.
    """
    days = sorted(versions)
    changed: dict[str, JudgedAgain] = {}
    for log in LOGS:
        if log == "clicks" and "impressions" in changed:
            # Clicks that only lacked these impressions come in with them.
            mend = Mend({name: text for name, text in mend.selects.items() if name == log})
        elif not mend.concerns(log):
            continue
        judged = judge_again(step, log, versions, mend, with_accepted=with_accepted)
        if judged.has_changed or with_accepted:
            if not changed:
                begin()
            files = frame_files(step.tables, log, judged.accepted.repartition("ds"))
            step.tables.commit(log, files, days)
            changed[log] = judged
    if changed:
        others = _read(step, "quarantine", versions).where(~F.col("log").isin(list(changed)))
        parts = [judged.refused for judged in changed.values()]
        whole = reduce(DataFrame.unionByName, parts, others)
        write_frame(step.tables, "quarantine", whole.repartition("ds"), days)
    for judged in changed.values():
        for frame in judged.cached:
            frame.unpersist()
    return changed
