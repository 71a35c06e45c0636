"""A day of a source's logs, looked at: what its SELECTs yield, with every row judged.

Landing files of the canonical types are read by row groups, without Spark. Of a large day it is a
sample of the ids that is judged, so that what is held here does not grow with the day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jobs.landing.canonical_logs import select_log
from jobs.landing.feature_inputs import OwnInput
from jobs.landing.judged_rows import judged_batch, judged_frame, judged_schema
from jobs.landing.sources import Source
from jobs.landing.typed_days import day_rows, declared_columns, typed_days
from pipelines.logs.certain import Mask
from pipelines.logs.validation import MISSING
from schemas.logs import LOGS

LOOKED_BYTES = 2**25
"""Of a day whose files are larger, one id of so many is looked at that this much is left."""
_ANY_SIZE = 2**62
_SAMPLED_BY = {"impressions": "impression_id", "clicks": "impression_id", "listings": "listing_id"}
"""Of a sampled click the impression is sampled too."""


@dataclass(frozen=True)
class LookedAt:
    """A day of a log.

    Attributes
    ----------
    types : mapping of str to DataType
        What its SELECT yields.
    rows : pyarrow.Table
        As of `judged_schema`.
    lines : mapping of str to int
        Lines that were no rows, by reason.
    one_in : int
        Which part of the ids was looked at.
    """

    types: Mapping[str, T.DataType]
    rows: pa.Table
    lines: Mapping[str, int]
    one_in: int


@dataclass(frozen=True)
class Looker:
    """Looks at days of a source.

    Attributes
    ----------
    session : callable
        Gives the session; asked where rows do not come in the canonical types.
    inputs : sequence of OwnInput
        What the user's own features read.
    """

    source: Source
    session: Callable[[], SparkSession]
    inputs: Sequence[OwnInput]
    max_string_bytes: int

    def look(
        self,
        log: str,
        day: date,
        one_in: int,
        seen: Callable[[Mapping[str, T.DataType]], None] = lambda types: None,
    ) -> LookedAt | None:
        """Judge the rows of a day; None where no file has landed.

        Parameters
        ----------
        one_in : int
            Which part of the ids is looked at.
        seen : callable
            Told the types before a row is read.

        Raises
        ------
        UsageError, InputMissing
            As of `select_log`.
        """
        if day not in self.source.days(log):
            return None
        own = [one for one in self.inputs if one.log == log]
        typed = typed_days(self.source, log, [day], max_bytes=_ANY_SIZE).get(day)
        if typed is not None:
            known = {column.name: column.type for column in LOGS[log]}
            names = dict.fromkeys(name for file in typed for name in file.columns)
            types = {name: known.get(name, T.NullType()) for name in (*names, "ds")}
            seen(types)
            batches = (_sampled(batch, log, one_in) for batch in day_rows(log, typed))
            return LookedAt(types, self._judged(log, day, own, batches), {}, one_in)
        yielded = select_log(self.session(), self.source, log, [day])
        if yielded is None:
            return None
        types = {field.name: field.dataType for field in yielded.rows.schema.fields}
        seen(types)
        rows = _sampled_frame(yielded.rows, log, one_in)
        lines = {} if yielded.refused is None else _line_reasons(yielded.refused)
        there = [column for column in LOGS[log] if column.name in types]
        is_typed = all(types[c.name].simpleString() == c.type.simpleString() for c in there)
        if MISSING in types or not is_typed:
            judged = judged_frame(rows, log, own, self.max_string_bytes)
            return LookedAt(types, judged, lines, one_in)
        # Checks by Spark would cost as much as the SELECT.
        declared = declared_columns(log)
        # Nulls are what is looked for.
        columns = [(column.name, declared.field(column.name).type) for column in there]
        schema = pa.schema([*columns, ("ds", pa.date32())])
        batches = iter(rows.select(*schema.names).toArrow().cast(schema).to_batches())
        return LookedAt(types, self._judged(log, day, own, batches), lines, one_in)

    def one_in(self, log: str, day: date) -> int:
        """Which part of a log's ids is looked at: of impressions and clicks the same."""
        logs = ("listings",) if log == "listings" else ("impressions", "clicks")
        sizes = [
            sum(file.size for file in self.source.day_files(view, [day]))
            for name in logs
            if name in self.source.spec.logs
            for view in self.source.spec.logs[name].views[:1]
        ]
        return -(-max(sizes, default=0) // LOOKED_BYTES) or 1

    def _judged(
        self, log: str, day: date, own: Sequence[OwnInput], batches: Iterator[pa.RecordBatch]
    ) -> pa.Table:
        judged = (judged_batch(b, log, day, own, self.max_string_bytes) for b in batches)
        return pa.Table.from_batches(judged, judged_schema(log))


def is_sampled(ids: pa.Array | pa.ChunkedArray, one_in: int) -> Mask:
    """Which ids are looked at; of rows without one, every so many."""
    # Imported where it is used: its compiler takes a second to be loaded.
    from pipelines.features.xxhash import xxhash64

    kept = np.mod(xxhash64(pc.fill_null(ids, "")), one_in) == 0
    is_null = np.asarray(pc.is_null(ids))
    kept[is_null] = np.flatnonzero(is_null) % one_in == 0
    return kept


def _sampled(batch: pa.RecordBatch, log: str, one_in: int) -> pa.RecordBatch:
    if one_in == 1:
        return batch
    return batch.filter(pa.array(is_sampled(batch.column(_SAMPLED_BY[log]), one_in)))


def _sampled_frame(rows: DataFrame, log: str, one_in: int) -> DataFrame:
    name = _SAMPLED_BY[log]
    if one_in == 1 or name not in rows.columns:
        return rows
    key = F.col(name).cast("string")
    return rows.where(F.pmod(F.xxhash64(F.coalesce(key, _any_text(rows))), F.lit(one_in)) == 0)


def _any_text(rows: DataFrame) -> Column:
    """Something that differs from row to row, for rows without an id."""
    plain = [f.name for f in rows.schema.fields if isinstance(f.dataType, T.AtomicType)]
    return F.concat_ws("|", *(F.col(f"`{name}`").cast("string") for name in plain))


def _line_reasons(refused: DataFrame) -> dict[str, int]:
    exploded = refused.select(F.explode("reasons").alias("reason"))
    return {row["reason"]: row["count"] for row in exploded.groupBy("reason").count().collect()}
