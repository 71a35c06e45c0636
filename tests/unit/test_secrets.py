"""Secrets that a run is given appear nowhere; what others wrote does nothing where it is shown."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from jobs.__main__ import main
from jobs.reporting.terminal import PlainConsole
from jobs.setup.config_layers import load_config
from jobs.setup.exits import ExitCode, UsageError
from pipelines.plain import finalized
from pipelines.quality.alert_text import plain
from pipelines.quality.duck import connect
from tests.support.bad_nights import places
from tests.support.driver import drive
from tests.support.world import World, day, tiny

PLANTED = "planted-5f1c8e"
"""Part of every secret."""
TITLE = "shoe\x1b[31m\x9b2J\u202e<b>\n[x](http://evil)"


def found_in(folder: Path) -> list[str]:
    """Files that hold a secret."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [
        str(path.relative_to(folder)) for path in files if PLANTED.encode() in path.read_bytes()
    ]


def test_planted_secrets_are_in_no_output_and_in_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GONE"):
        monkeypatch.setenv(name, f"{PLANTED}-{name}")
    monkeypatch.setenv("ROUTE", f"json://user:{PLANTED}@127.0.0.1:9/{PLANTED}")
    monkeypatch.setenv("PROMOTED_CTR__SPARK__SETTINGS__spark.hadoop.fs.s3a.secret.key", PLANTED)
    landing = World.make(tmp_path / "world", tiny(2)).landing
    root = tmp_path / "out" / "warehouse"
    where = places(str(root), landing)
    where += [
        "--set",
        f"alerts.routes=[{{to='json://u:{PLANTED}@127.0.0.1:9/'}},{{to='ENV:ROUTE'}}]",
    ]
    where += ["--set", f"spark.settings.spark.hadoop.fs.s3a.access.key='{PLANTED}'"]
    said = tmp_path / "out" / "said"
    said.mkdir(parents=True)
    # The first day has nothing to judge it: it is refused, and told on both routes.
    assert drive(["run", "--date", str(day(1)), "--verbose", *where], said).code == ExitCode.QUALITY
    shown = drive(["config", *where], said).out
    for name in ("access", "secret"):
        assert f'"spark.hadoop.fs.s3a.{name}.key": "***"' in shown
    assert '"to": "json://***"' in shown
    for words in (
        ["run", "--print-config"], ["run", "--dry-run"], ["runs", "--format", "json"],
        ["alerts"], ["report"], ["alerts", "test"], ["maintain"],
        ["run", "--set", f"storage.options.AWS_SECRET_ACCESS_KEY='{PLANTED}'"],
        ["run", "--set", f"storage.root='s3://user:{PLANTED}@bucket/x'"],
        ["run", "--verbose", "--set", f"alerts.routes=[{{to=7, from='{PLANTED}'}}]"],
    ):  # fmt: skip
        drive([*words, *where] if "--set" not in words else [*words[:1], *where, *words[1:]], said)
    assert (root / "alerts").is_dir()
    assert len(list(said.iterdir())) > 20
    assert found_in(tmp_path / "out") == []


def test_a_refused_credential_is_named_and_not_shown() -> None:
    with pytest.raises(UsageError, match="AWS_SECRET_ACCESS_KEY") as refused:
        load_config(settings=[f"storage.options.AWS_SECRET_ACCESS_KEY='{PLANTED}'"], environment={})
    assert PLANTED not in str(refused.value)


def test_what_a_title_holds_is_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    console = PlainConsole(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
    table = Table("title")
    table.add_row(TITLE.partition("\n")[0])
    console.print(table)
    console.print(TITLE, markup=False, highlight=False)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert not set(printed) & set("\x1b\x9b\u202e")
    assert r"\x1b[31m\x9b2J\u202e" in printed
    assert isinstance(console, Console)
    assert main(["run", "--source", TITLE]) == ExitCode.USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert not set(line) & set("\x1b\x9b\u202e")


def test_an_alert_gives_no_link_another_name() -> None:
    assert plain("see [x](http://evil) 3 <= 4") == "see [x] (http://evil) 3 <= 4"
    assert not set(plain(TITLE)) & set("\x1b\x9b\u202e\n")


def test_a_page_shows_marks_that_turn_the_direction_of_writing() -> None:
    assert finalized("a\u202eb\nc") == "a\\u202eb\nc"
    assert finalized(3.0) == 3.0


def test_rules_reach_no_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(PLANTED)
    with connect() as connection, pytest.raises(Exception, match="disabled by configuration"):
        connection.sql(f"SELECT * FROM read_text('{secret}')").fetchall()
