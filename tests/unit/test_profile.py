"""`profile`: a draft that loads as it is, holds on the days it was made of, and finds faults."""

import tomllib
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from jobs.storage.tables import Tables
from tests.support.report_tables import row
from tests.support.world import call

DAYS = [date(2026, 2, 1) + timedelta(days=k) for k in range(10)]


def orders(days, *, scale=1.0, country="DE", twice=0, hours=24, missing=0):
    rows = [
        {
            "order": n if n >= twice else 0, "price": (5.0 + n % 7) * scale, "quantity": 1 + n % 3,
            "country": country if n == 5 else ("FR" if n % 2 else "D'E"),
            "text": f"t{day}{n}" if n >= missing else None, "paid": n % 4 == 0,
            "Odd name": -float(n), "tags": ["x"],
            "at": datetime(day.year, day.month, day.day, n % hours, tzinfo=UTC), "ds": day,
        }
        for day in days
        for n in range(200)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows)


@pytest.fixture(scope="module")
def drafted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("profile")
    address = str(folder / "orders")
    write_deltalake(address, orders(DAYS[:9], country="FR"), partition_by=["ds"])
    file = folder / "rules" / "orders.toml"
    called = call(["profile", address, "--keys", "order", "--output", str(file)])
    assert called.code == 0, called.err
    return file


def statuses(tmp_path, file, table):
    path = tmp_path / "orders.parquet"
    pq.write_table(table, path)
    called = call(["check", "--table", str(path), "--rules", str(file), "--dry-run"])
    assert called.code == 0, called.err
    lines = [line.split() for line in called.out.splitlines()]
    return {line[0]: line[1] for line in lines if len(line) > 1 and line[1].isupper()}


def test_it_holds_on_every_day_that_it_was_drafted_from(tmp_path, drafted):
    for day in DAYS[:9]:
        found = statuses(tmp_path, drafted, orders([day], country="FR"))
        assert set(found.values()) <= {"PASS", "SKIP"}, found
    names = {rule["name"] for rule in tomllib.loads(drafted.read_text())["rule"]}
    assert names >= {
        "rows", "rows_against_history", "duplicate_keys", "text_missing", "price_max",
        "odd_name_min", "paid_share", "country_unknown", "at_missing_hours",
    }  # fmt: skip
    assert "text_unknown" not in names


@pytest.mark.parametrize(
    ("fault", "broken"),
    [
        ({"scale": 100.0}, {"price_max", "price_mean"}),
        ({"country": "XX"}, {"country_unknown"}),
        ({"twice": 3}, {"duplicate_keys"}),
        ({"hours": 20}, {"at_missing_hours"}),
        ({"missing": 9}, {"text_missing"}),
    ],
)
def test_it_finds_what_has_not_been_there_before(tmp_path, drafted, fault, broken):
    found = statuses(tmp_path, drafted, orders([DAYS[9]], **{"country": "FR", **fault}))
    assert {name for name, status in found.items() if status == "WARN"} == broken


def test_it_says_what_it_was_drafted_from_and_what_was_measured(drafted):
    text = drafted.read_text()
    assert text.startswith(f"# Drafted from 9 days, {DAYS[0]} .. {DAYS[8]}, of orders.\n")
    assert "# measured: 11\n" in text
    assert "order_max" not in text


def test_a_rule_that_does_not_hold_on_each_day_is_left_out_and_named(tmp_path):
    tables = [orders(DAYS[:8]), *(orders(DAYS[8:9]) for _ in range(6))]
    pq.write_table(pa.concat_tables(tables), tmp_path / "orders.parquet")
    called = call(["profile", str(tmp_path / "orders.parquet")])
    assert "do not hold on each of these days: rows_against_history." in called.out
    assert '"rows_against_history"' not in called.out


def test_the_draft_of_a_stored_table_joins_the_rules_that_come_with_it(tmp_path):
    tables = Tables(str(tmp_path / "warehouse"))
    rows = [row("listings", listing_id=f"l{n}", ds=day) for day in DAYS[:3] for n in range(5)]
    tables.write_rows("listings", rows, DAYS[:3])
    places = ["--root", str(tmp_path / "warehouse")]
    own = tmp_path / "own"
    called = call(["profile", "listings", "--output", str(own / "quality" / "mine.toml"), *places])
    assert called.code == 0, called.err
    settings = ["--project", str(own), "--set", "quality.great_expectations=false"]
    called = call(["check", "--date", str(DAYS[2]), "--table", "listings", *places, *settings])
    assert called.code == 0, called.err
    results = tables.read_arrow("quality_results").to_pylist()
    found = {r["check"]: r["status"] for r in results}
    assert found["own_rows"] == found["rows"] == found["price_min"] == "PASS"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("listings --root {empty}", 20, "there is no table listings in"),
        ("/nowhere", 20, "there is no table at /nowhere"),
        ("{there} --keys nose", 2, "no column nose"),
        ("{there} --days 0", 2, "--days"),
        ("{there} --date 2020-01-01", 20, "no row in the 14 days to 2020-01-01"),
        ("{there} --output {there}", 2, "--force"),
    ],
)
def test_a_wrong_call_says_what_to_do(tmp_path, words, code, says):
    there = tmp_path / "orders.parquet"
    pq.write_table(orders(DAYS[:1]), there)
    called = call(["profile", *words.format(there=there, empty=tmp_path / "empty").split()])
    assert (called.code, called.err.count("\n")) == (code, 1)
    assert says in called.err
