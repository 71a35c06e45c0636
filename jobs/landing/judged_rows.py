"""The rows of a log's day as `check-source` looks at them: judged one by one, then made narrow.

Of each row what findings are made of: its ids, time and surface, and, as bits, which columns are
null, which inputs of the user's own features it has and why it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.landing.feature_inputs import OwnInput, with_value
from pipelines.logs.certain import reason_bit, refusals
from pipelines.logs.reasons import CLICK_BEFORE_IMPRESSION, CLICK_WITHOUT_IMPRESSION, REASONS
from pipelines.logs.validation import REASONS as OF_ROW
from pipelines.logs.validation import with_checks
from pipelines.quality.duck import connect
from schemas.logs import LOGS

_IDS = ("impression_id", "click_id", "listing_id", "user_id", "surface")


def judged_schema(log: str) -> pa.Schema:
    """Give the columns of judged rows.

    Ids, `ts` and `surface` where the log has them, `ds`; `nulls`, `inputs` and `reasons` are bits,
    in the order of the columns, the inputs and the reasons. A row is refused where `reasons` is
    not 0.
    """
    names = [column.name for column in LOGS[log]]
    ids = [(name, pa.string()) for name in _IDS if name in names]
    times = [("ts", pa.timestamp("us", "UTC"))] if "ts" in names else []
    bits = [(name, pa.int64()) for name in ("nulls", "inputs", "reasons")]
    return pa.schema([*ids, *times, ("ds", pa.date32()), *bits])


def judged_frame(
    rows: DataFrame, log: str, inputs: Sequence[OwnInput], max_string_bytes: int
) -> pa.Table:
    """Have Spark judge what a SELECT yields, of whatever types.

    Parameters
    ----------
    inputs : sequence of OwnInput
        Of this log.

    Returns
    -------
    pyarrow.Table
        As of `judged_schema`.
    """
    # The exchange is what keeps a SELECT's expressions from being computed for each check that
    # names their column.
    spread = rows.repartition(rows.sparkSession.sparkContext.defaultParallelism)
    checked = with_checks(spread, log, max_string_bytes=max_string_bytes)
    columns = [column.name for column in LOGS[log]]
    has = [F.col("attributes").getItem(one.key) if one.key else F.col(one.column) for one in inputs]
    schema = judged_schema(log)
    judged = checked.select(
        *(name for name in schema.names if name in checked.columns),
        _bits([F.col(name).isNull() for name in columns]).alias("nulls"),
        _bits([F.octet_length(value.cast("string")) > 0 for value in has]).alias("inputs"),
        _bits([F.array_contains(OF_ROW, reason) for reason in REASONS]).alias("reasons"),
    ).toArrow()
    return judged.select(schema.names).cast(schema)


def _bits(conditions: Sequence[Column]) -> Column:
    bits = [
        F.when(condition, F.lit(1 << place)).otherwise(F.lit(0)).cast("bigint")
        for place, condition in enumerate(conditions)
    ]
    return reduce(lambda a, b: a.bitwiseOR(b), bits, F.lit(0).cast("bigint"))


def judged_batch(
    batch: pa.RecordBatch,
    log: str,
    day: date,
    inputs: Sequence[OwnInput],
    max_string_bytes: int,
) -> pa.RecordBatch:
    """Judge rows of the canonical types, without Spark.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        Canonical columns as far as they are there, and `ds`, or rows of the day.
    """
    have = set(batch.schema.names)
    columns = {}
    nulls = np.zeros(len(batch), dtype=np.int64)
    for place, column in enumerate(LOGS[log]):
        values = batch.column(column.name) if column.name in have else pa.nulls(len(batch))
        if column.nullable and pa.types.is_string(values.type):
            # No text says as much.
            is_empty = pc.fill_null(pc.equal(pc.binary_length(values), 0), False)
            values = pc.if_else(is_empty, None, values)
        nulls |= np.asarray(pc.is_null(values)).astype(np.int64) << place
        columns[column.name] = values
    has = np.zeros(len(batch), dtype=np.int64)
    for place, one in enumerate(inputs):
        if one.column in have:
            has |= np.asarray(with_value(batch, one)).astype(np.int64) << place
    columns |= {
        "ds": batch.column("ds") if "ds" in have else pa.array([day] * len(batch), pa.date32()),
        "nulls": pa.array(nulls),
        "inputs": pa.array(has),
        "reasons": pa.array(refusals(batch, log, day, max_string_bytes=max_string_bytes)),
    }
    schema = judged_schema(log)
    arrays = [columns[field.name].cast(field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def with_matches(clicks: pa.Table, impressions: pa.Table) -> pa.Table:
    """Refuse clicks that match no accepted impression of their day or the day before, too.

    Of several impressions with the id the latest counts, as of `with_impression_day`.
    """
    without, before = reason_bit(CLICK_WITHOUT_IMPRESSION), reason_bit(CLICK_BEFORE_IMPRESSION)
    with connect() as connection:
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
              | CASE WHEN found IS NULL AND impression_id <> '' THEN {without} ELSE 0 END
              | CASE WHEN ts < found.ts THEN {before} ELSE 0 END AS reasons
            FROM numbered LEFT JOIN matched USING (place)
            """  # noqa: S608
        ).to_arrow_table()
