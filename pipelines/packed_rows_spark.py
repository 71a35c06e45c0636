"""Rows on their way from task to task: many in one value, which Spark moves as it is (Spark side).

Taken one by one, Spark turns every column of every row into its own form and back, twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pipelines.parts import Ints
from pipelines.units_spark import Batches, map_units

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Placed = Iterator[tuple[Ints, pa.Table]]
"""Rows, and the number of the place where each is to go."""

_PACKED_DDL = "partition int, place int, rows binary"
_PACKED = pa.schema([("partition", pa.int32()), ("place", pa.int32()), ("rows", pa.binary())])

# Ids repeat: a quarter of the bytes pass through Spark, for less than it costs to pass the others.
_COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4")

_VALUE_BYTES = 2**20
"""About so large is a value: small beside what a task holds, large beside what it costs to move."""


def moved_units(
    spark: SparkSession, count: int, run: Callable[[int], Placed], partitions: int
) -> DataFrame:
    """What tasks make of units of work, moved to its places.

    Parameters
    ----------
    run : callable
        Gives rows and their places for a unit's number; runs in a task.
    partitions : int
        How many partitions the places are dealt to, in turn: a task each.

    Returns
    -------
    DataFrame
        To be read by `unpacked_by_place`.
    """

    def pack(number: int) -> Batches:
        for place, rows in run(number):
            yield from _packed_by_place(rows, place, partitions)

    return map_units(spark, count, pack, _PACKED_DDL).repartitionById(partitions, "partition")


def runs_by_place(rows: pa.Table, place: Ints) -> Iterator[tuple[int, pa.Table]]:
    """The rows of each place, in their order, by ascending place."""
    order = np.argsort(place, kind="stable")
    ordered, places = rows.take(pa.array(order)), np.asarray(place)[order]
    if not len(places):
        return
    starts = np.flatnonzero(np.r_[True, places[1:] != places[:-1]]).tolist()
    for start, end in zip(starts, [*starts[1:], len(places)], strict=True):
        yield int(places[start]), ordered.slice(start, end - start)


def _packed_by_place(rows: pa.Table, place: Ints, partitions: int) -> Batches:
    step = max(1, int(_VALUE_BYTES * len(rows) / max(rows.nbytes, 1)))
    for at, own in runs_by_place(rows, place):
        for first in range(0, len(own), step):
            packed = {"partition": [at % partitions], "place": [at]}
            value = _packed(own.slice(first, step))
            yield pa.RecordBatch.from_pydict(packed | {"rows": [value]}, _PACKED)


def unpacked_by_place(batches: Batches, *, whole: bool) -> Iterator[tuple[int, pa.Table]]:
    """The rows again, with their place; all of a place at once if they are wanted whole."""
    kept: dict[int, list[pa.Table]] = defaultdict(list)
    for batch in batches:
        values = zip(batch.column("place").to_pylist(), batch.column("rows"), strict=True)
        for place, value in values:
            rows = pa.ipc.open_stream(value.as_buffer()).read_all()
            if whole:
                kept[place].append(rows)
            else:
                yield place, rows
    for place in list(kept):
        yield place, pa.concat_tables(kept.pop(place))


def _packed(rows: pa.Table) -> bytes:
    with BytesIO() as stream:
        with pa.ipc.new_stream(stream, rows.schema, options=_COMPRESSED) as writer:
            writer.write_table(rows)
        return stream.getvalue()
