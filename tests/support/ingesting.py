"""Small landing directories, and the ingestion of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from jobs import ingest_logs
from jobs.landing.sources import Source
from jobs.step import Outcome, Step
from jobs.storage.tables import Tables

Row = dict[str, Any]
DAY = date(2026, 1, 2)

_BASES: dict[str, Row] = {
    "impressions": {
        "impression_id": "i1",
        "ts": "2026-01-02T10:00:00Z",
        "surface": "promoted",
        "request_id": "r1",
        "user_id": "u1",
        "query": "blue mug",
        "listing_id": "l1",
        "position": 1,
        "device": "mobile",
        "country": "DE",
        "attributes": {"page": "home"},
    },
    "clicks": {"click_id": "c1", "impression_id": "i1", "ts": "2026-01-02T10:00:05Z"},
    "listings": {
        "listing_id": "l1",
        "shop_id": "s1",
        "title": "Blue mug",
        "tags": ["mug", "blue"],
        "category": "home > mugs",
        "price": 9.5,
        "quantity": 3,
        "created_ts": "2025-12-01T00:00:00Z",
        "is_promoted": True,
        "image_vector": [0.5, -0.25],
        "attributes": None,
    },
}


def row(log: str, without: str | None = None, **changes: Any) -> Row:
    """A good row with some values changed, or without a column."""
    made = _BASES[log] | changes
    return {name: value for name, value in made.items() if name != without}


def at(text: str) -> datetime:
    """A time of the test day."""
    return datetime.fromisoformat(f"{DAY}T{text}").replace(tzinfo=UTC)


def land(
    landing: Path, log: str, rows: Iterable[Row | str | bytes], day: date = DAY, part: str = "0"
) -> Path:
    """Write rows (or lines as they are) as a file of JSON lines."""
    lines = [line if isinstance(line, (str, bytes)) else json.dumps(line) for line in rows]
    path = landing / log / f"ds={day}" / f"part-{part}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"".join((li if isinstance(li, bytes) else li.encode()) + b"\n" for li in lines)
    )
    return path


def make_step(
    spark: Any,
    landing: Path,
    root: Path,
    days: Sequence[date] = (DAY,),
    source: str | Path = "canonical",
    max_typed_day_bytes: int = 2**26,
    part_rows: int = 10**6,
) -> Step:
    """A step over a landing directory."""
    config = SimpleNamespace(
        ingest=SimpleNamespace(max_string_bytes=4096, max_typed_day_bytes=max_typed_day_bytes),
        labels=SimpleNamespace(cutoff_hours=2),
    )
    return Step(
        tables=Tables(str(root), lambda: spark, part_rows),
        config=config,  # type: ignore[arg-type]
        source=Source.load(source, landing),
        days=list(days),
        run_id="run-1",
    )


def ingest(step: Step) -> Outcome:
    """Run the job."""
    return ingest_logs.run(step)


def stored(step: Step, name: str, without: Sequence[str] = ()) -> list[str]:
    """Every row of the step's days as text, sorted: two warehouses agree when these do."""
    table: pa.Table = step.tables.read_arrow(name, list(step.days)).drop_columns(list(without))
    return sorted(repr(sorted(row.items())) for row in table.to_pylist())
