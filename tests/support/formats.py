"""Rows of canonical logs as files of every format."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import datetime
from itertools import cycle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.storage.contracts import arrow_schema
from schemas.logs import LOGS

Row = dict[str, Any]
FORMATS = ("parquet", "jsonl", "csv")


def as_text(value: Any) -> Any:
    """Times as ISO 8601 has them; all else as it is."""
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


def table_of(log: str, rows: list[Row], **types: pa.DataType) -> pa.Table:
    """Rows in the canonical types, but for those that are given."""
    declared = arrow_schema(log)
    fields = [pa.field(c.name, types.get(c.name, declared.field(c.name).type)) for c in LOGS[log]]
    plain = [
        {k: list(v.items()) if isinstance(v, dict) else v for k, v in one.items()} for one in rows
    ]
    return pa.Table.from_pylist(plain, pa.schema(fields))


def write_parquet(path: Path, log: str, rows: list[Row], **types: pa.DataType) -> None:
    """One file; the ending is added."""
    pq.write_table(table_of(log, rows, **types), path.with_suffix(".parquet"))


def json_lines(rows: list[Row]) -> str:
    """An object a line."""
    return "".join(json.dumps({k: as_text(v) for k, v in one.items()}) + "\n" for one in rows)


def write_jsonl(path: Path, log: str, rows: list[Row]) -> None:
    """One file; the ending is added."""
    path.with_suffix(".jsonl").write_text(json_lines(rows))


def csv_text(
    log: str,
    rows: list[Row],
    quoting: int = csv.QUOTE_MINIMAL,
    line_ends: Sequence[str] = ("\r\n",),
) -> str:
    """A header, and a line a row, which end in turn as `line_ends` says; lists and maps as JSON."""
    text = io.StringIO(newline="")
    writers = cycle([csv.writer(text, quoting=quoting, lineterminator=end) for end in line_ends])  # type: ignore[arg-type]
    names = [column.name for column in LOGS[log]]
    next(writers).writerow(names)
    for one in rows:
        values = (one.get(name) for name in names)
        next(writers).writerow(
            json.dumps(v) if isinstance(v, (list, dict)) else as_text(v) for v in values
        )
    return text.getvalue()


def write_csv(path: Path, log: str, rows: list[Row], *options: Any) -> None:
    """One file; the ending is added; `options` as of `csv_text`."""
    path.with_suffix(".csv").write_bytes(csv_text(log, rows, *options).encode())
