"""The simulated marketplace: a pure function of seed and day, with the rates it promises."""

from __future__ import annotations

import csv
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from pipelines.simulation.calibration import calibrate
from pipelines.simulation.canonical import CLICKS, IMPRESSIONS, LISTINGS
from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.days import make_day
from pipelines.simulation.dirty import dirty_kinds
from pipelines.simulation.marketplace import simulate
from pipelines.simulation.randomness import hex_ids, mix64
from pipelines.simulation.world import make_world

SMALL = SimulationConfig(
    days=5,
    listings=200,
    users=100,
    queries=60,
    shops=20,
    vocabulary=200,
    search_impressions_per_day=200,
    promoted_impressions_per_day=200,
)
LOGS = {"impressions": IMPRESSIONS, "clicks": CLICKS, "listings": LISTINGS}


def small(**changes: object) -> SimulationConfig:
    return SMALL.model_copy(update=changes)


def files(root: Path, pattern: str = "**/*") -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.glob(pattern))
        if path.is_file()
    }


def read(root: Path, log: str, day: int) -> pa.Table:
    ds = SMALL.start + timedelta(days=day)
    path = root / "landing" / log / f"ds={ds}" / "part-00000.parquet"
    return pq.read_table(path, partitioning=None)


@pytest.fixture(scope="module")
def five_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("five")
    simulate(SMALL, root / "landing", root / "truth")
    return root


def test_mixing_is_splitmix64() -> None:
    # First outputs of the published generator for seed 0.
    step = np.uint64(0x9E3779B97F4A7C15)
    states = np.array([0, step], np.uint64)
    assert [hex(value) for value in mix64(states)] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4"]


def test_ids_spell_their_keys() -> None:
    keys = np.array([0, 255, 0x0123456789ABCDEF], np.uint64)
    assert hex_ids(keys).to_pylist() == ["0" * 16, "0" * 14 + "ff", "0123456789abcdef"]


def test_days_added_later_equal_days_made_at_once(tmp_path: Path, five_days: Path) -> None:
    for days in (1, 3, 5):
        simulate(small(days=days), tmp_path / "landing", tmp_path / "truth")
    assert files(tmp_path) == files(five_days)


def test_a_second_run_writes_nothing(five_days: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in five_days.rglob("*")}
    again = simulate(SMALL, five_days / "landing", five_days / "truth")
    assert again.days_written == 0
    assert again.impressions == 5 * 400
    assert {path: path.stat().st_mtime_ns for path in five_days.rglob("*")} == before


def test_a_lost_day_is_made_again(tmp_path: Path, five_days: Path) -> None:
    simulate(SMALL, tmp_path / "landing", tmp_path / "truth")
    for path in (tmp_path / "landing").glob("*/ds=2026-01-03/*"):
        path.unlink()
    assert simulate(SMALL, tmp_path / "landing", tmp_path / "truth").days_written == 1
    assert files(tmp_path) == files(five_days)


def test_another_world_is_refused(five_days: Path) -> None:
    with pytest.raises(FileExistsError, match="another world"):
        simulate(small(seed=1), five_days / "landing", five_days / "truth")


def test_seeds_give_different_worlds(tmp_path: Path, five_days: Path) -> None:
    simulate(small(seed=1, days=1), tmp_path / "landing", tmp_path / "truth")
    ids = [set(read(root, "impressions", 0)["impression_id"].to_pylist()) for root in (
        tmp_path, five_days)]  # fmt: skip
    assert not ids[0] & ids[1]


def test_each_day_is_announced(tmp_path: Path) -> None:
    seen: list[tuple[date, int]] = []
    simulate(
        small(days=2),
        tmp_path / "landing",
        tmp_path / "truth",
        lambda day, rows: seen.append((day, rows)),
    )
    assert seen == [(date(2026, 1, 1), 400), (date(2026, 1, 2), 400)]


@pytest.mark.parametrize("log", LOGS)
def test_files_have_the_canonical_columns(five_days: Path, log: str) -> None:
    stored = read(five_days, log, 0)
    assert stored.schema.names == LOGS[log].names
    for field in LOGS[log]:
        if not pa.types.is_nested(field.type):
            assert stored.schema.field(field.name).type == field.type


def test_pages_show_live_listings_once_at_positions_from_one(five_days: Path) -> None:
    for day in range(5):
        shown = read(five_days, "impressions", day).to_pylist()
        live = {row["listing_id"]: row for row in read(five_days, "listings", day).to_pylist()}
        pages: dict[str, list[dict]] = {}
        for row in shown:
            pages.setdefault(row["request_id"], []).append(row)
            assert row["ts"].date() == SMALL.start + timedelta(days=day)
            assert row["surface"] == "search" or live[row["listing_id"]]["is_promoted"]
            assert row["ts"] > live[row["listing_id"]]["created_ts"]
        for rows in pages.values():
            assert sorted(row["position"] for row in rows) == list(range(1, len(rows) + 1))
            assert len({row["listing_id"] for row in rows}) == len(rows)


