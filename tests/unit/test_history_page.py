"""The page of history: which checks failed on which of the last 28 days."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from jobs.reporting.history_page import last_judged, print_history, read_history, write_history
from jobs.storage.reading import read_runs
from jobs.storage.tables import Tables
from pipelines.quality.history_grid import grid, last_days, render_history
from tests.support.report_tables import BASES, DS, row, write_runs

AT = BASES["quality_results"]["checked_at"]
DAYS = last_days(DS)


def result(check: str, back: int, status: str, *, again: int = 0, **changes: object) -> dict:
    """A result of a day, checked for the n-th time."""
    at = AT + timedelta(minutes=again)
    changes |= {"cause": None, "state": None, "checked_at": at}
    return row("quality_results", check=check, status=status, ds=DS - timedelta(days=back),
               **changes)  # fmt: skip


def test_the_latest_result_of_a_day_counts_and_of_slices_the_worst() -> None:
    rows, quiet = grid(
        [
            result("mended", 1, "FAIL"), result("mended", 1, "PASS", again=1),
            result("sliced", 0, "PASS", slice="a"), result("sliced", 0, "WARN", slice="b"),
        ],
        DAYS,
    )  # fmt: skip
    assert [(r.check, r.statuses[-1], r.bad_days) for r in rows] == [("sliced", "WARN", 1)]
    assert quiet == 1
    assert "of b" in rows[0].told[-1]


def test_every_day_has_its_place_and_those_not_made_are_empty() -> None:
    ((only,), _) = grid([result("c", 27, "FAIL"), result("c", 0, "PASS")], DAYS)
    assert len(only.statuses) == 28
    assert (only.statuses[0], only.statuses[1], only.statuses[-1]) == ("FAIL", "", "PASS")


def test_the_newest_failure_comes_first() -> None:
    rows, _ = grid([result("old", 9, "FAIL"), result("new", 0, "WARN")], DAYS)
    assert [row.check for row in rows] == ["new", "old"]


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    made = Tables(str(tmp_path / "warehouse"))
    write_runs(made)
    evil = "<script>alert(1)</script>"
    made.write_rows(
        "quality_results",
        [result("click_rate", 0, "FAIL", slice=evil, expected=evil), result("rows", 3, "PASS")],
        None,
    )
    return made


def test_the_page_works_offline_and_links_the_reports_that_are_there(
    tables: Tables, tmp_path: Path
) -> None:
    reports = tmp_path / "reports"
    reports.mkdir()
    (reports / f"{DS}.html").touch()
    page = write_history(tables, str(reports)).read_text()
    assert re.findall(r'(?:src|href)="([^"]*)"', page) == [f"{DS}.html"]
    assert "url(" not in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "prefers-color-scheme: dark" in page
    assert render_history(read_history(tables, read_runs(tables), DS, reports)) == page


def test_the_terminal_shows_a_sign_a_day(tables: Tables) -> None:
    console = Console(file=io.StringIO(), width=80)
    runs = read_runs(tables)
    print_history(console, read_history(tables, runs, last_judged(runs)))
    said = console.file.getvalue()  # type: ignore[attr-defined]
    (line,) = (line for line in said.splitlines() if "click_rate" in line)
    assert line.rstrip().endswith("✕")
    assert "1 other checks passed" in said
