"""A source is looked at without Spark where its files have the canonical types, and in bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.landing import looking
from jobs.landing.log_findings import Finding
from jobs.landing.looking import is_sampled
from jobs.landing.source_findings import check_source
from jobs.landing.sources import Source
from jobs.setup.exits import UsageError
from jobs.storage.contracts import arrow_schema
from schemas.logs import LOGS
from tests.support.rows import DAY, arrow_rows, row

Rows = list[dict[str, object]]


def land(landing: Path, log: str, rows: Rows) -> None:
    names = [column.name for column in LOGS[log]]
    folder = landing / log / f"ds={DAY}"
    folder.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([arrow_schema(log).field(name).with_nullable(True) for name in names])
    plain = [{key: one[key] for key in names} for one in (row(log, **r) for r in rows)]
    pq.write_table(pa.Table.from_pylist(plain, schema), folder / "part.parquet")


def day_of_logs(landing: Path, rows: int, **odd: object) -> None:
    """Impressions of which every tenth has odd values, half of the listings, a click on each."""
    ids = [f"i{k}" for k in range(rows)]
    shown = [
        {"impression_id": name, "listing_id": f"l{k % 40}", **(odd if k % 10 == 0 else {})}
        for k, name in enumerate(ids)
    ]
    land(landing, "impressions", shown)
    land(landing, "clicks", [{"click_id": f"c{n}", "impression_id": n} for n in ids])
    land(landing, "listings", [{"listing_id": f"l{k}"} for k in range(20)])


def findings(landing: Path) -> list[Finding]:
    def session() -> None:
        raise AssertionError("a session was asked for")

    return check_source(Source.load("canonical", landing), session)  # type: ignore[arg-type]


def test_no_session_is_asked_for_where_files_have_the_canonical_types(tmp_path: Path) -> None:
    day_of_logs(tmp_path, 100)
    assert [(f.column, f.level) for f in findings(tmp_path) if f.level != "good"] == [
        ("listing_id", "look")
    ]


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ({"surface": "ads"}, "unknown_surface: the surface is neither search nor promoted; found"),
        ({"position": 0}, "position_below_1"),
        ({"request_id": None}, "null_key"),
        ({"request_id": ""}, "empty_key"),
        ({"query": "x" * 5000}, "oversized_string"),
        ({"ts": datetime(2026, 2, 11, 3, tzinfo=UTC)}, "outside_day"),
        ({"impression_id": "i1"}, "duplicate_id"),
    ],
    ids=lambda value: value.split(":")[0] if isinstance(value, str) else "",
)  # fmt: skip
def test_refused_rows_are_counted_by_reason(
    tmp_path: Path, odd: dict[str, object], reason: str
) -> None:
    day_of_logs(tmp_path, 100, **odd)
    (text,) = [f.text for f in findings(tmp_path) if f.log == "impressions" and "rows (" in f.text]
    assert f"10 rows (10.00%) refused, {reason}" in text


def test_of_a_large_day_some_ids_are_looked_at_and_shares_are_as_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day_of_logs(tmp_path, 4000, position=0)
    whole = {(f.log, f.column): f.text for f in findings(tmp_path)}
    size = max(file.stat().st_size for file in tmp_path.rglob("*.parquet"))
    monkeypatch.setattr(looking, "LOOKED_BYTES", size // 4)
    texts = [f.text for f in findings(tmp_path) if f.log != "listings"]
    (read, *_) = [text for text in texts if "of one id in" in text]
    rows = int(read.split()[0].replace(",", ""))
    assert 600 < rows < 1100
    # Clicks have their impressions among those that are looked at: a tenth of these are refused.
    (clicks,) = [text for text in texts if "click_without_impression" in text]
    assert 0.07 < int(clicks.split()[0]) / rows < 0.13
    (shown,) = [text for text in texts if "show a listing" in text]
    assert "show a listing" in whole["impressions", "listing_id"]
    assert 0.4 < float(shown.split("%")[0]) / 100 < 0.6


@pytest.mark.parametrize("spelt", ["L{}", "l{} ", " l{}", "x:l{}", "l{}.0"])
def test_ids_that_are_spelt_otherwise_join_with_nothing_and_one_of_each_is_shown(
    tmp_path: Path, spelt: str
) -> None:
    land(tmp_path, "impressions", [{"listing_id": spelt.format(7)}])
    land(tmp_path, "clicks", [{}])
    land(tmp_path, "listings", [{"listing_id": "l7"}])
    (told,) = [f for f in findings(tmp_path) if "show a listing" in f.text]
    assert (told.level, told.column) == ("wrong", "listing_id")
    assert told.text.startswith("0.0% of the impressions")
    assert told.text.endswith(f"it has no {spelt.format(7)!r}, but 'l7'")


def test_ids_that_are_null_are_sampled_by_their_place() -> None:
    assert is_sampled(pa.nulls(100, pa.string()), 4).sum() == 25
    ids = pa.array([f"id-{k}" for k in range(4000)])
    assert 900 < is_sampled(ids, 4).sum() < 1100
    assert np.array_equal(is_sampled(ids, 4), is_sampled(pa.chunked_array([ids]), 4))


def test_columns_that_are_missing_or_too_many_are_told(tmp_path: Path) -> None:
    names = [column.name for column in LOGS["impressions"] if column.name != "device"]
    rows = arrow_rows("impressions", [{}]).select(names).append_column("more", pa.array([1]))
    folder = tmp_path / "impressions" / f"ds={DAY}"
    folder.mkdir(parents=True)
    pq.write_table(rows, folder / "part.parquet")
    told = {f.column: f.text for f in findings(tmp_path) if f.level == "look" and f.column}
    assert set(told) == {"device", "more"}
    assert "stays null" in told["device"]


def test_clicks_on_impressions_of_the_day_before_are_known(tmp_path: Path) -> None:
    day_of_logs(tmp_path, 10)
    before = DAY - timedelta(days=1)
    earlier = {"impression_id": "night", "ts": datetime(2026, 2, 9, 23, 59, tzinfo=UTC)}
    folder = tmp_path / "impressions" / f"ds={before}"
    folder.mkdir()
    names = [column.name for column in LOGS["impressions"]]
    pq.write_table(arrow_rows("impressions", [earlier]).select(names), folder / "part.parquet")
    click = {"click_id": "late", "impression_id": "night", "ts": datetime(2026, 2, 10, tzinfo=UTC)}
    land(tmp_path, "clicks", [click])
    assert not any("rows (" in f.text for f in findings(tmp_path))


def test_a_machine_that_starts_no_session_is_no_finding(tmp_path: Path) -> None:
    folder = tmp_path / "impressions" / f"ds={DAY}"
    folder.mkdir(parents=True)
    (folder / "part.jsonl").write_text("{}\n")

    def session() -> None:
        raise UsageError("no Java found")

    with pytest.raises(UsageError, match="no Java found"):
        check_source(Source.load("canonical", tmp_path), session)  # type: ignore[arg-type]
