"""A day made in many parts is the day made in one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import score_listings
from jobs.storage.task_writes import write_units
from tests.support.chain import Chain
from tests.unit.test_days_of_chain import LAST, TABLES

PART_ROWS = 40
"""Far fewer than the tiny marketplace has a day."""


@pytest.fixture(scope="module")
def in_row_groups(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same landing files, in row groups of which a day has many."""
    landing = tmp_path_factory.mktemp("groups") / "landing"
    shutil.copytree(chain.landing, landing)
    for path in landing.rglob("*.parquet"):
        pq.write_table(pq.ParquetFile(path).read(), path, row_group_size=PART_ROWS // 2)
    return landing


@pytest.fixture(scope="module")
def in_parts(chain: Chain, in_row_groups: Path, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The same days in slices and parts, each day made alone."""
    settings = (*chain.settings, f"storage.part_rows={PART_ROWS}")
    root = tmp_path_factory.mktemp("parts") / "warehouse"
    made = replace(chain, root=root, landing=in_row_groups, settings=settings)
    made.make_alone(chain)
    return made


@pytest.mark.parametrize("table", TABLES)
def test_every_table_is_the_same(table: str, in_parts: Chain, chain: Chain) -> None:
    for at in sorted(in_parts.tables.days(table) & chain.tables.days(table)):
        assert in_parts.rows(table, at) == chain.rows(table, at), at


OF_PARTS = ("sample_training", "build_features", "build_joint_rows", "predict_traffic")
"""Jobs that read labelled traffic in the parts that it is stored in."""


def test_days_in_many_parts_are_read_where_larger_ones_are_wanted(
    chain: Chain, in_parts: Chain, tmp_path: Path
) -> None:
    made = replace(in_parts.duplicate(tmp_path), settings=chain.settings)
    shown = made.runner.tables.slices("labeled_impressions", [LAST])
    assert len(shown) == 1 < len(shown[0].files)
    made.make_alone(chain, OF_PARTS)
    for table in ("training_samples", "features", "joint_rows", "predictions"):
        assert made.tables.version(table) > in_parts.tables.version(table)
        for at in sorted(made.tables.days(table)):
            assert made.rows(table, at) == chain.rows(table, at), at


LISTING_ROWS = 10
"""Fewer than there are listings on a day."""
OF_LISTINGS = ("build_features", "build_joint_rows", "predict_traffic", "score_listings")
"""Jobs whose units are listings of the snapshot, beside those that the day's rows are cut for."""


@pytest.fixture(scope="module")
def in_slices(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The same days, with the listings of each in several files, as a large snapshot has them."""
    settings = (*chain.settings, f"storage.part_rows={LISTING_ROWS}")
    made = replace(chain.duplicate(tmp_path_factory.mktemp("slices")), settings=settings)
    tables = made.runner.tables
    days = sorted(tables.days("listings"))
    rows = {at: tables.read_arrow("listings", [at]) for at in days}
    units = [(at, k) for at in days for k in range(0, len(rows[at]), LISTING_ROWS)]

    def cut(number: int) -> Iterator[pa.RecordBatch]:
        at, first = units[number]
        yield from rows[at].slice(first, LISTING_ROWS).to_batches()

    write_units(tables, "listings", len(units), cut, days)
    made.make_alone(chain, OF_LISTINGS)
    return made


@pytest.mark.parametrize(
    "table",
    ["listing_features", "features", "feature_names", "joint_listings", "joint_rows",
     "joint_entities", "joint_namespaces", "listing_logits", "predictions", "listing_scores",
     "context_terms"],
)  # fmt: skip
def test_a_snapshot_in_slices_gives_the_same(table: str, in_slices: Chain, chain: Chain) -> None:
    assert len(in_slices.runner.tables.slices("listings", [LAST])) > 1
    for at in sorted(in_slices.tables.days(table)):
        assert in_slices.rows(table, at) == chain.rows(table, at), at


def test_listings_are_scored_the_same_however_many_at_a_time(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = chain.duplicate(tmp_path)
    monkeypatch.setattr(score_listings, "_LISTINGS_AT_A_TIME", 3)
    again.make_alone(chain, ["score_listings"])
    assert len(again.rows("listing_scores", LAST)) > 3
    assert again.tables.version("listing_scores") > chain.tables.version("listing_scores")
    for at in sorted(again.tables.days("listing_scores")):
        assert again.rows("listing_scores", at) == chain.rows("listing_scores", at), at


def test_scores_of_a_large_snapshot_are_stored_in_parts(in_slices: Chain) -> None:
    files = in_slices.tables.files("listing_scores", [LAST])
    assert len(files) > 1
    assert all(file.part is not None for file in files)


def test_ids_of_many_people_are_found_across_slices(
    chain: Chain, in_row_groups: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # So low that some users of the tiny marketplace are taken for many people.
    low = ("labels.max_user_share=0.02", "labels.max_user_impressions=3")
    jobs = ("ingest_logs", "label_impressions")
    made = []
    for rows in (2_000_000, PART_ROWS):
        settings = (*chain.settings, *low, f"storage.part_rows={rows}")
        root = tmp_path_factory.mktemp("nobody") / "warehouse"
        made.append(replace(chain, root=root, landing=in_row_groups, settings=settings))
        made[-1].make_alone(chain, jobs)
    whole, parts = made
    unknown = 0
    for at in sorted(whole.tables.days("labeled_impressions")):
        assert parts.rows("labeled_impressions", at) == whole.rows("labeled_impressions", at)
        labeled, shown = (
            whole.tables.read_arrow(name, [at]) for name in ("labeled_impressions", "impressions")
        )
        unknown += labeled["user_id"].null_count - shown["user_id"].null_count
    assert unknown > 100


def test_the_record_of_a_step_says_in_how_many_parts_a_day_is(chain: Chain, tmp_path: Path) -> None:
    settings = (*chain.settings, f"storage.part_rows={PART_ROWS}")
    made = replace(chain.duplicate(tmp_path), settings=settings)
    made.runner.run([("label_impressions", LAST)], only="label_impressions", force=True)
    parts = made.tables.stored_parts("labeled_impressions", [LAST])[LAST]
    assert made.records["label_impressions", LAST].details["parts"] == parts > 5
    assert "parts" not in chain.records["label_impressions", LAST].details


def test_what_grows_with_the_day_is_stored_in_parts(in_parts: Chain) -> None:
    assert len(in_parts.tables.files("impressions", [LAST])) > 20
    of_traffic = ("labeled_impressions", "entity_counts", "entity_history", "joint_rows")
    of_models = ("training_samples", "features", "feature_names", "joint_predictions")
    for table in (*of_traffic, *of_models):
        days = sorted(in_parts.tables.days(table))
        files = in_parts.tables.files(table, days)
        assert all(file.part is not None for file in files), table
        assert max(file.part[1] for file in files if file.part) > 3, table
