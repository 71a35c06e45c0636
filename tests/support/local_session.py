"""What the jobs ask of a Spark session, in this process: units of work, one after the other.

With it a job runs without a Java machine, as long as it does nothing but spread units of work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

_TYPES = {"string": pa.string(), "date": pa.date32(), "bigint": pa.int64(), "long": pa.int64()}

Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class _Broadcast:
    value: Any

    def destroy(self) -> None:
        """There is nothing to let go of."""


@dataclass(frozen=True)
class _Context:
    defaultParallelism: int = 2  # noqa: N815

    def broadcast(self, value: Any) -> _Broadcast:
        """The value as it is."""
        return _Broadcast(value)


@dataclass(frozen=True)
class _Frame:
    rows: pa.Table

    def mapInArrow(self, kernel: Callable[[Batches], Batches], ddl: str) -> _Frame:  # noqa: N802
        """The rows that a kernel makes, by the names of the DDL."""
        columns = [column.split() for column in ddl.split(",")]
        schema = pa.schema([(name, _TYPES[kind]) for name, kind in columns])
        made = [batch.select(schema.names) for batch in kernel(iter(self.rows.to_batches()))]
        return _Frame(pa.Table.from_batches(made).cast(schema) if made else schema.empty_table())

    def toArrow(self) -> pa.Table:  # noqa: N802
        """The rows."""
        return self.rows


@dataclass(frozen=True)
class LocalSession:
    """A session of one process and no Java."""

    sparkContext: _Context = field(default_factory=_Context)  # noqa: N815

    def range(self, start: int, end: int, step: int = 1, slices: int = 1) -> _Frame:
        """The numbers as `id`."""
        return _Frame(pa.table({"id": pa.array(range(start, end, step), pa.int64())}))
