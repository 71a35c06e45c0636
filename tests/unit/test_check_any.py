"""`check`: any Delta or Parquet table of anybody by a rule file, and the stored tables of a day."""

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from tests.support.report_tables import row
from tests.support.world import call

DAYS = [date(2026, 2, 1) + timedelta(days=k) for k in range(9)]
LAST = DAYS[-1]
RULES = """
table = "prices"
keys = ["id"]
[[rule]]
name = "rows"
kind = "table"
metric = "rows"
min = 3
severity = "block"
why = "nothing is there to look at"
[[rule]]
name = "rows_against_history"
kind = "history"
of = "rows"
min = -5
max = 5
severity = "warn"
why = "a jump of the number of rows"
[[rule]]
name = "twice"
kind = "table"
metric = "duplicate_keys"
max = 0
severity = "warn"
why = "an article that is there twice"
[[rule]]
name = "cheap"
kind = "share"
condition = "price < 1"
max = 0.5
severity = "block"
why = "cheap articles are mistakes"
"""


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text(RULES)
    return path


def prices(days, *, cheap=0, many=10, **column):
    """Articles of some days; `column` names the day column and how a day is written."""
    ((name, written),) = (column or {"ds": lambda day: day}).items()
    rows = [
        {"id": f"a{n}", "price": 0.5 if n < cheap else 5.0, name: written(day)}
        for day in days
        for n in range(many)
    ]
    return pa.Table.from_pylist(rows)


def check(*words):
    return call(["check", *map(str, words)])


@pytest.fixture
def places(tmp_path):
    return ["--set", f"storage.reports={str(tmp_path / 'reports')!r}"]


def test_a_delta_table_is_checked_on_its_newest_day_against_its_own_history(
    tmp_path, rules, places
):
    address = tmp_path / "table"
    write_deltalake(str(address), prices(DAYS), partition_by=["ds"])
    called = check("--table", address, "--rules", rules, *places)
    assert called.code == 0, called.err
    assert "median of 8 days 10" in " ".join(called.out.split())
    assert "all 4 verdicts on 1 tables are the same" in called.out
    index = tmp_path / "reports" / "checked" / "prices" / "index.html"
    assert str(index) in called.out
    assert "prices" in index.read_text()


def test_a_blocking_rule_ends_with_10_and_names_the_day(tmp_path, rules, places):
    address = tmp_path / "table"
    write_deltalake(str(address), pa.concat_tables([prices(DAYS[:-1]), prices([LAST], cheap=9)]))
    called = check("--table", address, "--rules", rules, "--documents", tmp_path / "d", *places)
    assert called.code == 10
    assert f"stopped by quality: prices.cheap of {LAST}: 0.9, expected <= 0.5" in called.err
    assert (tmp_path / "d" / "index.html").is_file()
    earlier = check("--table", address, "--rules", rules, "--date", DAYS[3], "--dry-run", *places)
    assert earlier.code == 0


@pytest.mark.parametrize(
    "written",
    [
        lambda day: day,
        str,
        lambda day: f"{day}T23:59:59Z",
        lambda day: datetime(day.year, day.month, day.day, 23, 59, tzinfo=UTC),
        lambda day: datetime(day.year, day.month, day.day),
    ],
)
def test_days_are_dates_texts_or_times(tmp_path, rules, written):
    table = pa.concat_tables(
        [prices(DAYS[:1], day=written), prices(DAYS[1:2], cheap=9, day=written)]
    )
    file = tmp_path / "prices.parquet"
    pq.write_table(table, file)
    given = ("--table", file, "--rules", rules, "--day-column", "day", "--dry-run")
    assert check(*given).code == 10
    assert check(*given, "--date", DAYS[0]).code == 0
    assert check(*given, "--date", DAYS[4]).code == 20


def test_a_folder_of_day_folders_and_a_table_without_days(tmp_path, rules):
    folder = tmp_path / "folder"
    pq.write_to_dataset(prices(DAYS, ds=str), folder, partition_cols=["ds"])
    assert check("--table", folder, "--rules", rules, "--dry-run").code == 0
    file = tmp_path / "flat.parquet"
    pq.write_table(prices(DAYS[:1]).drop_columns(["ds"]), file)
    called = check("--table", file, "--rules", rules, "--dry-run")
    assert called.code == 0
    assert "0 earlier days" in " ".join(called.out.split())


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (("price < 1", "nose < 1"), 10, "cannot be evaluated"),
        (('keys = ["id"]', ""), 2, "rule twice: say `keys`"),
        (('keys = ["id"]', 'keys = ["nose"]'), 2, "keys: no column nose"),
        (("kind = ", "sort = "), 2, "quality rules:"),
        (('of = "rows"', "of = "), 2, "prices.toml"),
    ],
)
def test_a_wrong_rule_is_told_in_one_line(tmp_path, rules, change, code, says):
    file = tmp_path / "prices.parquet"
    pq.write_table(prices(DAYS[:1]), file)
    rules.write_text(RULES.replace(*change))
    called = check("--table", file, "--rules", rules, "--dry-run")
    assert (called.code, called.err.count("\n")) == (code, 1)
    assert says in called.err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("--table {there} --rules {rules} --day-column nose", 2, "no column nose"),
        ("--table {there} --rules {rules} --day-column price", 2, "days are dates, times or text"),
        ("--table /nowhere --rules {rules}", 20, "there is no table at /nowhere"),
        ("--table {rules} --rules {rules}", 2, "cannot be read as Delta or Parquet"),
        ("--table a --table b --rules {rules}", 2, "give one --table"),
        ("--table {there} --rules /nowhere.toml", 2, "/nowhere.toml"),
        ("--table {there}", 2, "--date"),
        ("--date 2026-02-01 --table {there}", 2, "another table needs --rules"),
        ("--date 2026-02-01 --day-column x", 2, "--day-column goes with --rules"),
    ],
)
def test_a_wrong_call_says_what_to_do(tmp_path, rules, words, code, says):
    file = tmp_path / "prices.parquet"
    pq.write_table(prices(DAYS[:1]), file)
    called = check(*words.format(there=file, rules=rules).split())
    assert (called.code, called.err.count("\n")) == (code, 1)
    assert says in called.err


def test_a_stored_table_is_taken_by_its_name_and_checked_by_its_own_rules(tmp_path, places):
    from jobs.storage.tables import Tables

    tables = Tables(str(tmp_path / "warehouse"))
    tables.write_rows("listings", [row("listings", listing_id="l1", ds=LAST)], [LAST])
    root = ["--root", tmp_path / "warehouse", *places]
    assert check("--date", LAST, "--table", "listings", *root).code == 0
    stored = tables.read_arrow("quality_results").to_pylist()
    assert {r["check"] for r in stored} > {"rows", "great_expectations"}
    own = tmp_path / "own.toml"
    own.write_text(
        'table = "listings"\n[[rule]]\nname = "many"\nkind = "table"\nmetric = "rows"\nmin = 2\n'
        'severity = "block"\nwhy = "one listing is none"\n'
    )
    called = check("--rules", own, "--dry-run", *root)
    assert called.code == 10
    assert "listings.many" in called.err
    assert len(tables.read_arrow("quality_results")) == len(stored)
