"""A session without Java: units of work are done in this process, and there is nothing else.

That results hold on any number of partitions and in other processes is for the tests that start
Spark.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.setup.small_session import SmallContext, SmallSession

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def _no_java() -> SparkSession:
    raise AssertionError("what was asked of the session needs Spark")


@dataclass(frozen=True)
class LocalContext(SmallContext):
    """The context, for who asks for its JVM."""

    defaultParallelism: int = 2  # noqa: N815
    _jvm: None = None


class LocalSpark(SmallSession):
    """A session without a JVM."""

    def __init__(self) -> None:
        super().__init__(_no_java)
        self.sparkContext = LocalContext()
