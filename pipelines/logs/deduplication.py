"""One row per id and day, without shuffling whole rows (Spark side)."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from pipelines.logs.reasons import DUPLICATE_ID
from pipelines.logs.validation import REASONS, REFUSED, raw_json
from schemas.logs import ID_COLUMN


def id_hash(log: str) -> Column:
    """64 bits of a day and an id of a log; rows without an id share one."""
    return F.xxhash64("ds", F.col(ID_COLUMN[log]).cast("string"))


def count_ids(ids: DataFrame) -> DataFrame:
    """Rows per day, and the hashes that more than one row of the day has.

    Parameters
    ----------
    ids : DataFrame
        ds, id_hash (long, null where a row has no place for an id).

    Returns
    -------
    DataFrame
        ds, rows (long), repeated (array of long). A hash is repeated by equal ids and, rarely, by
        chance: both only widen what `with_duplicates_refused` looks at.
    """
    # One long as the key and numbers only beside it: more keys would cost half as much again, and a
    # string would make Spark sort instead of hash.
    counted = ids.groupBy(F.coalesce("id_hash", F.xxhash64("ds")).alias("id_hash")).agg(
        F.count("*").alias("rows"), F.first("ds").alias("ds")
    )
    return counted.groupBy("ds").agg(
        F.sum("rows").alias("rows"),
        F.collect_list(F.when(F.col("rows") > 1, F.col("id_hash"))).alias("repeated"),
    )


def with_duplicates_refused(checked: DataFrame, log: str, repeated: DataFrame | None) -> DataFrame:
    """Refuse all but the first row of each id and day.

    The order is total: rows with nothing else wrong first, then by timestamp (where the log has
    one), then by the whole row as JSON.

    Parameters
    ----------
    checked : DataFrame
        What `with_checks` gives.
    repeated : DataFrame or None
        id_hash of ids that may repeat, unique; None where none does.

    Returns
    -------
    DataFrame
        The same columns.
    """
    if repeated is None:
        return checked
    hashed = checked.withColumn("id_hash", id_hash(log))
    single = hashed.join(repeated, "id_hash", how="left_anti")
    suspect = hashed.join(repeated, "id_hash", how="left_semi")
    by_time = [F.col("ts")] if "ts" in checked.columns else []
    first = Window.partitionBy("ds", ID_COLUMN[log]).orderBy(REFUSED, *by_time, raw_json())
    ranked = suspect.withColumn("_rank", F.row_number().over(first))
    is_later = (F.col("_rank") > 1) & F.coalesce(F.col(ID_COLUMN[log]) != "", F.lit(False))
    refused = ranked.withColumns(
        {
            REFUSED: F.col(REFUSED) | is_later,
            REASONS: F.when(is_later, F.concat(REASONS, F.array(F.lit(DUPLICATE_ID)))).otherwise(
                F.col(REASONS)
            ),
        }
    )
    return single.select(*checked.columns).unionByName(refused.select(*checked.columns))