def test_ids_are_unique_over_all_days(five_days: Path) -> None:
    for log, key in (("impressions", "impression_id"), ("clicks", "click_id")):
        ids = pa.concat_tables([read(five_days, log, day) for day in range(5)])[key]
        assert pc.count_distinct(ids).as_py() == len(ids)


def test_clicks_follow_their_impressions_on_the_day_of_their_own_time(tmp_path: Path) -> None:
    config = small(days=3, search_impressions_per_day=4_000, search_click_rate=0.2)
    simulate(config, tmp_path / "landing", tmp_path / "truth")
    shown = pa.concat_tables([read(tmp_path, "impressions", day) for day in range(3)])
    times = dict(zip(shown["impression_id"].to_pylist(), shown["ts"].to_pylist(), strict=True))
    carried = 0
    for day in range(3):
        ds = config.start + timedelta(days=day)
        for click in read(tmp_path, "clicks", day).to_pylist():
            assert click["ts"].date() == ds
            assert timedelta(0) < click["ts"] - times[click["impression_id"]] < timedelta(days=1)
            carried += times[click["impression_id"]].date() < ds
    assert carried > 0


def test_the_day_after_the_last_holds_the_first_two_hours_of_its_clicks(tmp_path: Path) -> None:
    busy = {"search_impressions_per_day": 4_000, "search_click_rate": 0.2}
    config = small(days=2, **busy)
    simulate(config, tmp_path / "landing", tmp_path / "truth")
    early = read(tmp_path, "clicks", 2)
    last = set(read(tmp_path, "impressions", 1)["impression_id"].to_pylist())
    assert early.num_rows > 0
    assert set(early["impression_id"].to_pylist()) <= last
    assert max(early["ts"].to_pylist()) < datetime(2026, 1, 3, 2, tzinfo=UTC)
    simulate(small(days=3, **busy), tmp_path / "landing", tmp_path / "truth")
    full = {tuple(row.values()) for row in read(tmp_path, "clicks", 2).to_pylist()}
    assert {tuple(row.values()) for row in early.to_pylist()} < full


def test_the_truth_covers_every_impression_and_explains_the_clicks(five_days: Path) -> None:
    probabilities, clicked = [], []
    for day in range(5):
        ds = SMALL.start + timedelta(days=day)
        truth = pq.read_table(five_days / "truth" / f"ds={ds}.parquet")
        shown = read(five_days, "impressions", day)
        for name in ("impression_id", "surface", "listing_id"):
            assert truth[name].to_pylist() == shown[name].to_pylist()
        probabilities.append(truth["probability"].to_numpy())
        clicked.append(truth["clicked"].to_numpy())
    p = np.concatenate(probabilities)
    assert np.all((p > 0) & (p < 1))
    excess = np.concatenate(clicked).sum() - p.sum()
    assert abs(excess) < 4 * np.sqrt((p * (1 - p)).sum())


def test_cold_is_few_impressions_in_the_windows_before(five_days: Path) -> None:
    summary = json.loads((five_days / "truth" / "summary.json").read_text())
    seen: dict[str, int] = {}
    for day in range(5):
        ds = SMALL.start + timedelta(days=day)
        truth = pq.read_table(five_days / "truth" / f"ds={ds}.parquet").to_pylist()
        for row in truth:
            assert row["is_cold"] == (seen.get(row["listing_id"], 0) < summary["cold_threshold"])
        for row in truth:
            seen[row["listing_id"]] = seen.get(row["listing_id"], 0) + 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_default_world_has_the_promised_rates(seed: int) -> None:
    config = SimulationConfig(seed=seed)
    world = make_world(config, 36)
    intercepts, threshold = calibrate(world, config)
    made = [make_day(world, config, intercepts, day) for day in (10, 24, 31)]
    shown = config.search_impressions_per_day
    promoted = np.concatenate([day.probability[shown:] for day in made])
    search = np.concatenate([day.probability[:shown] for day in made])
    assert promoted.mean() == pytest.approx(config.promoted_click_rate, rel=0.12)
    assert search.mean() == pytest.approx(config.search_click_rate, rel=0.12)
    assert 10 <= threshold <= 60


