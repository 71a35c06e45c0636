"""Bad rows of known kinds and counts, planted beside the good ones of a simulated day."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.simulation.canonical import CLICKS, IMPRESSIONS, LISTINGS
from pipelines.simulation.config import LandingFormat, SimulationConfig
from pipelines.simulation.landing import write_atomically, write_parquet
from pipelines.simulation.randomness import generator

Row = dict[str, Any]
_SCHEMAS = {"impressions": IMPRESSIONS, "clicks": CLICKS, "listings": LISTINGS}
_KEY = {"impressions": "impression_id", "clicks": "click_id", "listings": "listing_id"}
_TIME = {"impressions": "ts", "clicks": "ts", "listings": "created_ts"}
_TEXT = {"impressions": "query", "clicks": "click_id", "listings": "title"}
_REQUIRED = {"impressions": "listing_id", "clicks": "impression_id", "listings": "shop_id"}
_BAD_TIMES = ("yesterday", "2026-13-45T99:00:00Z")
# Surrogates stand for raw bytes until the rows are encoded (PEP 383): FF FE is never UTF-8.
_INVALID_UTF8 = "\udcff\udcfe"
_TEXT_FORMATS_ONLY = frozenset({"invalid_utf8", "malformed_row"})
_COMMON = ("null_key", "empty_key", "bad_timestamp", "duplicate_id", "oversized_string")
_KINDS = {
    "impressions": (
        *_COMMON,
        "bad_number",
        "timestamp_outside_day",
        "position_below_one",
        "unknown_surface",
    ),
    "clicks": (
        *_COMMON,
        "timestamp_outside_day",
        "click_without_impression",
        "click_before_impression",
    ),
    "listings": (*_COMMON, "bad_number", "negative_price"),
}


def dirty_kinds(log: str, landing_format: LandingFormat) -> tuple[str, ...]:
    """Kinds of bad rows that a log can hold in a format."""
    kinds = (*_KINDS[log], "invalid_utf8", "malformed_row", "missing_column")
    if landing_format != "parquet":
        return kinds
    return tuple(kind for kind in kinds if kind not in _TEXT_FORMATS_ONLY)


def write_dirty_rows(
    config: SimulationConfig, day: int, log: str, logs: dict[str, pa.Table], folder: Path
) -> dict[str, int]:
    """Write ``dirty_rows_per_kind`` bad rows of every kind beside a log's good ones.

    They are rows of their own; a duplicate is a second copy of a good row, later in time where the
    log has times, so that the good one comes first. In Parquet all scalars are strings, as only
    those can be unparsable, and rows without a column have a file of their own.

    Returns
    -------
    dict
        Rows written of each kind.
    """
    rng = generator(config.seed, f"dirty {log}", day)
    planted: dict[str, list[Row]] = {}
    for kind in dirty_kinds(log, config.format):
        templates = _templates(config, log, kind, logs, rng)
        marks = (f"dirty-{kind}-{day}-{number}" for number in range(len(templates)))
        planted[kind] = [
            _spoil(log, kind, row, mark, number)
            for number, (row, mark) in enumerate(zip(templates, marks, strict=True))
        ]
    _WRITERS[config.format](log, planted, folder)
    return {kind: len(rows) for kind, rows in planted.items()}


def _templates(
    config: SimulationConfig,
    log: str,
    kind: str,
    logs: dict[str, pa.Table],
    rng: np.random.Generator,
) -> list[Row]:
    """Good rows to spoil; clicks are made up for impressions, as a day may have few."""
    count = config.dirty_rows_per_kind
    source = "impressions" if log == "clicks" and kind != "duplicate_id" else log
    table = logs[source]
    if kind == "duplicate_id":
        chosen = rng.permutation(table.num_rows)[:count]
    else:
        chosen = rng.integers(0, table.num_rows, count)
    rows: list[Row] = table.take(pa.array(chosen)).to_pylist()
    if source == log:
        return rows
    return [{"impression_id": row["impression_id"], "ts": row["ts"]} for row in rows]


def _spoil(log: str, kind: str, row: Row, mark: str, number: int) -> Row:
    """Turn a good row into a bad one of a kind."""
    key = _KEY[log]
    if kind == "duplicate_id":
        if log != "listings":
            row["ts"] = _within_day(row["ts"], timedelta(seconds=1))
        return row
    made: Row = {key: mark} | row if log == "clicks" else row | {key: mark}
    changes: dict[str, Callable[[], Row]] = {
        "null_key": lambda: {key: None},
        "empty_key": lambda: {key: ""},
        "bad_timestamp": lambda: {_TIME[log]: _BAD_TIMES[number % 2]},
        "bad_number": lambda: {"position" if log == "impressions" else "price": "1O.5"},
        "timestamp_outside_day": lambda: {"ts": made["ts"] + timedelta(days=(-2, 3)[number % 2])},
        "position_below_one": lambda: {"position": -number},
        "unknown_surface": lambda: {"surface": "sponsored"},
        "negative_price": lambda: {"price": -made["price"]},
        "click_without_impression": lambda: {"impression_id": f"{mark}-nowhere"},
        "click_before_impression": lambda: {"ts": _within_day(made["ts"], timedelta(hours=-1))},
        "oversized_string": lambda: {_TEXT[log]: mark + "x" * 4_096},
        "invalid_utf8": lambda: {_TEXT[log]: mark + _INVALID_UTF8},
        "missing_column": lambda: {_REQUIRED[log]: None},
        "malformed_row": dict,
    }
    return made | changes[kind]()


def _within_day(moment: datetime, shift: timedelta) -> datetime:
    """Shift a time, but not past the bounds of its day."""
    start = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    end = start + timedelta(days=1, microseconds=-1)
    return min(max(moment + shift, start), end)


def _plain(value: Any) -> Any:
    """Value as JSON knows it; the pairs of a map become an object."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return dict(value)
    return value


