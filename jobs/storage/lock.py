"""One writer per warehouse. The locks go with the processes that hold them."""

from __future__ import annotations

import fcntl
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from jobs.setup.exits import LockHeld
from jobs.storage.lease import Lease

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SPARK_ENDS_WITHIN_S = 60
"""A JVM whose driver was killed notices at once, but may have a commit in hand."""


class WriterLock:
    """The lock of a storage root: locally it goes with its processes, elsewhere it is a lease.

    Locally there are two files: ``.lock`` is held by this process, ``.lock-spark`` by its JVM,
    which outlives a killed driver by a moment in which its tasks may still write files.
    """

    def __init__(self, root: str, run_id: str = "") -> None:
        self._folder = None if "://" in root else Path(root)
        self._root, self._run_id = root, run_id
        self._lease: Lease | None = None
        self._file: Any = None
        self._spark: SparkSession | None = None
        self._spark_file: Any = None

    def __enter__(self) -> Self:
        if self._folder is None:
            lease = Lease(self._root, self._run_id)
            lease.take()
            self._lease = lease
        else:
            self._file = (self._folder / ".lock").open("a")
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._wait_for_spark(self._folder)
            except OSError:
                self._file.close()
                raise LockHeld(
                    f"another run is writing to {self._folder}; wait for it to end"
                ) from None
            self._lock_in_spark(self._folder)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lease is not None:
            self._lease.give_back()
            self._lease = None
        if self._spark_file is not None:
            # A JVM that is gone has let go of its lock.
            with suppress(Exception):
                self._spark_file.close()
            self._spark_file = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def confirm(self) -> None:
        """See that the lock is still held, where it is; to be called before each commit.

        Raises
        ------
        LockHeld
            It was taken away.
        """
        if self._lease is not None:
            self._lease.confirm()

    def extend_to(self, spark: SparkSession) -> None:
        """Have the session's JVM hold the lock as well, now or as soon as it is held here."""
        self._spark = spark
        if self._folder is not None and self._file is not None:
            self._lock_in_spark(self._folder)

    def _lock_in_spark(self, folder: Path) -> None:
        # PySpark has no public way to an object that stays in its JVM: SQL's own door, `reflect`,
        # calls a method and gives back text, and a lock goes with the channel that holds it.
        jvm = None if self._spark is None else self._spark.sparkContext._jvm
        if jvm is None:
            return
        self._spark_file = jvm.java.io.RandomAccessFile(str(folder / ".lock-spark"), "rw")
        self._spark_file.getChannel().lock()

    @staticmethod
    def _wait_for_spark(folder: Path) -> None:
        """Wait for the JVM of a killed run. Java locks by fcntl, not by flock."""
        deadline = time.monotonic() + SPARK_ENDS_WITHIN_S
        with (folder / ".lock-spark").open("a") as file:
            while True:
                try:
                    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)
