"""What the jobs ask of a Spark session, done in this process: no Java, one task after the other.

It does what `pipelines.units_spark` does with units of work. That results hold on any number of
partitions and in other processes is for the tests that start Spark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

Batches = Iterator[pa.RecordBatch]
_TYPES = {
    "array<bigint>": pa.list_(pa.int64()), "bigint": pa.int64(), "binary": pa.binary(),
    "date": pa.date32(), "int": pa.int32(), "long": pa.int64(), "string": pa.string(),
}  # fmt: skip


@dataclass(frozen=True)
class Shared:
    """A value that tasks read."""

    value: Any

    def destroy(self) -> None:
        """Nothing was sent."""


@dataclass(frozen=True)
class LocalContext:
    """The context of a session."""

    defaultParallelism: int = 2  # noqa: N815
    _jvm: None = None

    def broadcast(self, value: Any) -> Shared:
        """Keep a value."""
        return Shared(value)


@dataclass(frozen=True)
class LocalFrame:
    """Batches of a frame, made at once."""

    sparkSession: LocalSpark  # noqa: N815
    batches: Sequence[pa.RecordBatch]
    schema: pa.Schema

    def mapInArrow(  # noqa: N802
        self, run: Callable[[Batches], Batches], ddl: str | StructType
    ) -> LocalFrame:
        """What a task makes of each batch."""
        schema = _schema(ddl)
        made = [out.select(schema.names) for batch in self.batches for out in run(iter([batch]))]
        return LocalFrame(self.sparkSession, [out.cast(schema) for out in made], schema)

    def repartitionById(self, count: int, column: str) -> LocalFrame:  # noqa: N802
        """The rows of each partition in one batch, if it has any."""
        whole = pa.Table.from_batches(self.batches, self.schema)
        parts = [whole.filter(pc.equal(whole[column], k)).combine_chunks() for k in range(count)]
        batches = [batch for part in parts for batch in part.to_batches()]
        return LocalFrame(self.sparkSession, batches, self.schema)

    def toArrow(self) -> pa.Table:  # noqa: N802
        """All rows."""
        return pa.Table.from_batches(self.batches, self.schema)

    def persist(self) -> LocalFrame:
        """They are kept anyway."""
        return self

    def unpersist(self) -> LocalFrame:
        """Nothing to let go of."""
        return self


@dataclass(frozen=True)
class LocalSpark:
    """A session without a JVM."""

    sparkContext: LocalContext = field(default_factory=LocalContext)  # noqa: N815

    def range(self, start: int, end: int, step: int, slices: int) -> LocalFrame:
        """Numbers as `id`, each in a task of its own."""
        schema = pa.schema([("id", pa.int64())])
        numbers = range(start, end, step)
        batches = [pa.RecordBatch.from_pydict({"id": [n]}, schema) for n in numbers]
        return LocalFrame(self, batches, schema)


def _schema(ddl: str | StructType) -> pa.Schema:
    """Columns of a frame, as Spark hands them to tasks."""
    if isinstance(ddl, StructType):
        return to_arrow_schema(ddl, timezone="UTC")
    fields = (column.rsplit(" ", 1) for column in ddl.split(", "))
    return pa.schema([(name, _TYPES[kind]) for name, kind in fields])