@pytest.mark.parametrize("log", LOGS)
def test_text_formats_hold_the_same_rows(tmp_path: Path, five_days: Path, log: str) -> None:
    for landing_format in ("jsonl", "csv"):
        root = tmp_path / landing_format
        simulate(small(days=1, format=landing_format), root / "landing", root / "truth")
    expected = [plain(row) for row in read(five_days, log, 0).to_pylist()]
    part = Path("landing") / log / "ds=2026-01-01" / "part-00000"
    lines = (tmp_path / "jsonl" / part).with_suffix(".jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == expected
    with (tmp_path / "csv" / part).with_suffix(".csv").open(newline="") as source:
        rows = list(csv.DictReader(source))
    for row, values in zip(rows, expected, strict=True):
        for name, value in values.items():
            if isinstance(value, str) or value is None:
                assert row[name] == (value or "")
            else:
                assert json.loads(row[name]) == value


def plain(row: dict) -> dict:
    """Row as JSON holds it."""
    changed = dict(row)
    for name, value in row.items():
        if isinstance(value, datetime):
            changed[name] = value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        elif name == "attributes":
            changed[name] = dict(value)
        elif name == "image_vector":
            changed[name] = [float(str(np.float32(number))) for number in value]
    return changed


@pytest.mark.parametrize("landing_format", ["parquet", "jsonl", "csv"])
def test_dirty_rows_are_extra_and_counted(tmp_path: Path, landing_format: str) -> None:
    clean, soiled = tmp_path / "clean", tmp_path / "soiled"
    config = small(days=1, format=landing_format)
    simulate(config, clean / "landing", clean / "truth")
    config = config.model_copy(update={"dirty_rows_per_kind": 2})
    summary = simulate(config, soiled / "landing", soiled / "truth")
    good = files(clean / "landing")
    found = files(soiled / "landing")
    assert {name: found[name] for name in good} == good
    for log in LOGS:
        counts = summary.dirty["2026-01-01"][log]
        assert counts == dict.fromkeys(dirty_kinds(log, config.format), 2)
        planted = [found[name] for name in found if name.startswith(f"{log}/") and "dirty" in name]
        if landing_format == "parquet":
            rows = sum(pq.read_table(pa.BufferReader(content)).num_rows for content in planted)
        else:
            rows = sum(content.count(b"\n") for content in planted) - (landing_format == "csv")
        assert rows == sum(counts.values())


def test_every_kind_of_dirt_is_what_it_says(tmp_path: Path) -> None:
    config = small(days=1, format="jsonl", dirty_rows_per_kind=2)
    simulate(config, tmp_path / "landing", tmp_path / "truth")
    folder = tmp_path / "landing" / "impressions" / "ds=2026-01-01"
    good = {}
    for line in (folder / "part-00000.jsonl").read_text().splitlines():
        row = json.loads(line)
        good[row["impression_id"]] = row
    lines = (folder / "part-dirty.jsonl").read_bytes().splitlines()
    kinds = [kind for kind in dirty_kinds("impressions", "jsonl") for _ in range(2)]
    by_kind: dict[str, list[bytes]] = {}
    for kind, line in zip(kinds, lines, strict=True):
        by_kind.setdefault(kind, []).append(line)
    for line in by_kind.pop("malformed_row"):
        with pytest.raises(json.JSONDecodeError):
            json.loads(line)
    for line in by_kind.pop("invalid_utf8"):
        with pytest.raises(UnicodeDecodeError):
            line.decode()
    rows = {kind: [json.loads(line) for line in found] for kind, found in by_kind.items()}
    assert all(row["impression_id"] is None for row in rows["null_key"])
    assert all(row["impression_id"] == "" for row in rows["empty_key"])
    assert all(row["position"] < 1 for row in rows["position_below_one"])
    assert all(row["surface"] not in {"search", "promoted"} for row in rows["unknown_surface"])
    assert all(row["ts"][:10] != "2026-01-01" for row in rows["timestamp_outside_day"])
    assert all(len(row["query"]) > 4_096 for row in rows["oversized_string"])
    assert all("listing_id" not in row for row in rows["missing_column"])
    for row in rows["duplicate_id"]:
        assert row["ts"] > good[row["impression_id"]]["ts"]


def test_bots_are_a_share_of_the_traffic_that_clicks_much(tmp_path: Path) -> None:
    simulate(small(days=1, bot_traffic_share=0.3), tmp_path / "landing", tmp_path / "truth")
    truth = pq.read_table(tmp_path / "truth" / "ds=2026-01-01.parquet")
    share = np.mean(truth["probability"].to_numpy() == 0.3)
    assert 0.2 < share < 0.4


@pytest.mark.parametrize(
    "changes",
    [
        {"listings": 24},
        {"topics": 1, "categories": 1, "shops": 1, "queries": 2, "users": 2},
        {"search_impressions_per_day": 1, "promoted_impressions_per_day": 1},
        {"promoted_share": 1.0, "image_dimensions": 0},
    ],
    ids=["few listings", "one of everything", "one impression", "all promoted"],
)
def test_degenerate_worlds_keep_their_number_of_impressions(
    tmp_path: Path, changes: dict[str, float]
) -> None:
    config = small(days=1, **changes)
    summary = simulate(config, tmp_path / "landing", tmp_path / "truth")
    assert summary.impressions == (
        config.search_impressions_per_day + config.promoted_impressions_per_day
    )


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValidationError):
        SimulationConfig(click_rate=0.1)  # type: ignore[call-arg]
