"""What goes wrong with one landing file: rows, text, types, its name, what lies beside it.

Each fault is drawn: which rows it takes, how many, and how it is spelled.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.logs import ID_COLUMN, LOGS
from tests.support.formats import FORMATS, Row, as_text, csv_text, json_lines, table_of

Rows = list[Row]
OfRows = Callable[[Random, str, Rows], Rows]
OfFile = Callable[[Random, str, Rows, Path], None]
"""Writes a log's rows, faulty, into the folder of their day."""


@dataclass(frozen=True)
class LogFault:
    """A fault of a log.

    Attributes
    ----------
    name : str
    logs : tuple of str
        Where it can be.
    write : OfFile
        Writes the day.
    needs_spark : bool
        Whether the day is read by Spark then.
    """

    name: str
    logs: tuple[str, ...]
    write: OfFile
    needs_spark: bool = True


def plain(log: str, rows: Rows, folder: Path, form: str, name: str = "part-0") -> Path:
    """Write rows as they are, in a format; of columns with texts among others all are text."""
    path = folder / f"{name}.{form}"
    if form == "jsonl":
        path.write_text(json_lines(rows))
    elif form == "csv":
        path.write_bytes(csv_text(log, rows).encode())
    else:
        declared = table_of(log, []).schema
        mixed = [
            f.name for f in declared
            if not pa.types.is_string(f.type) and any(isinstance(r.get(f.name), str) for r in rows)
        ]  # fmt: skip
        texts = [
            {**row, **{name: _text(row.get(name)) for name in mixed}} if mixed else row
            for row in rows
        ]
        table = table_of(log, texts, **dict.fromkeys(mixed, pa.string()))
        pq.write_table(table, path, row_group_size=300)
    return path


def _text(value: object) -> object:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, (dict, list)) else str(as_text(value))


def _each(column: str, values: list[object], share: float | None = None) -> OfRows:
    """Put odd values into a column of some rows, or of a given share."""

    def change(draw: Random, log: str, rows: Rows) -> Rows:
        part = draw.choice([0.01, 0.2, 1.0]) if share is None else share
        odd = draw.choice(values)
        made = [dict(row) for row in rows]
        for row in made:
            if draw.random() < part:
                row[column] = odd(row[column]) if callable(odd) else odd
        return made

    return change


def _spelt(column: str) -> OfRows:
    spellings: list[object] = [
        lambda v: f" {v}", lambda v: f"{v} ", lambda v: str(v).upper() + "X", lambda v: f"x:{v}",
        lambda v: f"{v}.0", "", None, "x" * 5000, "\u202e😀",
    ]  # fmt: skip
    return _each(column, spellings)


def _repeated(draw: Random, log: str, rows: Rows) -> Rows:
    share = draw.choice([0.01, 0.5, 1.0])
    return [*rows, *(dict(row) for row in rows if draw.random() < share)]


def _same_id(draw: Random, log: str, rows: Rows) -> Rows:
    name, odd = ID_COLUMN[log], rows[0][ID_COLUMN[log]]
    return [{**row, name: odd} if draw.random() < 0.1 else row for row in rows]


def _none(draw: Random, log: str, rows: Rows) -> Rows:
    return rows[:1] if draw.random() < 0.3 else []


def _moved(draw: Random, log: str, rows: Rows) -> Rows:
    hours = draw.choice([-24, -5, 2, 9, 24 * 365])
    column = "created_ts" if log == "listings" else "ts"
    return [{**row, column: row[column] + timedelta(hours=hours)} for row in rows]


def _robot(draw: Random, log: str, rows: Rows) -> Rows:
    return [{**row, "user_id": "crawler", "listing_id": rows[0]["listing_id"]} for row in rows]


