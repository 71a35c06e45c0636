"""Days that go from file to file as Arrow end as the days that Spark reads: row by row the same."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.landing import looking
from jobs.landing.source_findings import check_source
from jobs.landing.typed_days import typed_days
from jobs.storage.contracts import arrow_schema
from schemas.logs import LOGS
from tests.support.ingesting import DAY, ingest, make_step, row, stored

DAYS = [DAY, DAY + timedelta(days=1)]
ROWS = 400
LONG = "x" * 4096
# Values that a column holds now and then: good, bad and on the edge.
ODD = {
    "impression_id": [None, "", "repeated", LONG, LONG + "x"],
    "click_id": [None, "", "repeated"],
    "listing_id": [None, "", "repeated"],
    "surface": [None, "ads", "search"],
    "request_id": [None, "", " "],
    "user_id": [None, "", "ü"],
    "query": [None, "", "😀" * 1024, "😀" * 1025],
    "position": [None, 0, -1, 1, 2**31 - 1],
    "shop_id": [None, ""],
    "title": [None, ""],
    "category": [None, ""],
    "tags": [None, [], [None], ["a", None, ""], ["x" * 2048, "y" * 2047], ["x" * 2048, "y" * 2048]],
    "price": [None, -1.0, -0.0, float("nan"), float("inf")],
    "quantity": [None, -1],
    "is_promoted": [None, False],
    "image_vector": [None, [], [None], [0.5, float("nan")], [float("-inf")]],
    "attributes": [None, [], [("a", None)], [("k", LONG)], [("k", LONG[:4090])], [("", "")]],
}


def instant(day, seconds):
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=seconds)


def odd_rows(log, day, seed):
    """Rows of a day, each good but for a few columns of a tenth of them."""
    rng = np.random.default_rng(seed)
    names = [column.name for column in LOGS[log]]
    rows = []
    for k in range(ROWS):
        made = row(log)
        key = names[0]
        made[key] = f"{key}-{k}" if log == "listings" else f"{day}-{k}"
        if "ts" in made:
            made["ts"] = instant(day, int(rng.integers(0, 86_400)))
        if "created_ts" in made:
            made["created_ts"] = instant(day, -86_400 * k)
        if log == "clicks":
            of = DAYS[0] if rng.random() < 0.3 else day
            made["impression_id"] = f"{of}-{int(rng.integers(0, ROWS + 20))}"
        if made.get("attributes"):
            made["attributes"] = list(made["attributes"].items())
        for name in names:
            if rng.random() < 0.02 and name in ODD:
                made[name] = ODD[name][rng.integers(0, len(ODD[name]))]
        if "ts" in made and rng.random() < 0.05:
            made["ts"] = [None, instant(day, -1e-6), instant(day, 86_400)][rng.integers(0, 3)]
        rows.append(made)
    copies = [dict(rows[k]) for k in (1, 2, 2)]
    copies[0][names[-1]] = None
    return rows + copies


def broken_text(table, name):
    """One value that is no UTF-8, in a Parquet file: only Arrow's buffers can hold it."""
    values = table[name].combine_chunks()
    values = values.chunk(0) if isinstance(values, pa.ChunkedArray) else values
    raw = [None if v is None else v.encode() for v in values.to_pylist()]
    raw[7] = b"\xff\xfe"
    buffers = pa.array(raw, pa.binary()).buffers()
    spoiled = pa.Array.from_buffers(pa.string(), len(raw), buffers)
    return table.set_column(table.schema.get_field_index(name), name, spoiled)


def land_typed(landing, log, day, seed):
    """Two files, the second as other writers make them: other Arrow types, a column left out."""
    schema = pa.schema([arrow_schema(log).field(c.name).with_nullable(True) for c in LOGS[log]])
    rows = odd_rows(log, day, seed)
    table = pa.Table.from_pylist(rows, schema=schema)
    folder = landing / log / f"ds={day}"
    folder.mkdir(parents=True)
    first = table.slice(0, 250)
    spoiled = {"impressions": "query", "listings": "title", "clicks": "click_id"}[log]
    pq.write_table(broken_text(first, spoiled), folder / "a.parquet", row_group_size=100)
    second = table.slice(250)
    key = second.column_names[0]
    at = second.schema.get_field_index(key)
    second = second.set_column(at, key, second[key].cast(pa.large_string()))
    if log == "impressions":
        at = second.schema.get_field_index("surface")
        second = second.set_column(at, "surface", second["surface"].dictionary_encode())
        second = second.drop_columns(["country"])
    if log == "clicks":
        # As Spark writes by default.
        pq.write_table(second, folder / "b.parquet", use_deprecated_int96_timestamps=True)
    else:
        pq.write_table(second, folder / "b.parquet")


