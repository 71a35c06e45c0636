"""A rule file drafted from what a table's last days hold."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.dataset as ds

from pipelines.quality.drafts import (
    Draft,
    Names,
    column_probes,
    history_of,
    hour_probe,
    key_probe,
    new_rule,
    sql_name,
    table_probe,
    toml_value,
)
from pipelines.quality.duck import connect
from pipelines.quality.measures import measure
from pipelines.quality.rule_files import load_rules, metric_column

_DAY_US = 86_400_000_000
_KNOWN_VALUES = 20
"""Columns of so few values are held to them."""
_ROOM = 0.25
"""Least room around what was measured, as a share of it."""
_NOISES = 4.0
"""Least room of a share in standard deviations of its counting noise."""


def draft(
    rows: ds.Dataset,
    table: str,
    keys: Sequence[str],
    *,
    day: str,
    day_column: str,
    taken: Collection[str] = (),
) -> list[Draft]:
    """Draft rules that hold on every day of the rows.

    Parameters
    ----------
    rows : pyarrow.dataset.Dataset
        The days that are measured.
    keys : sequence of str
        Columns that no two rows of a day share; empty where nothing is known.
    day : str
        SQL of a row's day.
    taken : collection of str
        Names that the table's other rules have.
    """
    columns = [field for field in rows.schema if field.name != day_column]
    names = Names(taken)
    probes = [table_probe(names), *key_probe(names, keys)]
    for field in columns:
        probes += column_probes(names, field, is_key=field.name in keys)
    probes += [hour_probe(names, column) for column in _times(rows, columns, day)[:1]]
    measured = _measure(rows, table, keys, probes, day)
    drafts = [made for probe in probes if (made := _bounded(probe, measured))]
    drafts.insert(1, history_of(names, drafts[0]))
    for field in columns:
        drafts += _known_values(names, rows, field)
    return drafts


def file_text(drafts: Iterable[Draft], head: Sequence[str], table: str, keys: Sequence[str]) -> str:
    """Give the whole rule file."""
    lines = [f"# {line}" for line in head] + [f"table = {toml_value(table)}"]
    lines += [f"keys = {toml_value(list(keys))}"] if keys else []
    return "\n\n".join(["\n".join(lines), *(made.text for made in drafts)]) + "\n"


def _measure(
    rows: ds.Dataset, table: str, keys: Sequence[str], probes: Sequence[Draft], day: str
) -> dict[str, list[tuple[float, int]]]:
    """Values and rows of every probe, by its name, in the order of the days."""
    content = {"table": table, "keys": list(keys), "rule": [dict(p.fields) for p in probes]}
    (rules,) = load_rules({table: content}, rows.schema.names).values()
    days = sorted(measure(rows, rules, day).items())
    taken: dict[str, list[tuple[float, int]]] = {}
    for probe in probes:
        shares = probe.fields["kind"] == "share" or probe.fields.get("metric") == "null_share"
        for _, row in days:
            value = row[metric_column(probe.name, "", "value")]
            count = int(row.get(metric_column(probe.name, "", "rows")) or 0)
            if value is None or (shares and not count):
                continue
            number = float(value) / count if shares else float(value)
            if math.isfinite(number):
                taken.setdefault(probe.name, []).append((number, count))
    return taken


def _bounded(probe: Draft, measured: Mapping[str, list[tuple[float, int]]]) -> Draft | None:
    taken = measured.get(probe.name)
    if not taken:
        return None
    values = [value for value, _ in taken]
    least, most = min(values), max(values)
    is_share = probe.side == "share" or probe.fields.get("metric") == "null_share"
    room = max(most - least, _ROOM * max(abs(least), abs(most)))
    if is_share:
        noise = max(math.sqrt(v * (1 - v) / n) for v, n in taken)
        room = max(most - least, _ROOM * min(most, 1 - least), _NOISES * noise)
    low, high = _outward(least - room, up=False), _outward(most + room, up=True)
    if probe.fields.get("metric") == "rows":
        low = max(1.0, math.floor(least / 2))
    if least >= 0:
        low = max(low, 0.0)
    if is_share:
        high = min(high, 1.0)
    if most == least == 0 and probe.side == "high":
        high = 0.0
    if probe.fields.get("metric") == "missing_hours":
        high = most
    bounds = {"min": low, "max": high}
    wanted = {"low": ["min"], "high": ["max"]}.get(probe.side, ["min", "max"])
    said = f"{least:.6g}" if least == most else f"{least:.6g} to {most:.6g}"
    return replace(probe, bounds={key: bounds[key] for key in wanted}, comment=f"measured: {said}")


def _times(rows: ds.Dataset, columns: Sequence[pa.Field], day: str) -> list[str]:
    """Columns of times that lie within the day of their row."""
    found = []
    with connect() as connection:
        for field in columns:
            if pa.types.is_timestamp(field.type):
                days = f"epoch_us({sql_name(field.name)}) // {_DAY_US}"
                own = f"DATE '1970-01-01' + CAST({days} AS INTEGER)"
                within = connection.from_arrow(rows).aggregate(f"bool_and({own} = {day})")
                found += [field.name] if within.fetchall()[0][0] else []
    return found


def _known_values(names: Names, rows: ds.Dataset, field: pa.Field) -> list[Draft]:
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return []
    column = sql_name(field.name)
    with connect() as connection:
        found = (
            connection.from_arrow(rows)
            .filter(f"{column} IS NOT NULL")
            .aggregate(f"CAST({column} AS VARCHAR) AS known, count(*) AS counted", column)
            .limit(_KNOWN_VALUES + 1)
            .fetchall()
        )
    if not found or len(found) > _KNOWN_VALUES or min(n for _, n in found) < 2:
        return []
    values = sorted(value for value, _ in found)
    listed = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    another = f"another {field.name}".replace("'", "''")
    fields = new_rule(
        names.new(f"{field.name}_unknown"), "row",
        f"A value of {field.name} that was not there before: whoever reads it has no case for it.",
        reason=f"CASE WHEN {column} NOT IN ({listed}) THEN '{another}' END",
    )  # fmt: skip
    comment = f"measured: {len(values)} values in all rows"
    return [Draft(fields, "high", {"max": 0.0}, comment)]


def _outward(value: float, *, up: bool) -> float:
    """Round to two significant digits, away from what was measured.

    >>> _outward(0.1234, up=True), _outward(-0.1234, up=True), _outward(1234.0, up=False)
    (0.13, -0.12, 1200.0)
    """
    if value == 0 or not math.isfinite(value):
        return value
    digits = 1 - math.floor(math.log10(abs(value)))
    scale = 10.0**digits
    rounded = math.ceil(value * scale) if up else math.floor(value * scale)
    return round(rounded / scale, max(digits, 0))