TIMES: list[object] = [
    "yesterday", "", None, "2026-01-04T10:00Z", "20260104T100000Z", "2026-13-45T00:00:00Z",
    lambda v: v.strftime("%Y-%m-%d %H:%M:%S"), lambda v: v.strftime("%Y%m%dT%H%M%SZ"),
    lambda v: str(int(v.timestamp())), lambda v: v.isoformat().replace("+00:00", "+0100"),
]  # fmt: skip
NUMBERS: list[object] = ["two", "", None, "1.0", "1.5", " 3 ", "1e1", "-1", "0", "99999999999"]
PRICES: list[object] = [
    None,
    "",
    "NaN",
    "Infinity",
    "-1",
    "9,50",
    "1e400",
    lambda v: (v or 1) * 100,
]
NOBODY: list[object] = ["", "-", "0", "null", "visitor", None, " "]
FLAGS: list[object] = ["yes", "no", "1", "0", "1.0", "maybe", "", None, "TRUE"]
ALL = tuple(LOGS)

OF_ROWS: dict[str, tuple[tuple[str, ...], OfRows]] = {
    "nobody's user id": (("impressions",), _each("user_id", NOBODY, 0.5)),
    "spelling of listing ids": (("impressions", "listings"), _spelt("listing_id")),
    "spelling of impression ids": (("impressions", "clicks"), _spelt("impression_id")),
    "spelling of click ids": (("clicks",), _spelt("click_id")),
    "times": (("impressions", "clicks"), _each("ts", TIMES)),
    "positions": (("impressions",), _each("position", NUMBERS)),
    "surfaces": (("impressions",), _each("surface", ["ads", "Search", "", None, "promoted"])),
    "prices": (("listings",), _each("price", PRICES)),
    "quantities": (("listings",), _each("quantity", NUMBERS)),
    "flags": (("listings",), _each("is_promoted", FLAGS)),
    "attributes": (("impressions",), _each("attributes", ["{", "[]", '{"a": 1}', "", None])),
    "tags": (("listings",), _each("tags", ["wood", '["a"', '["a", null]', "[]", None])),
    "repeated rows": (ALL, _repeated),
    "one id for many": (ALL, _same_id),
    "no rows": (ALL, _none),
    "another day": (("impressions", "clicks"), _moved),
    "a crawler alone": (("impressions",), _robot),
}


def _of_rows(change: OfRows) -> OfFile:
    def write(draw: Random, log: str, rows: Rows, folder: Path) -> None:
        plain(log, change(draw, log, rows), folder, draw.choice(FORMATS))

    return write


def _of_text(change: Callable[[Random, bytes], bytes], forms: tuple[str, ...]) -> OfFile:
    def write(draw: Random, log: str, rows: Rows, folder: Path) -> None:
        path = plain(log, rows, folder, draw.choice(forms))
        path.write_bytes(change(draw, path.read_bytes()))

    return write


def _insert(*lines: bytes) -> Callable[[Random, bytes], bytes]:
    def change(draw: Random, text: bytes) -> bytes:
        every = text.splitlines(keepends=True)
        for _ in range(draw.choice([1, 20])):
            every.insert(draw.randrange(1, len(every) + 1), draw.choice(lines) + b"\n")
        return b"".join(every)

    return change


def _cut(draw: Random, text: bytes) -> bytes:
    return text[: draw.randrange(1, len(text))]


def _recoded(draw: Random, text: bytes) -> bytes:
    marks = [b"\xef\xbb\xbf" + text, text.replace(b"\r\n", b"\n"), text.rstrip(b"\n"), b"\n" + text]
    return draw.choice([*marks, text.replace(b"o", b"\xff", 3), text + b"\n\n"])


def _header(draw: Random, text: bytes) -> bytes:
    head, _, body = text.replace(b"\r\n", b"\n").partition(b"\n")
    names = head.strip().split(b",")
    at = draw.randrange(len(names))
    other = draw.choice([b"", names[0], names[at].upper(), b"more", b' "a" '])
    changed = b",".join([*names[:at], other, *names[at + 1 :]])
    return draw.choice([changed + b"\n" + body, body, head + b"\n", b"", b"\n\n"])


def _separated(draw: Random, text: bytes) -> bytes:
    return text.replace(b",", draw.choice([b";", b"\t"]))


def _quoted(draw: Random, log: str, rows: Rows, folder: Path) -> None:
    (folder / "part-0.csv").write_text(csv_text(log, rows, csv.QUOTE_ALL))


