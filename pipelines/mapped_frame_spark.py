"""A frame and what is to be done with its Arrow batches, not done yet (Spark side)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql import types as T

Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class MappedFrame:
    """What `frame.mapInArrow(kernel, schema)` would give.

    A table's writer runs the kernel in the task that writes the file, so that its batches do not
    become rows of the JVM and batches again.
    """

    frame: DataFrame
    kernel: Callable[[Batches], Batches]
    schema: T.StructType

    def to_frame(self) -> DataFrame:
        """The rows as a frame, for whoever goes on with them in Spark."""
        return self.frame.mapInArrow(self.kernel, self.schema)
