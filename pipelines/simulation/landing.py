"""Writing landing files: Parquet, JSON lines or CSV, each appearing whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from pipelines.simulation.config import LandingFormat


def day_folder(root: Path, log: str, ds: str) -> Path:
    """Folder of one log and day."""
    return root / log / f"ds={ds}"


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call ``write`` with a hidden name beside ``path``, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A leading dot hides unfinished files from Spark and from Arrow data sets.
    draft = path.with_name(f".{path.name}.draft")
    write(draft)
    os.replace(draft, path)


def write_table(table: pa.Table, folder: Path, landing_format: LandingFormat, name: str) -> Path:
    """Write a table as ``<folder>/<name>.<format>``; the same table gives the same bytes."""
    path = folder / f"{name}.{landing_format}"
    writers = {"parquet": write_parquet, "jsonl": _write_jsonl, "csv": _write_csv}
    write_atomically(path, lambda draft: writers[landing_format](table, draft))
    return path


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write Parquet whose dictionary columns read back as plain strings."""
    coded = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
    nested = [field.name for field in table.schema if pa.types.is_nested(field.type)]
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=1,
        # Ids are all distinct: trying a dictionary on them costs time and gains nothing.
        use_dictionary=coded + nested or False,
        store_schema=False,
    )


def _write_jsonl(table: pa.Table, path: Path) -> None:
    columns = [
        pc.binary_join_element_wise(f'"{name}":', _json_values(column), "")
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    body = pc.binary_join_element_wise(*columns, ",")
    lines = pc.binary_join_element_wise("{", body, "}\n", "")
    with path.open("wb") as sink:
        for chunk in _chunks(lines):
            sink.write(_bytes_of(chunk))


def _write_csv(table: pa.Table, path: Path) -> None:
    """Nested columns become JSON text, timestamps ISO 8601 in UTC, null an empty field."""
    columns = []
    for column in table.columns:
        if pa.types.is_nested(column.type):
            text = _json_values(column)
            columns.append(pc.if_else(pc.equal(text, "null"), pa.scalar(None, pa.string()), text))
        elif pa.types.is_timestamp(column.type):
            columns.append(_iso(column))
        elif pa.types.is_dictionary(column.type):
            columns.append(column.cast(pa.string()))
        else:
            columns.append(column)
    pa_csv.write_csv(pa.table(columns, names=table.column_names), path)


def _json_values(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """JSON text of every value; null where the value is null."""
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(values, pa.ChunkedArray):
        values = values.chunk(0) if values.num_chunks else pa.array([], column.type)
    kind = values.type
    if pa.types.is_dictionary(kind):
        text = _json_values(values.dictionary).take(values.indices)
    elif pa.types.is_string(kind):
        text = _quoted(values)
    elif pa.types.is_timestamp(kind):
        text = _quoted(_iso(values))
    elif pa.types.is_map(kind):
        pairs = pc.binary_join_element_wise(_quoted(values.keys), _quoted(values.items), ":")
        text = _joined(values, pairs, "{", "}")
    elif pa.types.is_list(kind):
        text = _joined(values, _json_values(values.values), "[", "]")
    else:
        text = values.cast(pa.string())
    return pc.fill_null(text, "null")


def _joined(lists: pa.Array, texts: pa.Array, opening: str, closing: str) -> pa.Array:
    """Texts of the lists' items, joined by commas between brackets."""
    offsets = lists.offsets
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, texts), ",")
    text = pc.binary_join_element_wise(opening, joined, closing, "")
    return pc.if_else(lists.is_null(), pa.scalar(None, pa.string()), text)


def _quoted(texts: pa.Array) -> pa.Array:
    escaped = pc.replace_substring(texts, "\\", "\\\\")
    escaped = pc.replace_substring(escaped, '"', '\\"')
    return pc.binary_join_element_wise('"', escaped, '"', "")


def _iso(timestamps: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    return pc.strftime(timestamps, "%Y-%m-%dT%H:%M:%SZ")


def _chunks(values: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    return values.chunks if isinstance(values, pa.ChunkedArray) else [values]


def _bytes_of(texts: pa.Array) -> bytes:
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset :][: len(texts) + 1]
    return memoryview(texts.buffers()[2] or b"")[offsets[0] : offsets[-1]].tobytes()