def _ragged(draw: Random, text: bytes) -> bytes:
    every = text.split(b"\r\n")
    for _ in range(5):
        at = draw.randrange(1, len(every) - 1)
        line = every[at]
        every[at] = draw.choice([line + b",more,and more", line.rpartition(b",")[0], b'"open'])
    return b"\r\n".join(every)


def _line_ends(draw: Random, log: str, rows: Rows, folder: Path) -> None:
    kinds = ["\r\n", "\n", "\n\r\n", "\n\n"]
    ends = [draw.choice(kinds) for _ in range(draw.choice([2, 50]))]
    quoting = draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    (folder / "part-0.csv").write_bytes(csv_text(log, rows, quoting, ends).encode())


def _squeezed(draw: Random, log: str, rows: Rows, folder: Path) -> None:
    path = plain(log, rows, folder, draw.choice(["jsonl", "csv"]))
    pack, ending = draw.choice([(gzip.compress, "gz"), (bz2.compress, "bz2")])
    packed = pack(path.read_bytes())
    path.unlink()
    cut = draw.random() < 0.5
    data = packed[: draw.randrange(1, len(packed))] if cut else packed
    (folder / f"{path.name}.{ending}").write_bytes(data)


def _misnamed(draw: Random, log: str, rows: Rows, folder: Path) -> None:
    path = plain(log, rows, folder, draw.choice(FORMATS))
    path.rename(path.with_suffix(draw.choice([".parquet", ".jsonl", ".csv"])))


NAMES = [
    "part[12]",
    "a{b}",
    "x*",
    "what?",
    "50%20off",
    "a b",
    "ü✓",
    "a#b",
    "a:b",
    "a=b",
    "-n",
    "a'b",
]


def _named(draw: Random, log: str, rows: Rows, folder: Path) -> None:
    form, half = draw.choice(FORMATS), len(rows) // 2
    plain(log, rows[:half], folder, form, draw.choice(NAMES))
    plain(log, rows[half:], folder, form, draw.choice(["part1", "x", "b"]))


def _named_typed(draw: Random, log: str, rows: Rows, folder: Path) -> None:
    half = len(rows) // 2
    plain(log, rows[:half], folder, "parquet", draw.choice(NAMES))
    plain(log, rows[half:], folder, "parquet", draw.choice(["part1", "x", "b"]))


BESIDE = [
    "part-1.parquet.tmp", "_temporary/0/part-1.parquet", ".part-1.parquet", "_part-1.csv", "README",
    "part-1.avro", "_SUCCESS", ".part-0.parquet.crc", "more.part", "notes.txt",
]  # fmt: skip


def _beside(draw: Random, log: str, rows: Rows, folder: Path) -> None:
    plain(log, rows, folder, "parquet")
    other = folder / draw.choice(BESIDE)
    other.parent.mkdir(parents=True, exist_ok=True)
    other.write_bytes(b"half of something")


def _empty(draw: Random, log: str, rows: Rows, folder: Path) -> None:
    plain(log, rows, folder, draw.choice(FORMATS))
    (folder / f"empty.{draw.choice(FORMATS)}").touch()


def _below(draw: Random, log: str, rows: Rows, folder: Path) -> None:
    kind = draw.choice(["hour={:02}", "batch {}", "h={}/m=0"])
    for number in range(2):
        below = folder / kind.format(number)
        below.mkdir(parents=True)
        plain(log, rows[number::2], below, "parquet")


def _typed(*choices: tuple[str, pa.DataType]) -> OfFile:
    """Another type of a column, where it can hold the values."""

    def write(draw: Random, log: str, rows: Rows, folder: Path) -> None:
        table = table_of(log, rows)
        fitting = [(name, kind) for name, kind in choices if name in table.column_names]
        name, kind = draw.choice(fitting)
        if pa.types.is_dictionary(kind):
            values = table[name].dictionary_encode()
        elif pa.types.is_floating(kind) and pa.types.is_string(table.schema.field(name).type):
            values = pa.chunked_array([pa.array([float(n) for n in range(len(table))], kind)])
        elif pa.types.is_integer(kind) and pa.types.is_string(table.schema.field(name).type):
            values = pa.chunked_array([pa.array(range(len(table)), kind)])
        else:
            values = table[name].cast(kind, safe=False)
        table = table.set_column(table.schema.get_field_index(name), name, values)
        pq.write_table(table, folder / "part-0.parquet")

    return write


