"""Files that tasks write: what they hold, what they refuse, and that a commit swaps whole days."""

import re
from datetime import date, timedelta
from itertools import product
from types import SimpleNamespace

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.storage import day_file_writer, task_writes
from jobs.storage.constraints import check_rows, expression
from jobs.storage.contracts import ContractError, arrow_schema
from jobs.storage.day_file_writer import DayFileWriter
from jobs.storage.day_files import WRITTEN, DataFile, read_file
from jobs.storage.day_reader import wanted
from jobs.storage.delta_log import logged_files
from jobs.storage.stored_parts import ONE_PART
from jobs.storage.tables import Tables
from jobs.storage.task_writes import write_unit_tables, write_units
from schemas.catalog import TABLES
from tests.support.local_spark import LocalSpark
from tests.support.rows import DAY, arrow_rows, later

NAME = "impressions"
NEXT = DAY + timedelta(days=1)
CONDITIONS = sorted({c for table in TABLES.values() for c in table.constraints.values()})


@pytest.mark.parametrize(
    "condition",
    [
        *CONDITIONS,
        "x IS NOT NULL AND (x < 1 OR x > 2)",
        "surface = 'search' OR x >= -0.5 AND x <= y",
    ],
)
def test_a_condition_means_what_it_means_in_sql(condition):
    numbers = (None, -1.0, 0.0, 0.5, 1.0, 3.0)
    words = (None, "search", "promoted", "PASS", "clicks", "AND", "page", "open")
    known = ("surface", "log", "status", "severity", "state")
    names = sorted(set(columns_of(condition)))
    rows = list(product(*(words if name in known else numbers for name in names)))
    table = pa.table(
        {
            name: pa.array([row[k] for row in rows], pa.string() if name in known else pa.float64())
            for k, name in enumerate(names)
        }
    )
    of_sql = duckdb.from_arrow(table).filter(condition).to_arrow_table()
    assert table.filter(expression(condition)).to_pylist() == of_sql.to_pylist()


def columns_of(condition):
    reserved = {"AND", "OR", "IN", "IS", "NOT", "NULL"}
    return set(re.findall(r"[A-Za-z_]\w*", re.sub(r"'[^']*'", "", condition))) - reserved


@pytest.mark.parametrize("condition", ["x + 1 > 2", "x >", "(x > 1", "x LIKE 'a'", "x > 1 x"])
def test_what_is_not_understood_is_refused(condition):
    with pytest.raises(ValueError, match="not understood"):
        expression(condition)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"position": 0}, "position_from_1"),
        ({"surface": "ads"}, "surface_known"),
        ({"listing_id": None}, "listing_id must not be null"),
    ],
)
def test_rows_that_a_constraint_refuses_are_named(changes, message):
    rows = arrow_rows(NAME, [{}, {"impression_id": "i2", **changes}])
    with pytest.raises(ValueError, match=message):
        check_rows(TABLES[NAME], rows)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("listing_scores", {"p_click": 0.0}),
        ("listing_scores", {"p_click": 1.0}),
        ("scored_traffic", {"p_click": 0.0}),
        ("scored_traffic", {"p_click": 1.0}),
        ("sampling_rates", {"non_click_rate": 0.0}),
        ("sampling_rates", {"non_click_rate": 1.1}),
        ("training_samples", {"sampling_rate": 0.0}),
        ("training_samples", {"sampling_rate": 1.1}),
        ("labeled_impressions", {"click_delay_s": -1}),
        ("clicks", {"impression_ds": NEXT}),
        ("listings", {"price": -0.01}),
        ("quality_results", {"status": "GOOD"}),
        ("quarantine", {"log": "pages"}),
    ],
)
def test_what_no_reader_may_ever_find_in_a_table_is_refused(name, changes):
    plain = {
        "p_click": 0.5, "non_click_rate": 1.0, "sampling_rate": 1.0, "click_delay_s": 0,
        "impression_ds": DAY, "price": 0.0, "status": "PASS", "log": "clicks", "position": 1,
        "surface": "search", "ds": DAY,
    }  # fmt: skip
    known = plain.keys() & set(arrow_schema(name).names)
    check_rows(TABLES[name], a_row(name, {key: plain[key] for key in known}))
    with pytest.raises(ValueError, match="a row breaks"):
        check_rows(TABLES[name], a_row(name, {key: plain[key] for key in known} | changes))


