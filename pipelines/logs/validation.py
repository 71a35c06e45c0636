"""Canonical types for the rows of a SELECT, and the reasons to refuse a row (Spark side).

Frame to frame, without an action: what is refused is decided per row, so that accepted rows can be
written in the pass that reads the landing files.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from pipelines.logs import reasons as R
from schemas.logs import LOGS
from schemas.table import DAY_US
from schemas.table import Column as Declared

RAW = "_raw"
REFUSED = "_refused"
REASONS = "_reasons"
MISSING = "_missing"
"""Column of a raw view: the required columns that a row does not have."""


def with_checks(yielded: DataFrame, log: str, *, max_string_bytes: int) -> DataFrame:
    """Cast what a SELECT yields to the canonical types and say what is wrong with each row.

    Parameters
    ----------
    yielded : DataFrame
        Any columns, of any types, and `ds` (date).
    log : str
        impressions, clicks or listings.
    max_string_bytes : int
        A longer string, or longer tags or attributes in all, is refused.

    Returns
    -------
    DataFrame
        The log's canonical columns, `ds`, `_raw` (the row as yielded, a struct), `_refused`
        (boolean, never null) and `_reasons` (array of string, empty where not refused).
    """
    types = {field.name: field.dataType for field in yielded.schema.fields}
    declared = LOGS[log]
    typed = yielded.select(
        *(_typed(column, types).alias(column.name) for column in declared),
        "ds",
        F.struct(*(F.col(f"`{name}`") for name in types if name != MISSING)).alias(RAW),
        *([F.col(MISSING)] if MISSING in types else []),
    )
    conditions = {
        reason: F.coalesce(c, F.lit(False))
        for reason, c in _conditions(log, types, max_string_bytes).items()
    }
    named = [F.when(condition, F.lit(reason)) for reason, condition in conditions.items()]
    return typed.select(
        *(column.name for column in declared),
        "ds",
        RAW,
        _any(list(conditions.values())).alias(REFUSED),
        F.array_compact(F.array(*named)).alias(REASONS),
    )


def raw_json() -> Column:
    """`_raw` as JSON text; bytes that are no UTF-8 become replacement characters.

    Times are told to the microsecond, so that a row can be judged again from its text.
    """
    told = {"ignoreNullFields": "false", "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}
    return F.to_json(F.col(RAW), told)


def fractional_ids(kinds: Mapping[str, T.DataType], log: str) -> list[str]:
    """Ids that are numbers with a fraction: as text, 1 becomes `1.0` and meets no other log's 1."""
    return [
        column.name
        for column in LOGS[log]
        if column.name.endswith("_id")
        and (
            isinstance(kind := kinds.get(column.name), (T.FloatType, T.DoubleType))
            or (isinstance(kind, T.DecimalType) and kind.scale > 0)
        )
    ]


def _typed(column: Declared, types: Mapping[str, T.DataType]) -> Column:
    if column.name not in types:
        return F.lit(None).cast(column.type)
    value, have = F.col(f"`{column.name}`"), types[column.name]
    if isinstance(have, T.StringType):
        return _from_text(value, column)
    if have == column.type:
        return value
    if isinstance(column.type, T.BooleanType) and isinstance(have, T.NumericType):
        return F.when(value == 0, False).when(value == 1, True)
    return value.try_cast(column.type)


def _from_text(value: Column, column: Declared) -> Column:
    """A value from its text; null where it cannot be read."""
    # Each of these names the value once or twice: what a SELECT makes of it may be long, and Spark
    # puts it wherever the value is named.
    kind = column.type
    if isinstance(kind, T.StringType):
        return F.when(F.octet_length(value) > 0, value) if column.nullable else value
    if isinstance(kind, (T.ArrayType, T.MapType)):
        return F.from_json(value, kind.simpleString())
    if isinstance(kind, T.TimestampType):
        return _instant(value)
    if isinstance(kind, T.BooleanType):
        # As a tool writes them that has made fractions of the column.
        return F.regexp_replace(value, r"^\s*([01])\.0*\s*$", "$1").try_cast(kind)
    if isinstance(kind, T.IntegralType):
        return value.try_cast(_EXACT).try_cast(kind)
    return value.try_cast(kind)


_EXACT = "decimal(38,9)"
_DAY = r"^\s*(\d{4})-?(\d\d)-?(\d\d)[Tt ]"
_ZONE = r"\s*([Zz]|[+-]\d\d(?::?\d\d)?)?\s*$"


def _instant(value: Column) -> Column:
    """ISO 8601, the forms included that Spark does not read: basic, without seconds, 24:00."""
    minutes = F.regexp_replace(value, _DAY + r"(\d\d):?(\d\d)" + _ZONE, "$1-$2-$3T$4:$5:00$6")
    seconds = _DAY + r"(\d\d):?(\d\d):?(\d\d)[.,]?(\d*)" + _ZONE
    # A fraction of no digits is none; one digit more changes none.
    written = F.regexp_replace(minutes, seconds, "$1-$2-$3T$4:$5:$6.$70$8")
    of_day = F.try_to_timestamp(F.regexp_replace(written, "T24:00:00", "T00:00:00"))
    is_midnight = F.regexp_like(value, F.lit(_DAY + r"24:?00(:?00([.,]0*)?)?" + _ZONE))
    return of_day + F.make_dt_interval(is_midnight.cast("int"))


