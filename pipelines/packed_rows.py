"""Rows on their way from task to task: many in one value, which Spark moves as it is.

Taken one by one, Spark turns every column of every row into its own form and back, twice: ten
times the cost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pyarrow as pa

from pipelines.parts import Ints
from pipelines.units_spark import Batches

PACKED_DDL = "place int, rows binary"
_PACKED = pa.schema([("place", pa.int32()), ("rows", pa.binary())])

_VALUE_BYTES = 2**20
"""About so large is a value: small beside what a task holds, large beside what it costs to move."""


def packed_by_place(rows: pa.Table, place: Ints) -> Batches:
    """Rows packed by where they are to go.

    Parameters
    ----------
    place : numpy.ndarray of int, shape (len(rows),)
        The number of a partition.

    Yields
    ------
    pyarrow.RecordBatch
        Columns of `PACKED_DDL`, one value at a time.
    """
    order = np.argsort(place, kind="stable")
    ordered, places = rows.take(pa.array(order)), np.asarray(place)[order]
    if not len(places):
        return
    starts = np.flatnonzero(np.r_[True, places[1:] != places[:-1]])
    step = max(1, int(_VALUE_BYTES * len(rows) / max(rows.nbytes, 1)))
    for start, end in zip(starts, [*starts[1:], len(places)], strict=True):
        for first in range(int(start), int(end), step):
            value = _packed(ordered.slice(first, min(step, int(end) - first)))
            yield pa.RecordBatch.from_pydict({"place": [places[first]], "rows": [value]}, _PACKED)


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
    for place, tables in kept.items():
        yield place, pa.concat_tables(tables)


def _packed(rows: pa.Table) -> bytes:
    # A slice would take the dictionaries and buffers of all rows with it.
    with BytesIO() as stream:
        with pa.ipc.new_stream(stream, rows.schema) as writer:
            writer.write_table(rows)
        return stream.getvalue()
