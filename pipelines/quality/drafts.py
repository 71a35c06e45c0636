"""Rules in draft: what of a table is worth measuring, and how a rule is written down."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa

from pipelines.quality.duck import connect


@dataclass(frozen=True)
class Draft:
    """A rule that is being drafted.

    Attributes
    ----------
    fields : mapping
        What the rule file says of it, but for its bounds.
    side : str
        Which bounds it gets: `low`, `high`, `both`; `share` for both, between 0 and 1.
    bounds : mapping
        `min`, `max`.
    comment : str
        What was measured.
    """

    fields: Mapping[str, Any]
    side: str
    bounds: Mapping[str, float] | None = None
    comment: str = ""

    @property
    def name(self) -> str:
        """The rule's name."""
        return str(self.fields["name"])

    @property
    def text(self) -> str:
        """The rule as it stands in the file."""
        said = {**self.fields, **(self.bounds or {})}
        order = ["name", "kind", *(k for k in said if k not in ("name", "kind", "why", "severity"))]
        lines = [f"{key} = {toml_value(said[key])}" for key in [*order, "severity", "why"]]
        comment = [f"# {self.comment}"] if self.comment else []
        return "\n".join(["[[rule]]", *comment, *lines])


class Names:
    """Names of rules, each given once."""

    def __init__(self, taken: Collection[str]) -> None:
        self._taken = set(taken)

    def new(self, text: str) -> str:
        """Make a name for a rule that no other has."""
        name = re.sub(r"[^a-z0-9_]+", "_", text.lower()).strip("_")
        name = name if name[:1].isalpha() else f"column_{name}"
        while name in self._taken:
            name = f"own_{name}"
        self._taken.add(name)
        return name


def new_rule(name: str, kind: str, why: str, **fields: Any) -> dict[str, Any]:
    """Give the fields of a rule that warns."""
    return {"name": name, "kind": kind, **fields, "severity": "warn", "why": why}


def table_probe(names: Names) -> Draft:
    """Rows of a day."""
    why = "Fewer rows than ever before: a part of the table is missing."
    return Draft(new_rule(names.new("rows"), "table", why, metric="rows"), "low")


def key_probe(names: Names, keys: Sequence[str]) -> list[Draft]:
    """Rows beyond one per key, where the keys are known."""
    if not keys:
        return []
    why = f"Two rows with one key ({', '.join(keys)}): joins count them twice."
    return [
        Draft(new_rule(names.new("duplicate_keys"), "table", why, metric="duplicate_keys"), "high")
    ]


def hour_probe(names: Names, column: str) -> Draft:
    """Hours of a day without a row, by a column of times within it."""
    why = f"More hours of the day without any {column} than before: a file has not landed."
    name = names.new(f"{column}_missing_hours")
    return Draft(new_rule(name, "table", why, metric="missing_hours", column=column), "high")


def column_probes(names: Names, field: pa.Field, *, is_key: bool) -> list[Draft]:
    """What is measured of a column, by its type; numbers of a key mean nothing."""
    column, kind = field.name, field.type
    made = [
        Draft(
            new_rule(names.new(f"{column}_missing"), "column",
                  f"Rows without {column}: more of them than before.",
                  column=column, metric="null_share"), "high")
    ]  # fmt: skip
    if pa.types.is_boolean(kind):
        made.append(
            Draft(
                new_rule(names.new(f"{column}_share"), "share",
                      f"The share of rows with {column} leaves the range it had.",
                      condition=sql_name(column)), "share")
        )  # fmt: skip
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if is_number and not is_key:
        for metric, side, what in (
            ("min", "low", "smaller than any before"),
            ("max", "high", "larger than any before"),
            ("mean", "both", "on average another than before"),
        ):
            made.append(
                Draft(
                    new_rule(names.new(f"{column}_{metric}"), "column",
                          f"{column} is {what}: another unit, or a fault of its source.",
                          column=column, metric=metric), side)
            )  # fmt: skip
    return made


def history_of(names: Names, rows: Draft) -> Draft:
    """Rows of a day against those of the days before."""
    why = "The number of rows changes slowly; a jump is a fault of an input."
    name = names.new(f"{rows.name}_against_history")
    comment = "robust z against the last days; silent until there are enough of them"
    fields = new_rule(name, "history", why, of=rows.name, floor=0.1)
    return Draft(fields, "both", {"min": -5.0, "max": 5.0}, comment)


def sql_name(column: str) -> str:
    """Name of a column in SQL."""
    if re.fullmatch(r"[a-z_][a-z0-9_]*", column) and column not in _reserved():
        return column
    quoted = column.replace('"', '""')
    return f'"{quoted}"'


@cache
def _reserved() -> frozenset[str]:
    with connect() as connection:
        words = connection.sql("SELECT keyword_name FROM duckdb_keywords()").fetchall()
    return frozenset(word for (word,) in words)


def toml_value(value: object) -> str:
    """Write a value as TOML, whose text is quoted as in JSON."""
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return json.dumps(value, ensure_ascii=False)
