"""Columns of Parquet files in the types that Spark reads them as, or left out where it cannot."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.errors import PySparkException
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.types import from_arrow_type

from jobs.landing.files import Landing, LandingFile
from jobs.landing.raw_files import first_line
from jobs.setup.exits import InputMissing
from jobs.setup.store_errors import store_error

_WIDER: dict[pa.DataType, pa.DataType] = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20),
}


@dataclass(frozen=True)
class ParquetColumn:
    """A column by the type that Arrow gives it.

    Attributes
    ----------
    kind : str
        That type in words, or why the column is not read whatever its type.
    spark_type : str or None
        As JSON; None where Spark refuses the type, or has two columns of that name.
    is_nanoseconds : bool
        An instant that Spark, as our sessions are set, hands out as a whole number.
    is_untyped : bool
        It holds nothing but nulls.
    """

    name: str
    kind: str
    spark_type: str | None
    is_nanoseconds: bool
    is_untyped: bool


def parquet_columns(landing: Landing, file: LandingFile) -> tuple[ParquetColumn, ...]:
    """The columns that a file's footer tells.

    Raises
    ------
    InputMissing
        It cannot be read.
    """
    try:
        with landing.filesystem.open_input_file(landing.path(file.name)) as opened:
            footer = pq.ParquetFile(opened)
            schema = footer.schema_arrow
            int96 = {
                column.path
                for column in map(footer.schema.column, range(len(footer.schema)))
                if column.physical_type == "INT96"
            }
    except (OSError, pa.ArrowException) as problem:
        told = f"landing file {file.address} cannot be read as Parquet"
        raise (
            store_error(problem, told) or InputMissing(f"{told}: {first_line(problem)}")
        ) from None
    alike: dict[str, list[str]] = {}
    for name in schema.names:
        alike.setdefault(name.lower(), []).append(name)
    return tuple(
        _column(field, field.name in int96)
        if len(names := alike[field.name.lower()]) == 1
        else ParquetColumn(
            field.name,
            f"to Spark the same name as another of {', '.join(names)}: rename or drop all but one",
            None,
            is_nanoseconds=False,
            is_untyped=False,
        )
        for field in schema
    )


def spark_schema(columns: tuple[ParquetColumn, ...]) -> T.StructType:
    """What Spark is to read of a file: all but what it refuses."""
    return T.StructType.fromJson(
        {
            "type": "struct",
            "fields": [
                {"name": c.name, "type": json.loads(c.spark_type), "nullable": True, "metadata": {}}
                for c in columns
                if c.spark_type is not None
            ],
        }
    )


def from_nanoseconds(name: str) -> Column:
    """An instant from nanoseconds since 1970, what is below a microsecond cut off."""
    value = F.col(f"`{name}`")
    whole = value - F.pmod(value, F.lit(1000))
    return F.timestamp_micros(F.call_function("div", whole, F.lit(1000))).alias(name)


def _column(field: pa.Field, is_int96: bool) -> ParquetColumn:
    is_untyped = pa.types.is_null(field.type)
    is_nanoseconds = pa.types.is_timestamp(field.type) and field.type.unit == "ns" and not is_int96
    try:
        if is_int96:
            kind: T.DataType = T.TimestampType()
        elif is_untyped:
            kind = T.IntegerType()
        else:
            kind = from_arrow_type(_as_spark_reads(field.type))
        told: str | None = kind.json()
    except (PySparkException, NotImplementedError):
        told = None
    return ParquetColumn(field.name, str(field.type), told, is_nanoseconds, is_untyped)


def _as_spark_reads(kind: pa.DataType) -> pa.DataType:
    """The type, whole numbers without sign wider, nanoseconds as whole numbers.

    Raises
    ------
    NotImplementedError
        Spark refuses the type or one within it.
    """
    types = pa.types
    if types.is_float16(kind) or types.is_time(kind) or types.is_decimal256(kind):
        raise NotImplementedError(str(kind))
    if (types.is_timestamp(kind) and kind.unit == "ns") or types.is_duration(kind):
        return pa.int64()
    if types.is_dictionary(kind):
        return _as_spark_reads(kind.value_type)
    if types.is_fixed_size_binary(kind):
        return pa.binary()
    if types.is_map(kind):
        return pa.map_(_as_spark_reads(kind.key_type), _as_spark_reads(kind.item_type))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return pa.list_(_as_spark_reads(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([(field.name, _as_spark_reads(field.type)) for field in kind])
    return _WIDER.get(kind, kind)
