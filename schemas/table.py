"""The declaration of a table: its columns, keys, constraints and how long it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pyspark.sql import types as T

STAGES = ("logs", "samples", "features", "models", "scores", "quality")


@dataclass(frozen=True)
class Column:
    """One column: name, type, what it means (with its unit) and whether it may be null."""

    name: str
    type: T.DataType
    comment: str
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """A stored Delta table.

    Attributes
    ----------
    name : str
        Folder name under the storage root.
    stage : str
        One of `STAGES`.
    grain : str
        What one row stands for.
    columns : tuple of Column
        In stored order; the partition column comes last.
    keys : tuple of str
        Columns that identify a row; () where rows have no key (quarantine).
    constraints : mapping of str to str
        CHECK constraints: name to SQL condition.
    partition_by : tuple of str
        ``("ds",)`` unless the table is not partitioned.
    retention_days : int
        How long rows are promised to be reproducible.
    log_days : int
        How long older versions are told apart. Longer than rows are kept where a version can be
        named again.
    clustered_by : str
        Column of which each run of one value is stored in row groups of its own, so that who wants
        some values reads these alone; empty for none.
    """

    name: str
    stage: str
    grain: str
    columns: tuple[Column, ...]
    keys: tuple[str, ...]
    constraints: Mapping[str, str] = field(default_factory=dict)
    partition_by: tuple[str, ...] = ("ds",)
    retention_days: int = 90
    log_days: int = 90
    clustered_by: str = ""

    @property
    def struct(self) -> T.StructType:
        """The Spark schema, with comments and nullability."""
        return T.StructType(
            [
                T.StructField(c.name, c.type, c.nullable, {"comment": c.comment})
                for c in self.columns
            ]
        )

    @property
    def frame_struct(self) -> T.StructType:
        """The schema of a frame on its way to the table: the table refuses nulls, not the frame."""
        return T.StructType([T.StructField(c.name, c.type, True) for c in self.columns])

    @property
    def column_names(self) -> tuple[str, ...]:
        """Column names in stored order."""
        return tuple(c.name for c in self.columns)


DS = Column("ds", T.DateType(), "log day (UTC)")

DAY_US = 86_400_000_000
"""Microseconds of a log day."""
