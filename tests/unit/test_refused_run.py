"""A day that a gate refuses, by the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs import publish_scores
from tests.support.chain import Chain
from tests.unit.conftest import PUBLISHED

LAST = PUBLISHED[-1]
# What no model reaches, and what the whole interval of this small day leaves out.
STRICT = ("publish.min_ratio=50.0", "publish.max_ratio=60.0")


@pytest.mark.parametrize("command", ["run", "publish_scores"])
def test_a_refused_day_ends_with_10_each_time_and_is_never_done(
    command: str, chain: Chain, tmp_path: Path
) -> None:
    made = chain.duplicate(tmp_path)
    settings = [word for setting in (*made.settings, *STRICT) for word in ("--set", setting)]
    for name in ("first", "second"):
        called = made.call(command, "--date", str(LAST), "--run-id", name, *settings)
        assert called.code == 10
        assert f"scores of {LAST} are not published" in called.err
        assert "; next: See `promoted-ctr report`: which segments are off" in called.err
    rows = made.tables.read_arrow("runs").to_pylist()
    assert [
        (row["run_id"], row["job"], row["ds"], row["status"], row["exit_code"], row["published"])
        for row in sorted(rows, key=lambda row: row["ended"])[-2:]
    ] == [(name, "publish_scores", LAST, "refused", 10, False) for name in ("first", "second")]
    assert len(rows) == chain.tables.read_arrow("runs").num_rows + 2


@pytest.mark.parametrize("refused", [0, None])
def test_a_backfill_says_how_many_days_are_published_and_each_has_its_report(
    refused: int | None, chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = chain.duplicate(tmp_path)
    shares = {day: 0.5 if at == refused else 1.0 for at, day in enumerate(PUBLISHED)}
    monkeypatch.setattr(publish_scores, "_coverage", lambda step, day: shares[day])
    words = [word for setting in made.settings for word in ("--set", setting)]
    # Another limit, so that the days are judged again.
    words += ["--set", "publish.min_coverage=0.9", "--start", str(PUBLISHED[0]), "--end", str(LAST)]
    called = made.call("backfill", *words)
    pages = {path.stem for path in made.reports.glob("2*.html")}
    if refused is None:
        assert called.code == 0
        assert "2 of 2 days are published\n" in called.out
        assert pages == {str(day) for day in PUBLISHED}
    else:
        assert called.code == 10
        assert f"1 of 2 days are published; scores of {PUBLISHED[0]} are not" in called.err
        assert f"1 of 2 days are published, but not {PUBLISHED[0]}\n" in called.out
        assert pages == {str(LAST)}