UTC_NS = pa.timestamp("ns", "UTC")
HARMLESS = [("ts", UTC_NS), ("ts", pa.timestamp("us")), ("ts", pa.timestamp("ms", "UTC")),
            ("created_ts", UTC_NS), ("surface", pa.dictionary(pa.int32(), pa.string())),
            ("listing_id", pa.large_string()), ("impression_id", pa.large_string())]  # fmt: skip
OTHER = [
    ("ts", pa.string()), ("ts", pa.int64()), ("position", pa.int64()), ("position", pa.uint64()),
    ("position", pa.float32()), ("position", pa.float16()), ("position", pa.string()),
    ("listing_id", pa.float64()), ("listing_id", pa.int64()), ("impression_id", pa.float32()),
    ("click_id", pa.uint32()), ("price", pa.float32()), ("price", pa.string()),
    ("price", pa.float16()), ("quantity", pa.uint8()), ("quantity", pa.int16()),
    ("is_promoted", pa.int8()), ("is_promoted", pa.string()), ("created_ts", pa.date32()),
    ("surface", pa.binary()), ("impression_id", pa.binary()),
]  # fmt: skip
UNUSED = [pa.time64("ns"), pa.float16(), pa.duration("ns"), pa.decimal256(50, 2), pa.null(),
          pa.uint64(), pa.binary(2), pa.list_(pa.float16()), pa.timestamp("ns")]  # fmt: skip


def _unused(draw: Random, log: str, rows: Rows, folder: Path) -> None:
    table, kind = table_of(log, rows), draw.choice(UNUSED)
    table = table.append_column("more", pa.nulls(len(table), kind))
    pq.write_table(table, folder / "part-0.parquet")


def _renamed(draw: Random, log: str, rows: Rows, folder: Path) -> None:
    table = table_of(log, rows)
    name = draw.choice(table.column_names)
    if draw.random() < 0.5:
        table = table.drop_columns([name])
    else:
        names = [n.upper() if n == name else n for n in table.column_names]
        table = table.rename_columns(names)
    pq.write_table(table, folder / "part-0.parquet")


def _nothing(draw: Random, log: str, rows: Rows, folder: Path) -> None:
    """The log has not landed."""
    folder.rmdir()


JUNK = [
    b"not json",
    b"[1, 2]",
    b'{"a":',
    b"null",
    b"{}",
    b'"text"',
    b'{"ts": {"a": 1}}',
    b"\xff\xfe",
]
FAULTS = (
    *(LogFault(name, logs, _of_rows(change)) for name, (logs, change) in OF_ROWS.items()),
    LogFault("lines that are no rows", ALL, _of_text(_insert(*JUNK), ("jsonl",))),
    LogFault("cut short", ALL, _of_text(_cut, FORMATS)),
    LogFault("recoded text", ALL, _of_text(_recoded, ("jsonl", "csv"))),
    LogFault("header", ALL, _of_text(_header, ("csv",))),
    LogFault("separator", ALL, _of_text(_separated, ("csv",))),
    LogFault("every field quoted", ALL, _quoted),
    LogFault("line ends", ALL, _line_ends),
    LogFault("ragged rows", ALL, _of_text(_ragged, ("csv",))),
    LogFault("compressed, whole or cut", ALL, _squeezed),
    LogFault("a wrong ending", ALL, _misnamed),
    LogFault("names", ALL, _named),
    LogFault("names of typed files", ALL, _named_typed, needs_spark=False),
    LogFault("files beside", ALL, _beside, needs_spark=False),
    LogFault("an empty file beside", ALL, _empty),
    LogFault("folders below", ALL, _below, needs_spark=False),
    LogFault("harmless types", ALL, _typed(*HARMLESS), needs_spark=False),
    LogFault("other types", ALL, _typed(*OTHER)),
    LogFault("a column that nobody uses", ALL, _unused, needs_spark=False),
    LogFault("a column missing or renamed", ALL, _renamed),
    LogFault("not landed", ALL, _nothing),
)