def _write_jsonl(log: str, planted: dict[str, list[Row]], folder: Path) -> None:
    lines = []
    for kind, rows in planted.items():
        for row in rows:
            skipped = _REQUIRED[log] if kind == "missing_column" else None
            content = {name: _plain(value) for name, value in row.items() if name != skipped}
            line = json.dumps(content, ensure_ascii=False)
            lines.append(line[: len(line) // 2] if kind == "malformed_row" else line)
    _write_text(lines, folder / "part-dirty.jsonl")


def _write_csv(log: str, planted: dict[str, list[Row]], folder: Path) -> None:
    names = _SCHEMAS[log].names
    lines = [",".join(_csv_field(name) for name in names)]
    for kind, rows in planted.items():
        for row in rows:
            if kind == "malformed_row":
                lines.append(f"<row id={row[_KEY[log]]}>")
                continue
            # A comma-separated row can lack columns at its end only: all but the key are cut.
            kept = names[:1] if kind == "missing_column" else names
            lines.append(",".join(_csv_field(_plain(row[name])) for name in kept))
    _write_text(lines, folder / "part-dirty.csv")


def _csv_field(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return '"' + text.replace('"', '""') + '"'


def _write_text(lines: list[str], path: Path) -> None:
    content = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")

    def write(draft: Path) -> None:
        draft.write_bytes(content)

    write_atomically(path, write)


def _write_parquet(log: str, planted: dict[str, list[Row]], folder: Path) -> None:
    schema = pa.schema(
        [
            field if pa.types.is_nested(field.type) else pa.field(field.name, pa.string())
            for field in _SCHEMAS[log]
        ]
    )
    whole = [row for kind, rows in planted.items() if kind != "missing_column" for row in rows]
    lacking = pa.schema([field for field in schema if field.name != _REQUIRED[log]])
    parts = (
        ("part-dirty", schema, whole),
        ("part-dirty-missing-column", lacking, planted["missing_column"]),
    )
    for name, columns, rows in parts:
        texts = [
            {field.name: _scalar_text(row[field.name], field) for field in columns} for row in rows
        ]
        table = pa.Table.from_pylist(texts, schema=columns)
        write_atomically(folder / f"{name}.parquet", partial(write_parquet, table))


def _scalar_text(value: Any, column: pa.Field) -> Any:
    if value is None or isinstance(value, str) or pa.types.is_nested(column.type):
        return value
    plain = _plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain)


_WRITERS = {"jsonl": _write_jsonl, "csv": _write_csv, "parquet": _write_parquet}
