"""Damaged tables are told with the command that mends them, and it mends them."""

from __future__ import annotations

from pathlib import Path

import pytest
from deltalake import DeltaTable

from jobs.__main__ import main
from jobs.setup.exits import ExitCode, UsageError
from jobs.storage.mending import ASIDE
from tests.golden.digests import table_digest
from tests.support.chain import Chain
from tests.support.driver_races import digests
from tests.unit.conftest import PUBLISHED


@pytest.fixture
def damaged(chain: Chain, tmp_path: Path) -> Chain:
    """A copy, to be damaged."""
    return chain.duplicate(tmp_path / "copy")


def last_entry(chain: Chain, table: str) -> Path:
    return max((chain.root / table / "_delta_log").glob("*.json"))


def mend(chain: Chain, *more: str) -> int:
    return main(["mend", "--root", str(chain.root), *more])


@pytest.mark.parametrize(("table", "bytes_left"), [("features", 0), ("features", 200), ("runs", 0)])
def test_a_cut_log_is_refused_and_mended_and_its_days_are_made_again(
    damaged: Chain, chain: Chain, table: str, bytes_left: int, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = last_entry(damaged, table)
    entry.write_bytes(entry.read_bytes()[:bytes_left])
    with pytest.raises(UsageError, match=r"is damaged .*`promoted-ctr mend`"):
        damaged.make("publish_scores", *PUBLISHED)
    assert mend(damaged, "--dry-run") == ExitCode.DONE
    assert entry.stat().st_size == bytes_left
    assert mend(damaged) == ExitCode.DONE
    assert list((damaged.root / ASIDE / table).iterdir())
    assert f"of {table} cannot be read" in capsys.readouterr().out
    assert damaged.make("publish_scores", *PUBLISHED)
    assert digests(damaged) == digests(chain)
    assert not damaged.make("publish_scores", *PUBLISHED)
    assert mend(damaged) == ExitCode.DONE
    assert "tables are whole" in capsys.readouterr().out


def test_a_record_that_is_appended_to_loses_only_what_was_damaged(
    damaged: Chain, chain: Chain
) -> None:
    log = sorted((damaged.root / "quality_results" / "_delta_log").glob("*.json"))
    log[0].write_bytes(b"")
    rows = len(chain.tables.read_arrow("quality_results"))
    assert mend(damaged) == ExitCode.DONE
    assert len(damaged.tables.read_arrow("quality_results")) == rows
    log[2].write_bytes(b"cut")
    assert mend(damaged) == ExitCode.DONE
    assert 0 < len(damaged.tables.read_arrow("quality_results")) < rows


def test_the_commands_that_it_names_bring_lost_files_back(
    damaged: Chain, chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = sorted(DeltaTable(damaged.root / "reliability").file_uris())
    first = Path(lost[0].removeprefix("file://"))
    first.unlink()
    day = first.parent.name.removeprefix("ds=")
    assert mend(damaged) == ExitCode.DONE
    said = capsys.readouterr().out
    assert f"promoted-ctr evaluate_models --start {day} --end {day}" in said
    assert table_digest(damaged, "reliability") != table_digest(chain, "reliability")
    (again,) = [at for name, at in chain.records if name == "evaluate_models" and str(at) == day]
    damaged.make("evaluate_models", again)
    assert table_digest(damaged, "reliability") == table_digest(chain, "reliability")
