"""What a source declares, which files stand for which day, and what a change of them changes."""

from datetime import date
from pathlib import Path

import pytest

from jobs.landing.files import PathPattern
from jobs.landing.sources import Source
from jobs.setup.exits import InputMissing, UsageError
from jobs.setup.project import source_names
from pipelines.logs.reasons import REASONS
from schemas.logs import LOGS

SOURCE = """
what = "a test"
[views.impressions]
path = "shown/{ds:%Y%m%d}/*.csv"
[views.world]
path = "world.csv"
first_day = 2026-01-01
last_day = 2026-01-03
[logs.impressions]
views = ["impressions"]
[logs.clicks]
views = ["world"]
"""


@pytest.fixture
def landing(tmp_path):
    root = tmp_path / "landing"
    for name in ("shown/20260102/a.csv", "shown/20260101/a.csv", "world.csv"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a,b\n1,2\n")
    return root


def write_source(folder, text=SOURCE, logs=("impressions", "clicks")):
    folder.mkdir(exist_ok=True)
    (folder / "source.toml").write_text(text)
    for log in logs:
        (folder / f"{log}.sql").write_text(f"SELECT * FROM {log}")
    return folder


@pytest.fixture
def source(tmp_path, landing):
    return Source.load(write_source(tmp_path / "mine"), landing)


@pytest.mark.parametrize(
    ("pattern", "path", "day"),
    [
        ("clicks/ds={ds}/*", "clicks/ds=2026-01-02/part-0.jsonl", date(2026, 1, 2)),
        ("c/{ds:y=%Y/m=%m/d=%d}/*", "c/y=2026/m=01/d=02/x", date(2026, 1, 2)),
        ("{ds:%Y%m%d}-*.csv", "20260102-7.csv", date(2026, 1, 2)),
        ("clicks/ds={ds}/*", "clicks/ds=2026-01-02/deeper/x", False),
        ("a.b/*", "aXb/c", False),
        ("one.csv", "one.csv", True),
    ],
)
def test_a_path_tells_its_day(pattern, path, day):
    assert PathPattern(pattern).match(path) == day


def test_a_path_with_an_impossible_day_is_named():
    with pytest.raises(UsageError, match=r"ds=2026-13-45/x.*no valid date"):
        PathPattern("ds={ds}/*").match("ds=2026-13-45/x")


def test_days_come_from_paths_or_from_the_declaration(source):
    assert source.days("impressions") == [date(2026, 1, 1), date(2026, 1, 2)]
    assert source.days("clicks") == [date(2026, 1, day) for day in (1, 2, 3)]
    assert source.days("listings") == []
    assert source.last_complete_day() == date(2026, 1, 2)


def test_a_log_of_one_file_has_no_days_until_the_file_is_there(tmp_path, landing):
    (landing / "world.csv").unlink()
    assert Source.load(write_source(tmp_path / "mine"), landing).days("clicks") == []


def test_hidden_files_are_no_landing_files(tmp_path, landing):
    for name in (".part.draft", "_SUCCESS"):
        (landing / "shown/20260101" / f"{name}.csv").write_text("")
    source = Source.load(write_source(tmp_path / "mine"), landing)
    names = [name for name, _, _ in source.files("impressions", date(2026, 1, 1))]
    assert names == ["shown/20260101/a.csv", "impressions.sql"]


def test_the_fingerprint_of_a_day_follows_its_files_and_its_select_only(tmp_path, landing):
    days = [date(2026, 1, 1), date(2026, 1, 2)]

    def fingerprints():
        source = Source.load(tmp_path / "mine", landing)
        return [source.files("impressions", day) for day in days]

    write_source(tmp_path / "mine")
    first, second = fingerprints()
    (landing / "shown/20260102/a.csv").write_text("a,b\n1,2\n3,4\n")
    assert fingerprints()[0] == first
    assert fingerprints()[1] != second
    (tmp_path / "mine/impressions.sql").write_text("SELECT 1")
    assert fingerprints()[0] != first


def test_files_that_do_not_tell_their_day_are_among_those_of_each(tmp_path, landing):
    source = Source.load(write_source(tmp_path / "mine", SOURCE), landing)
    for day in (date(2026, 1, 1), date(2026, 1, 3)):
        assert [file.name for file in source.day_files("world", [day])] == ["world.csv"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("what =", "wat = 1\nwhat ="), "wat: unknown key"),
        (('path = "world.csv"', 'path = "/etc/world.csv"'), "under the landing directory"),
        (('path = "world.csv"', 'path = "../world.csv"'), "under the landing directory"),
        (("first_day = 2026-01-01\n", ""), "belong together"),
        (('["world"]', '["moon"]'), "moon"),
        (("[logs.clicks]", "[logs.klicks]"), "no log klicks"),
        (("{ds:%Y%m%d}", "{ds:%Y%m}"), "needs %Y, %m and %d"),
        (('what = "a test"', "what ="), "Invalid value"),
    ],
)
def test_a_mistake_in_a_declaration_is_told(tmp_path, landing, change, message):
    assert change[0] in SOURCE
    with pytest.raises(UsageError, match=message):
        Source.load(write_source(tmp_path / "mine", SOURCE.replace(*change)), landing)


def test_a_log_without_its_select_is_told(tmp_path, landing):
    folder = write_source(tmp_path / "mine", logs=("impressions",))
    with pytest.raises(UsageError, match=r"clicks\.sql"):
        Source.load(folder, landing)


def test_an_unknown_source_lists_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match="canonical, open_bandit, trivago_2019"):
        Source.load("nope", tmp_path)


def test_a_landing_directory_that_is_not_there_is_missing_input(tmp_path):
    with pytest.raises(InputMissing, match="is not there"):
        Source.load("canonical", tmp_path / "nowhere").days("impressions")


def test_every_shipped_source_loads_and_has_all_logs(tmp_path):
    assert "canonical" in source_names()
    for name in source_names():
        assert Source.load(name, tmp_path).logs == tuple(LOGS)


def test_the_documents_tell_every_reason_and_column():
    text = (Path(__file__).parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")
    for reason in REASONS:
        assert f"| `{reason}` | " in text
    for columns in LOGS.values():
        for column in columns:
            assert f"{column.name}{'?' if column.nullable else ''}" in text