def a_row(name, values):
    """A row of any table: of what is not given, something that may not be missing."""
    blank = {
        pa.string(): "x", pa.bool_(): True, pa.date32(): DAY, pa.binary(): b"",
        pa.timestamp("us", "UTC"): later(DAY, hours=1),
    }  # fmt: skip
    schema = arrow_schema(name)
    filled = {f.name: blank.get(f.type, [] if pa.types.is_list(f.type) else 0) for f in schema}
    row = {name: None if schema.field(name).nullable else filled[name] for name in schema.names}
    return pa.Table.from_pylist([row | values], schema=schema)


def shown(*days):
    return arrow_rows(
        NAME,
        [{"impression_id": f"i{k}", "ds": day, "attributes": [("a", str(k))] if k % 2 else None}
         for k, day in enumerate(days)],
    )  # fmt: skip


@pytest.fixture
def tables(tmp_path):
    made = Tables(str(tmp_path / "warehouse"))
    made.create([NAME])
    return made


def write(tables, rows):
    """What a task does with its batches."""
    writer = DayFileWriter(tables.address(NAME), NAME, arrow_schema(NAME))
    return pa.Table.from_batches(writer(iter(rows.to_batches(max_chunksize=2))), WRITTEN)


def stored(tables):
    rows = tables.read_arrow(NAME).sort_by("impression_id")
    return rows.select(rows.column_names).to_pylist()


def test_rows_of_mixed_days_come_back_as_they_were_a_file_a_day(tables):
    rows = shown(NEXT, DAY, NEXT, DAY, DAY)
    written = write(tables, rows)
    assert tables.days(NAME) == set()  # what is not committed, nobody sees
    tables.commit(NAME, written, [DAY, NEXT])
    assert stored(tables) == rows.to_pylist()
    assert tables.row_counts(NAME) == {DAY: 3, NEXT: 2}
    read = [read_file(file, arrow_schema(NAME)) for file in tables.files(NAME, [NEXT])]
    assert [table.num_rows for table in read] == [2]
    assert read[0].schema == arrow_schema(NAME)
    assert set(read[0]["ds"].to_pylist()) == {NEXT}


def test_a_task_that_makes_several_tables_piece_by_piece_leaves_one_file_of_each(tmp_path):
    tables = Tables(str(tmp_path / "warehouse"), LocalSpark)
    pieces = [shown(DAY, NEXT), shown(DAY), shown(NEXT, DAY)]

    def run(number):
        for piece in pieces:
            yield NAME, piece
            yield "clicks", arrow_rows("clicks", [{"ds": DAY}])

    write_unit_tables(tables, 1, run, [DAY, NEXT], {NAME: ONE_PART, "clicks": ONE_PART})
    assert tables.row_counts(NAME) == {DAY: 3, NEXT: 2}
    assert tables.row_counts("clicks") == {DAY: 3}
    assert [file.ds for file in tables.files(NAME, [DAY, NEXT])] == [DAY, NEXT]
    assert len(tables.files("clicks", [DAY])) == 1


def test_of_several_tables_a_task_holds_back_no_more_than_of_one(tmp_path, monkeypatch):
    # Either table alone stays below: only their sum does not.
    size = max(shown(DAY).nbytes, arrow_rows("clicks", [{"ds": DAY}]).nbytes)
    monkeypatch.setattr(task_writes, "BUFFER_BYTES", size)
    tables = Tables(str(tmp_path / "warehouse"), LocalSpark)

    def run(number):
        for _ in range(4):
            yield NAME, shown(DAY)
            yield "clicks", arrow_rows("clicks", [{"ds": DAY}])

    write_unit_tables(tables, 1, run, [DAY], {NAME: ONE_PART, "clicks": ONE_PART})
    for name in (NAME, "clicks"):
        (file,) = tables.files(name, [DAY])
        assert pq.ParquetFile(file.address).num_row_groups > 1
    assert tables.row_counts(NAME) == tables.row_counts("clicks") == {DAY: 4}


