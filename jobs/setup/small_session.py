"""A session for small work: its units are done in this process, one after the other.

A task of Spark costs a process, its imports and its kernels, and Java takes seconds to start. What
is done with a unit is a function of its number, so it does not matter where it is done; whatever
else is asked of the session, such as reading text formats, starts Spark.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.units_spark import Batches

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_TYPES = {
    "array<bigint>": pa.list_(pa.int64()), "bigint": pa.int64(), "binary": pa.binary(),
    "date": pa.date32(), "int": pa.int32(), "long": pa.int64(), "string": pa.string(),
}  # fmt: skip


@dataclass(frozen=True)
class Shared:
    """A value that units read."""

    value: Any

    def destroy(self) -> None:
        """Nothing was sent."""


@dataclass(frozen=True)
class SmallContext:
    """What units ask of the context of a session."""

    defaultParallelism: int = 1  # noqa: N815

    def broadcast(self, value: Any) -> Shared:
        """Keep a value."""
        return Shared(value)


@dataclass(frozen=True)
class SmallFrame:
    """Batches of a frame, made at once."""

    sparkSession: SmallSession  # noqa: N815
    batches: Sequence[pa.RecordBatch]
    schema: pa.Schema

    def mapInArrow(self, run: Callable[[Batches], Batches], ddl: str) -> SmallFrame:  # noqa: N802
        """What a task makes of each batch."""
        schema = _schema(ddl)
        made = [out.select(schema.names) for batch in self.batches for out in run(iter([batch]))]
        return SmallFrame(self.sparkSession, [out.cast(schema) for out in made], schema)

    def repartitionById(self, count: int, column: str) -> SmallFrame:  # noqa: N802
        """The rows of each partition in one batch, if it has any."""
        whole = self.toArrow()
        parts = [whole.filter(pc.equal(whole[column], k)).combine_chunks() for k in range(count)]
        batches = [batch for part in parts for batch in part.to_batches()]
        return SmallFrame(self.sparkSession, batches, self.schema)

    def toArrow(self) -> pa.Table:  # noqa: N802
        """All rows."""
        return pa.Table.from_batches(self.batches, self.schema)

    def persist(self) -> SmallFrame:
        """They are kept anyway."""
        return self

    def unpersist(self) -> SmallFrame:
        """Nothing to let go of."""
        return self


class SmallSession:
    """Does what `pipelines.units_spark` does with units of work; for all else it starts Spark.

    Parameters
    ----------
    start : callable
        Gives the session of Spark, the same whenever it is called.
    """

    def __init__(self, start: Callable[[], SparkSession]) -> None:
        self._start = start
        self.sparkContext = SmallContext()

    def range(self, start: int, end: int, step: int, slices: int) -> SmallFrame:
        """Numbers as `id`, each in a task of its own."""
        schema = pa.schema([("id", pa.int64())])
        numbers = range(start, end, step)
        batches = [pa.RecordBatch.from_pydict({"id": [n]}, schema) for n in numbers]
        return SmallFrame(self, batches, schema)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._start(), name)


def _schema(ddl: str) -> pa.Schema:
    """Columns of a frame, as Spark hands them to tasks."""
    fields = (column.rsplit(" ", 1) for column in ddl.split(", "))
    return pa.schema([(name, _TYPES[kind]) for name, kind in fields])