BY_SPARK, BY_ARROW, IN_SLICES = WAYS = ((0, 10**6), (2**26, 10**6), (2**26, 90))
"""Bytes of a day up to which it is read by Arrow, and rows that a task reads."""


@pytest.fixture(scope="module")
def all_ways(spark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("typed")
    for number, day in enumerate(DAYS):
        for log in LOGS:
            land_typed(folder / "landing", log, day, seed=number)
    made = {}
    for limit, rows in WAYS:
        root = folder / f"up-to-{limit}-by-{rows}"
        step = make_step(spark, folder / "landing", root, DAYS, "canonical", limit, rows)
        made[limit, rows] = (step, ingest(step))
    return made


@pytest.mark.parametrize("log", LOGS)
def test_other_writers_of_the_canonical_types_are_known(all_ways, log):
    step, _ = all_ways[BY_ARROW]
    assert list(typed_days(step.source, log, DAYS, max_bytes=2**26)) == DAYS


@pytest.mark.parametrize("table", [*LOGS, "quarantine"])
def test_rows_are_the_same_as_by_spark(all_ways, table):
    by_spark, by_arrow, in_slices = (
        stored(step, table, without=[]) for step, _ in all_ways.values()
    )
    assert by_spark == by_arrow
    assert by_spark == in_slices
    assert len(by_spark) > 100


def test_what_is_told_is_the_same_as_by_spark(all_ways):
    (_, by_spark), (_, by_arrow), (_, in_slices) = all_ways.values()
    assert by_spark == by_arrow == in_slices
    told = {
        reason
        for record in by_arrow.values()
        for counts in record.details["logs"].values()
        for reason in counts["reasons"]
    }
    assert len(told) == 12


def test_a_look_without_spark_finds_what_a_look_with_it_finds(all_ways, spark, monkeypatch):
    step, _ = all_ways[BY_SPARK]
    by_arrow = check_source(step.source, pytest.fail, DAYS[1])
    monkeypatch.setattr(looking, "typed_days", lambda *_, **__: {})
    by_spark = check_source(step.source, lambda: spark, DAYS[1])
    assert by_arrow == by_spark
    assert sum("rows (" in found.text for found in by_arrow) >= 12


def test_nothing_stays_of_what_was_set_aside(all_ways, tmp_path):
    step, _ = all_ways[BY_ARROW]
    left = sorted(path.name for path in (tmp_path / step.tables.root).iterdir())
    assert left == sorted([*LOGS, "quarantine"])


def test_a_click_on_a_day_that_is_not_made_yet_is_left_to_spark(spark, all_ways, tmp_path):
    step, outcome = all_ways[BY_ARROW]
    only = make_step(spark, step.source.landing.root, tmp_path / "second-day", DAYS[1:])
    assert ingest(only)[DAYS[1]] == outcome[DAYS[1]]


def test_a_damaged_typed_file_is_named(spark, tmp_path):
    folder = tmp_path / "landing" / "clicks" / f"ds={DAY}"
    folder.mkdir(parents=True)
    names = [column.name for column in LOGS["clicks"]]
    schema = pa.schema([arrow_schema("clicks").field(name) for name in names])
    rows = [row("clicks", click_id=f"c{k}", ts=instant(DAY, k)) for k in range(5000)]
    path = folder / "torn.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    content = bytearray(path.read_bytes())
    content[100:1100] = bytes(range(250)) * 4
    path.write_bytes(content)
    step = make_step(spark, tmp_path / "landing", tmp_path / "warehouse")
    with pytest.raises(Exception, match=r"landing file .*torn\.parquet cannot be read") as stop:
        ingest(step)
    assert type(stop.value).__name__ == "InputMissing"
    assert not step.tables.days("clicks")