def test_of_a_file_only_what_may_hold_the_wanted_values_is_read(tmp_path, monkeypatch):
    tables = Tables(str(tmp_path), LocalSpark)
    kinds = ["listing", "listing", "shop", "user", "user", "user"]
    schema = arrow_schema("entity_history")
    columns = {
        "entity_type": kinds,
        "entity_id": [str(number) for number in range(len(kinds))],
        "ds": [DAY] * len(kinds),
    }
    nothing = [0] * len(kinds)
    rows = pa.table({name: columns.get(name, nothing) for name in schema.names}).cast(schema)
    write_units(tables, "entity_history", 1, lambda number: iter(rows.to_batches()), [DAY])
    (file,) = tables.files("entity_history", [DAY])
    assert pq.ParquetFile(file.address).num_row_groups == 3
    read = []
    whole = pq.ParquetFile.read_row_group

    def telling(self, group, *given, **named):
        read.append(group)
        return whole(self, group, *given, **named)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", telling)
    reader = tables.day_reader("entity_history", [DAY])
    assert reader.among("entity_type", ["user"])(DAY)["entity_id"].to_pylist() == ["3", "4", "5"]
    assert read == [2]
    own = reader.where(wanted(entity_id=pa.array(["1", "2", "3"])))
    found = own.among("entity_type", ["shop", "listing"])(DAY)
    assert found["entity_id"].to_pylist() == ["1", "2"]
    assert read == [2, 0, 1]
    assert len(reader.among("entity_type", ["query"])(DAY)) == 0


def test_a_commit_replaces_exactly_its_days(tables):
    tables.commit(NAME, write(tables, shown(DAY, NEXT)), [DAY, NEXT])
    tables.commit(NAME, write(tables, shown(DAY, DAY, DAY)), [DAY])
    assert tables.row_counts(NAME) == {DAY: 3, NEXT: 1}
    nothing = write(tables, shown().slice(0, 0))
    tables.commit(NAME, nothing, [NEXT])
    assert tables.days(NAME) == {DAY}


def test_a_large_task_writes_all_of_its_rows_part_by_part(tables, monkeypatch):
    monkeypatch.setattr(day_file_writer, "BUFFER_BYTES", 1)
    rows = shown(DAY, NEXT, DAY, NEXT, DAY)
    tables.commit(NAME, write(tables, rows), [DAY, NEXT])
    assert stored(tables) == rows.to_pylist()
    (file,) = tables.files(NAME, [DAY])
    assert pq.ParquetFile(file.address).num_row_groups > 1


def test_files_are_listed_by_day_and_path_whatever_the_order_of_their_commits(tables):
    for day in (NEXT, DAY):
        parts = [write(tables, shown(day)) for _ in range(6)]
        tables.commit(NAME, pa.concat_tables(parts), [day])
    found = tables.files(NAME, [NEXT, DAY])
    assert found == sorted(found, key=lambda file: (file.ds, file.address))
    assert len(found) == 12


def test_files_of_other_days_are_not_committed(tables):
    with pytest.raises(ContractError, match=str(NEXT)):
        tables.commit(NAME, write(tables, shown(DAY, NEXT)), [DAY])
    assert tables.days(NAME) == set()


def test_a_file_of_another_writer_is_read_as_the_table_s_types(tables, tmp_path):
    rows = shown(DAY).drop_columns(["ds"])
    nanoseconds = rows.set_column(1, "ts", rows["ts"].cast(pa.timestamp("ns", "UTC")))
    path = tmp_path / "old.parquet"
    pq.write_table(nanoseconds, path, use_deprecated_int96_timestamps=True)
    read = read_file(DataFile(DAY, str(path)), arrow_schema(NAME))
    assert read.to_pylist() == shown(DAY).to_pylist()


def test_files_of_days_are_read_by_day_and_path_in_whatever_order_the_log_has_them():
    days = ["2026-01-03", "2026-01-01", "2026-01-02", "2026-01-01"]
    entries = pa.record_batch(
        {"path": ["ds=3/a", "ds=1/b", "ds=2/a", "ds=1/a"], "partition.ds": days}
    )
    log = SimpleNamespace(get_add_actions=lambda flatten: entries)
    wanted = [date(2026, 1, 3), date(2026, 1, 1)]
    files = logged_files(log, "/tables/features", wanted)
    assert [file.address.rpartition("features/")[2] for file in files] == [
        "ds=1/a", "ds=1/b", "ds=3/a",
    ]  # fmt: skip