def _came_null(column: Declared, types: Mapping[str, T.DataType]) -> Column:
    """Null as it came: null, or no text at all where that says as much."""
    raw = F.col(f"{RAW}.`{column.name}`")
    if not isinstance(types[column.name], T.StringType):
        return raw.isNull()
    # Compared as lengths: from equal texts Spark infers filters, and takes minutes to do it.
    if not isinstance(column.type, T.StringType):
        return F.coalesce(F.octet_length(F.trim(raw)) < 1, F.lit(True))
    return F.coalesce(F.octet_length(raw) < 1, F.lit(True)) if column.nullable else raw.isNull()


def _conditions(
    log: str, types: Mapping[str, T.DataType], max_string_bytes: int
) -> dict[str, Column]:
    declared = {column.name: column for column in LOGS[log]}
    required = [column for column in declared.values() if not column.nullable]
    texts = [text for column in declared.values() if (text := _text(column)) is not None]
    absent = [column for column in required if column.name not in types]
    missing = F.size(MISSING) > 0 if MISSING in types else F.lit(False)
    conditions = {
        R.MISSING_COLUMN: F.lit(True) if absent else missing,
        R.NULL_KEY: _any([_is_null(c, types) for c in required if c.name in types]),
        R.EMPTY_KEY: _any([F.col(c.name) == "" for c in required if c.name.endswith("_id")]),
        R.INVALID_UTF8: _any([~F.is_valid_utf8(text) for text in texts]),
        R.OVERSIZED_STRING: _any([F.octet_length(text) > max_string_bytes for text in texts]),
    }
    for column in declared.values():
        if column.name in types:
            reason, condition = _unparsable(column, types)
            if condition is not None:
                conditions[reason] = (
                    conditions[reason] | condition if reason in conditions else condition
                )
    if "ts" in declared:
        since = F.unix_micros("ts") - F.unix_date("ds").cast("long") * DAY_US
        conditions[R.OUTSIDE_DAY] = (since < 0) | (since >= DAY_US)
    if log == "impressions":
        conditions[R.POSITION_BELOW_1] = F.col("position") < 1
        conditions[R.UNKNOWN_SURFACE] = ~F.col("surface").isin("search", "promoted")
    if log == "listings":
        conditions[R.NEGATIVE_PRICE] = F.col("price") < 0
    return {reason: conditions[reason] for reason in R.REASONS if reason in conditions}


def _is_null(column: Declared, types: Mapping[str, T.DataType]) -> Column:
    """Null as it came, which is not the same as null because it could not be read."""
    null = _came_null(column, types)
    if MISSING in types:
        return null & ~F.array_contains(MISSING, column.name)
    return null


def _unparsable(column: Declared, types: Mapping[str, T.DataType]) -> tuple[str, Column | None]:
    have = types[column.name]
    value, raw = F.col(column.name), F.col(f"{RAW}.`{column.name}`")
    reason = R.UNPARSABLE_VALUE
    wrong: list[Column] = []
    if isinstance(column.type, T.TimestampType):
        reason = R.UNPARSABLE_TIMESTAMP
    elif isinstance(column.type, T.NumericType):
        reason = R.UNPARSABLE_NUMBER
        if isinstance(column.type, T.DoubleType):
            wrong.append(F.isnan(value) | (F.abs(value) == float("inf")))
        elif isinstance(have, (T.FloatType, T.DoubleType, T.DecimalType)):
            # A cast drops what is behind the point.
            wrong.append(raw != value)
        elif isinstance(have, T.StringType):
            wrong.append(raw.try_cast(_EXACT) != value)
    elif isinstance(column.type, T.ArrayType) and isinstance(column.type.elementType, T.FloatType):
        reason = R.UNPARSABLE_NUMBER
        # Null where a number is null; whole-array functions, as lambdas are not compiled.
        finite_only = ~F.array_contains(value, float("nan"))
        infinite = (F.array_max(value) == float("inf")) | (F.array_min(value) == float("-inf"))
        wrong.append(value.isNotNull() & (~F.coalesce(finite_only, F.lit(False))))
        wrong.append(F.coalesce(infinite, F.lit(False)))
    if have != column.type:
        wrong.append(value.isNull() & ~_came_null(column, types))
    return reason, _any(wrong) if wrong else None


def _text(column: Declared) -> Column | None:
    """The text of a column, or of all that a list or map holds."""
    value = F.col(column.name)
    if isinstance(column.type, T.StringType):
        return value
    if isinstance(column.type, T.MapType):
        return F.concat_ws(" ", F.map_keys(value), F.map_values(value))
    if isinstance(column.type, T.ArrayType) and isinstance(column.type.elementType, T.StringType):
        return F.concat_ws(" ", value)
    return None


def _any(conditions: list[Column]) -> Column:
    return reduce(lambda a, b: a | b, conditions) if conditions else F.lit(False)
