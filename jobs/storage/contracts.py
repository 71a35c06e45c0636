"""What every frame and file of a table must be: its declared columns, of the days it is for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa

from jobs.setup.exits import JobError
from schemas.catalog import TABLES
from schemas.table import Table

if TYPE_CHECKING:
    from pyspark.sql.types import StructType


class ContractError(JobError):
    """A frame does not have the columns that its table declares."""


def contract_differences(declared: Table, schema: StructType) -> list[str]:
    """Name every difference between a frame's schema and a table's declaration.

    Nullability is not compared here: the table's NOT NULL constraints refuse nulls on write.
    """
    want = {c.name: c.type.simpleString() for c in declared.columns}
    have = {f.name: f.dataType.simpleString() for f in schema.fields}
    missing = [f"missing column {name} ({want[name]})" for name in want if name not in have]
    extra = [f"unknown column {name}" for name in have if name not in want]
    wrong = [
        f"column {name} is {have[name]}, declared {want[name]}"
        for name in want
        if name in have and have[name] != want[name]
    ]
    return missing + extra + wrong


@cache
def arrow_schema(name: str) -> pa.Schema:
    """The Arrow schema of a table; timestamps are UTC."""
    from pyspark.sql.pandas.types import to_arrow_schema

    return to_arrow_schema(TABLES[name].struct, timezone="UTC")


def refuse_other_days(name: str, rows: pa.Table, days: Sequence[date]) -> None:
    """Refuse rows, or files, of other days than those given.

    Raises
    ------
    ContractError
    """
    strange = set(rows["ds"].unique().to_pylist()) - set(days)
    if strange:
        listed = ", ".join(str(day) for day in sorted(strange))
        raise ContractError(f"{name}: rows of {listed} among those of other days")
