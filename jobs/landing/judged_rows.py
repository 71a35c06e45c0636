"""The rows of a log's days as `check-source` looks at them: judged once by Spark, then here.

Of each row what findings are made of: its ids, time and surface, and, as bits, which columns are
null, which inputs of the user's own features it has and why it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import duckdb
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.landing.feature_inputs import OwnInput
from pipelines.logs.reasons import CLICK_BEFORE_IMPRESSION, CLICK_WITHOUT_IMPRESSION, REASONS
from pipelines.logs.validation import REASONS as OF_ROW
from pipelines.logs.validation import with_checks
from schemas.logs import LOGS

_KEPT = ("impression_id", "click_id", "listing_id", "user_id", "surface", "ts")
_NAMES = tuple(REASONS)


def bit(reason: str) -> int:
    """The bit of `reasons` that says so."""
    return 1 << _NAMES.index(reason)


def judged_rows(
    rows: DataFrame, log: str, inputs: Sequence[OwnInput], max_string_bytes: int
) -> pa.Table:
    """Judge what a SELECT yields.

    Parameters
    ----------
    inputs : sequence of OwnInput
        Of this log.

    Returns
    -------
    pyarrow.Table
        Ids, `ts`, `surface`, `ds` where the log has them; `nulls`, `inputs` and `reasons`: bits, in
        the order of the columns, the inputs and the reasons. A row is refused where `reasons` is
        not 0.
    """
    # The exchange is what keeps a SELECT's expressions from being computed for each check that
    # names their column.
    spread = rows.repartition(rows.sparkSession.sparkContext.defaultParallelism)
    checked = with_checks(spread, log, max_string_bytes=max_string_bytes)
    columns = [column.name for column in LOGS[log]]
    has = [F.col("attributes").getItem(one.key) if one.key else F.col(one.column) for one in inputs]
    return checked.select(
        *(name for name in _KEPT if name in columns),
        "ds",
        _bits([F.col(name).isNull() for name in columns]).alias("nulls"),
        _bits([F.octet_length(value.cast("string")) > 0 for value in has]).alias("inputs"),
        _bits([F.array_contains(OF_ROW, reason) for reason in _NAMES]).alias("reasons"),
    ).toArrow()


def _bits(conditions: Sequence[Column]) -> Column:
    bits = [
        F.when(condition, F.lit(1 << place)).otherwise(F.lit(0)).cast("bigint")
        for place, condition in enumerate(conditions)
    ]
    return reduce(lambda a, b: a.bitwiseOR(b), bits, F.lit(0).cast("bigint"))


def with_matches(clicks: pa.Table, impressions: pa.Table) -> pa.Table:
    """Refuse clicks that match no accepted impression of their day or the day before, too.

    Of several impressions with the id the latest counts, as of `with_impression_day`.
    """
    with duckdb.connect() as connection:
        connection.register("clicks", clicks)
        connection.register("impressions", impressions)
        return connection.sql(
            f"""
            WITH numbered AS (SELECT *, row_number() OVER () AS place FROM clicks),
            shown AS (SELECT impression_id, ds, ts FROM impressions WHERE reasons = 0),
            matched AS (
              SELECT place, max({{'ds': shown.ds, 'ts': shown.ts}}) AS found
              FROM numbered JOIN shown USING (impression_id)
              WHERE date_diff('day', shown.ds, numbered.ds) BETWEEN 0 AND 1 GROUP BY place
            )
            SELECT numbered.* EXCLUDE (place, reasons), reasons
              | CASE WHEN found IS NULL AND impression_id <> '' THEN {bit(CLICK_WITHOUT_IMPRESSION)}
                     ELSE 0 END
              | CASE WHEN ts < found.ts THEN {bit(CLICK_BEFORE_IMPRESSION)} ELSE 0 END AS reasons
            FROM numbered LEFT JOIN matched USING (place)
            """  # noqa: S608
        ).to_arrow_table()
