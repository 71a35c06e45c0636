"""Which files of a landing directory are read, and that no other is passed over in silence."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from jobs.landing.files import BEING_WRITTEN, HIDDEN, NO_MATCH, Landing, PathPattern
from jobs.landing.sources import EMPTY, NO_FORMAT, Source

DAY = date(2026, 1, 2)


def put(root: Path, *names: str) -> None:
    for name in names:
        path = root / "impressions" / f"ds={DAY}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}\n")


def read(root: Path) -> list[str]:
    files = Source.load("canonical", root).day_files("impressions", [DAY])
    return [file.name.partition(f"ds={DAY}/")[2] for file in files]


def unread(root: Path) -> dict[str, str]:
    files = Source.load("canonical", root).unread("impressions", [DAY])
    return {file.name.partition(f"ds={DAY}/")[2]: file.why for file in files}


@pytest.mark.parametrize(
    "name",
    ["part[1].jsonl", "a{b,c}.jsonl", "a*.jsonl", "what?.jsonl", "a b.jsonl", "a%20b.jsonl",
     "a+b.jsonl", "hour=07/a.jsonl", "a.b.jsonl.gz", "über.JSONL"],
)  # fmt: skip
def test_a_name_is_a_name(tmp_path: Path, name: str) -> None:
    put(tmp_path, name)
    assert read(tmp_path) == [name]
    assert not unread(tmp_path)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (".hidden.jsonl", HIDDEN),
        ("_old/a.jsonl", HIDDEN),
        ("a.jsonl.tmp", BEING_WRITTEN),
        ("a.jsonl.gz.part", BEING_WRITTEN),
        ("_temporary/0/task_1/a.jsonl", BEING_WRITTEN),
        ("a.avro", NO_FORMAT),
        ("README", NO_FORMAT),
    ],
)
def test_what_is_not_read_is_told_with_the_reason(tmp_path: Path, name: str, why: str) -> None:
    put(tmp_path, name, "a.jsonl")
    assert read(tmp_path) == ["a.jsonl"]
    assert unread(tmp_path) == {name: why}


def test_a_file_of_nothing_is_told_and_is_a_day_that_has_landed(tmp_path: Path) -> None:
    put(tmp_path, "a.csv")
    (tmp_path / "impressions" / f"ds={DAY}" / "a.csv").write_bytes(b"")
    assert unread(tmp_path) == {"a.csv": EMPTY}
    assert Source.load("canonical", tmp_path).days("impressions") == [DAY]


def test_marks_that_writers_leave_are_no_finding(tmp_path: Path) -> None:
    put(tmp_path, "_SUCCESS", ".a.jsonl.crc", "_committed_123", "a.jsonl")
    assert not unread(tmp_path)


def test_a_sub_folder_is_told_where_the_source_looks_into_none(tmp_path: Path) -> None:
    put(tmp_path, "hour=00/a.jsonl", "b.jsonl")
    files, beside = Landing(str(tmp_path)).look(PathPattern("impressions/ds={ds}/*"))
    assert [file.name.rpartition("/")[2] for file in files] == ["b.jsonl"]
    (one,) = beside
    assert (one.why, one.day) == (NO_MATCH, DAY)


def test_a_file_being_written_belongs_to_the_day_in_its_name(tmp_path: Path) -> None:
    (tmp_path / "20260102.csv.tmp").write_text("a")
    _, (one,) = Landing(str(tmp_path)).look(PathPattern("{ds:%Y%m%d}.csv"))
    assert (one.why, one.day) == (BEING_WRITTEN, DAY)
