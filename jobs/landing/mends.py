"""Refused rows as a SELECT mends them, to be judged again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jobs.landing.select_bounds import refuse_reaching_out
from jobs.landing.select_problems import sql_problem
from jobs.setup.exits import UsageError
from jobs.step import Step
from pipelines.logs.reasons import INVALID_UTF8
from schemas.logs import LOGS

VIEW = "refused"
"""What a mending SELECT reads."""
NUMBER = "refused_row"
"""Number of a refused row of a day, which the SELECT keeps."""


@dataclass(frozen=True)
class Mend:
    """Which refused rows are judged again, and what is mended before.

    Attributes
    ----------
    selects : mapping of str to str
        A SELECT by log; logs without one are judged as they are.
    log, reason : str or None
        Only rows of this log, or refused for this reason.
    """

    selects: Mapping[str, str]
    log: str | None = None
    reason: str | None = None

    def concerns(self, log: str) -> bool:
        """Whether rows of a log are looked at."""
        return self.log in (None, log) and (not self.selects or log in self.selects)


def numbered(refused: DataFrame) -> DataFrame:
    """Refused rows with a number by day; equal rows may change places."""
    by_text = Window.partitionBy("ds").orderBy("raw", F.to_json("reasons"), "run_id")
    return refused.withColumn(NUMBER, F.row_number().over(by_text))


def mended(step: Step, log: str, refused: DataFrame, mend: Mend) -> DataFrame:
    """The refused rows that are looked at, as the SELECT yields them."""
    select = mend.selects.get(log)
    chosen = refused
    if mend.reason is not None:
        chosen = chosen.where(F.array_contains("reasons", mend.reason))
    if select is None:
        # What was no UTF-8 is kept with other letters in its place.
        chosen = chosen.where(~F.array_contains("reasons", INVALID_UTF8))
    names = [column.name for column in LOGS[log]]
    fields = T.StructType([T.StructField(name, T.StringType()) for name in names])
    view = chosen.select(
        *(F.from_json("raw", fields).getField(name).alias(name) for name in names),
        "raw", "reasons", NUMBER, "ds",
    )  # fmt: skip
    if select is None:
        return view.drop("raw", "reasons")
    yielded = _select(step, log, view, select)
    counted = yielded.groupBy(NUMBER, "ds").count().where("count > 1").limit(1).collect()
    if counted:
        raise UsageError(
            f"the SELECT of {log} makes {counted[0]['count']} rows of one refused row: "
            "rows come in once"
        )
    return yielded


def _select(step: Step, log: str, view: DataFrame, select: str) -> DataFrame:
    refuse_reaching_out(select, f"the SELECT of {log}")
    try:
        view.createOrReplaceTempView(VIEW)
        yielded = step.spark.sql(select)
        lacking = [name for name in (NUMBER, "ds") if name not in yielded.columns]
        if lacking:
            raise UsageError(f"the SELECT of {log} must keep {' and '.join(lacking)}")
        # Another ds would put the row into a day that is not made.
        return yielded.join(view.select(NUMBER, "ds"), [NUMBER, "ds"], how="left_semi")
    except (AnalysisException, ParseException) as problem:
        text, line = sql_problem(problem)
        at = f", line {line}" if line else ""
        raise UsageError(f"the SELECT of {log}{at}: {text}") from None
    finally:
        step.spark.catalog.dropTempView(VIEW)
