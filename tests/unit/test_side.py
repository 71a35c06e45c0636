"""A side warehouse shares what is there, and neither sees what the other does later."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from jobs.commands.compare import judged_pair
from jobs.setup.exits import LockHeld, UsageError
from jobs.storage.lock import WriterLock
from jobs.storage.side import main_of, make_side
from jobs.storage.tables import Tables
from pipelines.models.metrics import evaluate
from tests.support.world import call

DAYS = [date(2026, 1, 1), date(2026, 1, 2)]


def rates(day, clicks):
    return {
        "ds": day, "surface": "search", "impressions": 100, "clicks": clicks, "non_click_rate": 0.5,
    }  # fmt: skip


@pytest.fixture
def main(tmp_path):
    tables = Tables(str(tmp_path / "main"))
    tables.create(["runs", "alerts"])
    tables.write_rows("sampling_rates", [rates(day, 1) for day in DAYS], DAYS)
    return tables


def bytes_of(folder):
    found = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes() for name, path in found.items() if not name.name.startswith(".lock")
    }


def clicks_of(tables):
    rows = tables.read_arrow("sampling_rates").sort_by("ds").to_pylist()
    return [row["clicks"] for row in rows]


def test_a_side_has_the_rows_of_the_main_one_and_changes_no_byte_of_it(main, tmp_path):
    before = bytes_of(tmp_path / "main")
    assert make_side(main.root, str(tmp_path / "side"))
    side = Tables(str(tmp_path / "side"))
    assert clicks_of(side) == [1, 1]
    side.write_rows("sampling_rates", [rates(DAYS[1], 7)], DAYS[1:])
    side.delta("sampling_rates").vacuum(0, dry_run=False, enforce_retention_duration=False)
    assert clicks_of(side) == [1, 7]
    assert clicks_of(main) == [1, 1]
    assert bytes_of(tmp_path / "main") == before


def test_what_the_main_one_does_later_the_side_does_not_see(main, tmp_path):
    make_side(main.root, str(tmp_path / "side"))
    main.write_rows("sampling_rates", [rates(day, 9) for day in DAYS], DAYS)
    main.delta("sampling_rates").vacuum(0, dry_run=False, enforce_retention_duration=False)
    assert clicks_of(Tables(str(tmp_path / "side"))) == [1, 1]


def test_unchanged_files_take_no_room_and_alerts_are_not_shared(main, tmp_path):
    make_side(main.root, str(tmp_path / "side"))
    shared = list((tmp_path / "side").glob("sampling_rates/ds=*/*.parquet"))
    assert [path.stat().st_nlink for path in shared] == [2] * len(shared) != []
    assert not Tables(str(tmp_path / "side")).exists("alerts")


def test_a_second_call_goes_on_in_the_side_that_is_there(main, tmp_path):
    make_side(main.root, str(tmp_path / "side"))
    Tables(str(tmp_path / "side")).write_rows("sampling_rates", [rates(DAYS[0], 5)], DAYS[:1])
    assert not make_side(main.root, str(tmp_path / "side"))
    assert clicks_of(Tables(str(tmp_path / "side"))) == [5, 1]
    assert main_of(str(tmp_path / "side")) == main.root


def test_a_folder_in_use_and_a_warehouse_that_is_written_are_refused(main, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    for folder in ("other", "main", "main/within"):
        with pytest.raises(UsageError, match="is in use"):
            make_side(main.root, str(tmp_path / folder))
    with pytest.raises(UsageError, match="there is no warehouse"):
        make_side(str(tmp_path / "nothing"), str(tmp_path / "side"))
    with WriterLock(main.root), pytest.raises(LockHeld):
        make_side(main.root, str(tmp_path / "side"))
    assert not (tmp_path / "side").exists()


def test_a_difference_is_judged_on_the_same_rows_and_has_an_interval():
    draws = np.random.default_rng(1)
    p = draws.uniform(0.02, 0.5, 4000)
    rows = pa.table(
        {
            "user_key": np.arange(4000),
            "clicked": draws.uniform(size=4000) < p,
            "segment": ["warm"] * 4000,
            "main": np.full(4000, p.mean()),
            "side": p,
        }
    )
    told = {(r.model, r.metric): r for r in evaluate(judged_pair(rows)) if r.segment == "mixed"}
    change = told["side", "log_loss_difference"]
    assert change.high < 0.0
    assert change.value == pytest.approx(
        told["side", "log_loss"].value - told["main", "log_loss"].value
    )


def test_both_are_compared_where_both_have_judged(tmp_path):
    def judged(root, p):
        tables = Tables(str(tmp_path / root))
        models = ("baseline", "historical", "content", "ensemble", "joint", "click")
        rows = [
            {
                "impression_id": f"i{k}", "user_key": k, "clicked": k % 4 == 0, "segment": "warm",
                "ds": DAYS[0], **{f"p_{model}": p for model in models},
            }
            for k in range(40)
        ]  # fmt: skip
        tables.write_rows("scored_traffic", rows, DAYS[:1])
        tables.create(["runs"])
        return tables

    main = judged("main", 0.1)
    make_side(main.root, str(tmp_path / "side"))
    judged("side", 0.25)
    told = call(["compare", str(tmp_path / "side")])
    assert told.code == 0, told
    assert "40 impressions and 10 clicks" in told.out
    (line,) = [line for line in told.out.splitlines() if line.startswith("promised/clicks")]
    assert line.split()[1:5] == ["mixed", "0.400", "1.000", "+0.600"]
    assert call(["compare", str(tmp_path / "main")]).code == 2
