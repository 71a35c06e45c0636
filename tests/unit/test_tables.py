"""Tables without Spark: empty reads, days replaced exactly, differences from the contract named."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyspark.sql import types as T

from jobs.setup.exits import UsageError
from jobs.storage.contracts import ContractError, contract_differences
from jobs.storage.delta_log import day_condition
from jobs.storage.reading import read_where
from jobs.storage.tables import Tables
from schemas.catalog import TABLES
from tests.support.rows import DAY, row

NEXT = DAY + timedelta(days=1)
THIRD = DAY + timedelta(days=2)
NAME = "entity_priors"


@pytest.fixture
def plain(tmp_path):
    return Tables(str(tmp_path / "warehouse"))


def priors(day, *strengths):
    return [row(NAME, entity_type=f"e{k}", strength=s, ds=day) for k, s in enumerate(strengths)]


def stored(tables, days=None):
    found = tables.read_arrow(NAME, days, columns=["ds", "strength"])
    return sorted((one["ds"], one["strength"]) for one in found.to_pylist())


def test_an_absent_table_reads_as_no_rows_of_its_columns(plain):
    found = plain.read_arrow(NAME, [DAY])
    assert (found.num_rows, tuple(found.column_names)) == (0, TABLES[NAME].column_names)
    assert (plain.days(NAME), plain.version(NAME), plain.row_counts(NAME)) == (set(), -1, {})
    assert not plain.exists(NAME)


def test_no_days_read_as_no_rows(plain):
    plain.write_rows(NAME, priors(DAY, 1.0), [DAY])
    assert plain.read_arrow(NAME, []).num_rows == 0


def test_exactly_the_days_given_are_replaced(plain):
    plain.write_rows(NAME, priors(DAY, 1.0) + priors(NEXT, 2.0) + priors(THIRD, 3.0), None)
    plain.write_rows(NAME, priors(DAY, 4.0, 5.0) + priors(THIRD, 6.0), [DAY, THIRD])
    assert stored(plain) == [(DAY, 4.0), (DAY, 5.0), (NEXT, 2.0), (THIRD, 6.0)]
    assert stored(plain, [NEXT]) == [(NEXT, 2.0)]
    assert plain.days(NAME) == {DAY, NEXT, THIRD}
    assert plain.row_counts(NAME) == {DAY: 2, NEXT: 1, THIRD: 1}


def test_a_day_replaced_by_nothing_is_gone(plain):
    plain.write_rows(NAME, priors(DAY, 1.0) + priors(NEXT, 2.0), [DAY, NEXT])
    plain.write_rows(NAME, [], [DAY])
    assert stored(plain) == [(NEXT, 2.0)]


def test_a_row_of_another_day_is_refused_and_nothing_is_written(plain):
    plain.write_rows(NAME, priors(DAY, 1.0), [DAY])
    for of, written in ((NEXT, DAY), (DAY, NEXT)):
        with pytest.raises(ContractError, match=f"rows of {of}"):
            plain.write_rows(NAME, priors(of, 9.0), [written])
    assert stored(plain) == [(DAY, 1.0)]


def test_what_another_writer_has_written_is_read(plain):
    plain.write_rows(NAME, priors(DAY, 1.0), [DAY])
    Tables(plain.root).write_rows(NAME, priors(NEXT, 2.0), [NEXT])
    assert stored(plain) == [(DAY, 1.0), (NEXT, 2.0)]


def test_rows_are_found_by_text_in_files_from_which_others_took_some(plain):
    plain.write_rows(NAME, priors(DAY, 1.0, 2.0, 3.0), [DAY])
    plain.delta(NAME).delete("entity_type = 'e0'")
    by_text = pc.field("entity_type") == "e2"
    found = plain.read_arrow(NAME, columns=["strength"], condition=by_text)
    assert found.to_pylist() == [{"strength": 3.0}]
    rows = read_where(plain, NAME, [DAY], by_text)
    assert rows.column_names == list(TABLES[NAME].column_names)
    assert rows["strength"].to_pylist() == [3.0]


def test_the_same_days_written_again_are_the_same_rows(plain):
    for _ in range(2):
        plain.write_rows(NAME, priors(DAY, 1.0, 2.0), [DAY])
    assert stored(plain) == [(DAY, 1.0), (DAY, 2.0)]


def test_what_breaks_a_constraint_is_refused(plain):
    with pytest.raises(Exception, match="1 rows failed validation check"):
        plain.write_rows(NAME, priors(DAY, -1.0), [DAY])
    assert stored(plain) == []


def test_columns_that_are_missing_or_unknown_are_named(plain):
    table = pa.table({"ds": [DAY], "entity_type": ["x"], "extra": [1]})
    with pytest.raises(ContractError, match=r"entities.*extra.*strength"):
        plain.write_arrow(NAME, table, [DAY])


def test_every_difference_of_a_frame_is_named():
    declared = TABLES[NAME]
    fields = [f for f in declared.struct.fields if f.name not in ("surface", "strength")]
    frame = SimpleNamespace(
        schema=T.StructType(
            [*fields, T.StructField("strength", T.StringType()), T.StructField("x", T.LongType())]
        )
    )
    assert contract_differences(declared, frame.schema) == [
        "missing column surface (string)",
        "unknown column x",
        "column strength is string, declared double",
    ]
    assert contract_differences(declared, declared.struct) == []


def test_days_are_a_range_where_they_are_contiguous():
    assert day_condition([NEXT, DAY]) == f"ds >= '{DAY}' AND ds <= '{NEXT}'"
    assert day_condition([THIRD, DAY]) == f"ds IN ('{DAY}', '{THIRD}')"
    with pytest.raises(ValueError, match="no days"):
        day_condition([])


def test_a_session_that_was_not_given_is_not_made_up(plain):
    with pytest.raises(RuntimeError, match="without a Spark session"):
        _ = plain.spark


def test_a_root_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write to"):
        Tables(str(tmp_path / "file" / "below")).create([NAME])


@pytest.mark.parametrize("name", ["in [1]", "a]b", "wh%20x", "a^b", "a|b", "a\\b"])
def test_a_folder_that_delta_would_misread_is_refused_in_a_line_before_any_work(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(UsageError, match="choose another --root") as told:
        Tables(str(tmp_path / name))
    assert "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["with a blank", "100%", "a#b", "ä", "{x}", "a*b"])
def test_other_names_of_folders_hold_tables(tmp_path: Path, name: str) -> None:
    tables = Tables(str(tmp_path / name))
    tables.create(["runs"])
    assert tables.exists("runs")
    assert (tmp_path / name / "runs" / "_delta_log").is_dir()
