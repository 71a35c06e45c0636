"""The same rows in any format give the same tables; what a format cannot hold is named."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.landing.parquet_columns import parquet_columns, spark_schema
from jobs.landing.sources import Source
from jobs.setup.exits import InputMissing, QualityStop, UsageError
from schemas.logs import LOGS
from tests.support.formats import Row, table_of, write_csv, write_jsonl, write_parquet
from tests.support.ingesting import DAY, ingest, land, make_step, row, stored

START = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC)
ODD = [
    "",
    None,
    "-",
    "null",
    'a "quoted", one',
    "two\nlines",
    "two\r\nlines",
    "a return\r in it",
    "ümläut 😀",
    " blank ",
    "a\tb",
    "\\n",
]


def made_rows(number: int) -> dict[str, list[Row]]:
    """Rows of every log with odd texts, absent values and a few that must be refused."""
    chance = Random(7)
    impressions = [
        row(
            "impressions", impression_id=f"i{k}", listing_id=f"l{k % 9}",
            ts=START + timedelta(microseconds=chance.randrange(86_400_000_000)),
            user_id=chance.choice(ODD), query=chance.choice(ODD), device=chance.choice(ODD),
            position=chance.choice([1, 2, 3, 0]),
            attributes=chance.choice([None, {"a": "b"}, {"é": 'x"y', "k": ","}, {}]),
        )
        for k in range(number)
    ]  # fmt: skip
    clicks = [
        row("clicks", click_id=f"c{k}", impression_id=f"i{k}", ts=START + timedelta(hours=23.9))
        for k in range(0, number, 5)
    ]
    listings = [
        row(
            "listings", listing_id=f"l{k}", title=chance.choice([t for t in ODD if t]),
            tags=chance.choice([None, [], ["a,b", 'c"d']]), price=chance.choice([None, 1.5, -1.0]),
            quantity=chance.choice([None, 3]), created_ts=chance.choice([None, START]),
            is_promoted=chance.choice([True, False]), image_vector=chance.choice([None, [0.5]]),
        )
        for k in range(9)
    ]  # fmt: skip
    return {"impressions": impressions, "clicks": clicks, "listings": listings}


def write_quoted_csv(path: Path, log: str, rows: list[Row]) -> None:
    write_csv(path, log, rows, csv.QUOTE_ALL)


def write_mixed_csv(path: Path, log: str, rows: list[Row]) -> None:
    """As lines of several systems put together, empty ones among them."""
    write_csv(path, log, rows, csv.QUOTE_MINIMAL, ("\r\n", "\n", "\n\r\n\n"))


def write_lines_of_one_kind(path: Path, log: str, rows: list[Row]) -> None:
    half = len(rows) // 2
    write_csv(path.with_name("returns"), log, rows[:half], csv.QUOTE_MINIMAL, ("\r",))
    write_csv(path.with_name("new lines"), log, rows[half:], csv.QUOTE_MINIMAL, ("\n",))


def write_plain_types(path: Path, log: str, rows: list[Row]) -> None:
    """As pandas would: nanoseconds without a zone, wide integers."""
    ns = pa.timestamp("ns")
    naive = [
        {k: v.replace(tzinfo=None) if isinstance(v, datetime) else v for k, v in one.items()}
        for one in rows
    ]
    wide = {"position": pa.int64(), "quantity": pa.int64()}
    write_parquet(path, log, naive, ts=ns, created_ts=ns, **wide)


WRITERS = [
    write_parquet, write_plain_types, write_jsonl, write_csv, write_quoted_csv, write_mixed_csv,
    write_lines_of_one_kind,
]  # fmt: skip


def test_the_same_rows_in_any_format_give_the_same_tables(spark, tmp_path):
    tables = {}
    for write in WRITERS:
        landing = tmp_path / write.__name__ / "landing [1]"
        for log, rows in made_rows(400).items():
            folder = landing / log / f"ds={DAY}" / "hour=00"
            folder.mkdir(parents=True)
            write(folder / "part {0}*", log, rows)
        step = make_step(spark, landing, tmp_path / write.__name__ / "warehouse")
        counts = ingest(step)[DAY].details["logs"]
        tables[write] = {name: stored(step, name) for name in LOGS}
        tables[write]["counts"] = json.dumps(counts, sort_keys=True)
    for write in WRITERS[1:]:
        assert tables[write] == tables[write_parquet], write.__name__
    counted = json.loads(tables[write_parquet]["counts"])
    assert counted["impressions"]["accepted"] < counted["impressions"]["in"] == 400


def test_the_day_of_a_file_is_read_off_a_path_of_any_letters(spark, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    path = "in [1]+%20/{ds:%Y/%m/%d} ü.csv"
    (own / "source.toml").write_text(
        f'what = "own"\n[views.shown]\npath = "{path}"\n[logs.impressions]\nviews = ["shown"]\n'
    )
    (own / "impressions.sql").write_text("SELECT * FROM shown")
    folder = tmp_path / "landing/in [1]+%20" / f"{DAY:%Y/%m}"
    folder.mkdir(parents=True)
    write_csv(folder / "x", "impressions", [row("impressions")])
    (folder / "x.csv").rename(folder / f"{DAY:%d} ü.csv")
    step = make_step(spark, tmp_path / "landing", tmp_path / "warehouse", source=own)
    assert ingest(step)[DAY].rows_out == 1


TIMES = {
    "2026-01-02T10:00Z": "10:00",
    "20260102T100000Z": "10:00",
    "20260102T1000Z": "10:00",
    "2026-01-02 10:00:00.5": "10:00:00.5",
    "2026-01-02T10:00:00,25+0100": "09:00:00.25",
    "2026-01-01T24:00:00Z": "00:00",
    "2026-01-02T10:00:00.123456789Z": "10:00:00.123456",
}


def test_the_forms_of_iso_8601_are_read(spark, tmp_path):
    rows = [row("impressions", impression_id=text, ts=text) for text in TIMES]
    land(tmp_path / "landing", "impressions", rows)
    step = make_step(spark, tmp_path / "landing", tmp_path / "warehouse")
    ingest(step)
    read = step.tables.read_arrow("impressions", [DAY]).to_pylist()
    assert {one["impression_id"]: one["ts"] for one in read} == {
        text: datetime.fromisoformat(f"{DAY}T{time}").replace(tzinfo=UTC)
        for text, time in TIMES.items()
    }


def test_a_whole_number_with_a_point_is_whole_and_a_fraction_is_not(spark, tmp_path):
    rows = [
        row("impressions", impression_id=f"i{p}", position=p) for p in ("2.0", "1e1", "2.5", "")
    ]
    land(tmp_path / "landing", "impressions", rows)
    step = make_step(spark, tmp_path / "landing", tmp_path / "warehouse")
    counts = ingest(step)[DAY].details["logs"]["impressions"]
    assert counts["reasons"] == {"null_key": 1, "unparsable_number": 1}
    kept = step.tables.read_arrow("impressions", [DAY])["position"].to_pylist()
    assert sorted(kept) == [2, 10]


def test_a_csv_without_a_row_is_a_day_without_rows(spark, tmp_path):
    contents = [b"", b"\n", b"\r\n\r\n", b"click_id,impression_id,ts\n"]
    days = [DAY + timedelta(days=k) for k in range(len(contents))]
    for day, content in zip(days, contents, strict=True):
        shown = row("impressions", ts=f"{day}T10:00:00Z")
        land(tmp_path / "landing", "impressions", [shown], day)
        folder = tmp_path / "landing/clicks" / f"ds={day}"
        folder.mkdir(parents=True)
        (folder / "a.csv").write_bytes(content)
    step = make_step(spark, tmp_path / "landing", tmp_path / "warehouse", days)
    for record in ingest(step).values():
        assert record.details["logs"]["clicks"]["in"] == 0
        assert record.details["logs"]["impressions"]["accepted"] == 1
    alone = make_step(spark, tmp_path / "landing", tmp_path / "alone", days[:1])
    assert ingest(alone)[DAY].details["logs"]["clicks"]["in"] == 0


ODD_TYPES = {
    "half": pa.array([np.float16(1)], pa.float16()),
    "halves": pa.array([[np.float16(1)]], pa.list_(pa.float16())),
    "time": pa.array([1], pa.time64("ns")),
    "time of day": pa.array([1], pa.time32("ms")),
    "wide": pa.array([1]).cast(pa.decimal256(50, 2)),
    "long": pa.array([1], pa.duration("ns")),
    "unsigned": pa.array([2**64 - 1], pa.uint64()),
    "nothing": pa.nulls(1),
    "moment": pa.array([1], pa.timestamp("ns")),
    "letters": pa.array([b"ab"], pa.binary(2)),
    "parts": pa.array([{"a": np.float16(1)}], pa.struct([("a", pa.float16())])),
}


def test_a_column_that_nobody_uses_stops_no_day_whatever_its_type(spark, tmp_path):
    folder = tmp_path / "landing/impressions" / f"ds={DAY}"
    folder.mkdir(parents=True)
    good = {**row("impressions", ts=START), "attributes": None}
    write_parquet(folder / "a", "impressions", [good])
    table = pq.read_table(folder / "a.parquet")
    for name, values in ODD_TYPES.items():
        table = table.append_column(name, values)
    pq.write_table(table, folder / "a.parquet")
    for limit in (2**26, 0):
        root = tmp_path / f"warehouse{limit}"
        step = make_step(spark, tmp_path / "landing", root, max_typed_day_bytes=limit)
        assert ingest(step)[DAY].rows_out == 1


def test_columns_that_nobody_uses_may_have_one_name_to_spark(spark, tmp_path):
    folder = tmp_path / "landing/impressions" / f"ds={DAY}"
    folder.mkdir(parents=True)
    good = {**row("impressions", ts=START), "attributes": None}
    write_parquet(folder / "a", "impressions", [good])
    table = pq.read_table(folder / "a.parquet")
    for name in ("Extra", "extra", "extra"):
        table = table.append_column(name, pa.array([1]))
    pq.write_table(table, folder / "a.parquet")
    for limit in (2**26, 0):
        root = tmp_path / f"warehouse{limit}"
        step = make_step(spark, tmp_path / "landing", root, max_typed_day_bytes=limit)
        assert ingest(step)[DAY].rows_out == 1


def test_what_spark_is_told_of_a_file_is_what_it_would_find(spark, tmp_path):
    path = tmp_path / "a.parquet"
    known = {n: v for n, v in ODD_TYPES.items() if n in ("unsigned", "moment", "long", "letters")}
    plain = {"b": pa.array([True]), "d": pa.array([1.5]), "m": pa.array([[("a", "b")]],
             pa.map_(pa.string(), pa.string())), "s": pa.array([{"x": [1]}])}  # fmt: skip
    pq.write_table(pa.table({**known, **plain}), path)
    (file,), _ = Source.load("canonical", tmp_path).landing.look(pattern("a.parquet"))
    told = spark_schema(parquet_columns(Source.load("canonical", tmp_path).landing, file))
    assert told == spark.read.parquet(str(path)).schema


def pattern(text: str) -> Any:
    from jobs.landing.files import PathPattern

    return PathPattern(text)


def test_a_column_that_is_used_and_cannot_be_read_is_named_with_its_file(spark, tmp_path):
    folder = tmp_path / "landing/listings" / f"ds={DAY}"
    folder.mkdir(parents=True)
    good = {**row("listings", created_ts=START), "attributes": None}
    times = {"created_ts": pa.string(), "image_vector": pa.list_(pa.float32())}
    write_parquet(folder / "a", "listings", [{**good, "created_ts": None}], **times)
    table = pq.read_table(folder / "a.parquet")
    place = table.schema.get_field_index("image_vector")
    halves = ODD_TYPES["halves"]
    pq.write_table(table.set_column(place, "image_vector", halves), folder / "a.parquet")
    land(tmp_path / "landing", "impressions", [row("impressions")])
    with pytest.raises(InputMissing, match=r"image_vector \(list<.*a\.parquet"):
        ingest(make_step(spark, tmp_path / "landing", tmp_path / "warehouse"))


def test_ids_with_a_fraction_stop_their_day_alone_before_they_join_with_nothing(spark, tmp_path):
    whole = DAY - timedelta(days=1)
    for day, kind in ((whole, pa.int64()), (DAY, pa.float64())):
        folder = tmp_path / "landing/impressions" / f"ds={day}"
        folder.mkdir(parents=True)
        good = {**row("impressions", ts=START, listing_id=7), "attributes": None}
        write_parquet(folder / "a", "impressions", [good], listing_id=kind)
    step = make_step(spark, tmp_path / "landing", tmp_path / "warehouse", [whole, DAY])
    with pytest.raises(QualityStop, match="listing_id is a number with a fraction") as stop:
        ingest(step)
    assert stop.value.refused == {DAY}


def test_a_whole_number_of_a_column_that_is_text_elsewhere_has_no_point(spark, tmp_path):
    folder = land(tmp_path / "landing", "impressions", [row("impressions", listing_id="7")]).parent
    more = {**row("impressions", impression_id="i2", ts=START, listing_id=7), "attributes": None}
    write_parquet(folder / "a", "impressions", [more], listing_id=pa.float64())
    step = make_step(spark, tmp_path / "landing", tmp_path / "warehouse")
    ingest(step)
    assert step.tables.read_arrow("impressions", [DAY])["listing_id"].to_pylist() == ["7", "7"]


def test_names_of_another_case_are_the_same_column_in_files_of_any_types(spark, tmp_path):
    """As text in one file and as a list in another, under a name of capitals."""
    folder = land(tmp_path / "landing", "listings", [row("listings")]).parent
    written = table_of("listings", [row("listings", listing_id="l2", created_ts=START)])
    names = [name.upper() if name == "tags" else name for name in written.column_names]
    pq.write_table(written.rename_columns(names), folder / "part-1.parquet")
    step = make_step(spark, tmp_path / "landing", tmp_path / "warehouse")
    ingest(step)
    rows = step.tables.read_arrow("listings", [DAY]).sort_by("listing_id")
    assert rows["listing_id"].to_pylist() == ["l1", "l2"]
    assert rows["tags"].to_pylist() == [["mug", "blue"]] * 2


def test_two_columns_of_one_name_are_told_with_their_file(spark, tmp_path):
    folder = land(tmp_path / "landing", "impressions", [row("impressions")]).parent
    written = table_of("listings", [row("listings", created_ts=START)])
    beside = tmp_path / "landing" / "listings" / f"ds={DAY}"
    beside.mkdir(parents=True)
    pq.write_table(written.append_column("Tags", written["tags"]), beside / "twice.parquet")
    step = make_step(spark, tmp_path / "landing", tmp_path / "warehouse")
    with pytest.raises(InputMissing, match=r"tags \(to Spark .*: rename.*twice\.parquet"):
        ingest(step)
    (beside / "twice.parquet").unlink()
    (folder / "twice.csv").write_text("impression_id,ts,TS\n")
    with pytest.raises(UsageError, match=r"twice\.csv: a column name appears twice"):
        ingest(make_step(spark, tmp_path / "landing", tmp_path / "warehouse"))


def test_a_file_that_is_being_written_is_waited_for(spark, tmp_path):
    land(tmp_path / "landing", "impressions", [row("impressions")])
    half = tmp_path / "landing/impressions" / f"ds={DAY}" / "part-1.jsonl.tmp"
    half.write_text("{")
    with pytest.raises(InputMissing, match=r"part-1\.jsonl\.tmp is still being written"):
        ingest(make_step(spark, tmp_path / "landing", tmp_path / "warehouse"))


def test_files_beside_are_counted_in_the_record(spark, tmp_path):
    land(tmp_path / "landing", "impressions", [row("impressions")])
    (tmp_path / "landing/impressions" / f"ds={DAY}" / "more.avro").write_text("Obj")
    outcome = ingest(make_step(spark, tmp_path / "landing", tmp_path / "warehouse"))
    counts = outcome[DAY].details["logs"]["impressions"]
    assert (counts["unread"]["files"], counts["unread"]["bytes"]) == (1, 3)
    assert "more.avro" in counts["unread"]["some"][0]
