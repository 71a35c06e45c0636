"""What days hold: the same however they are made, and windows as long as configured."""

from __future__ import annotations

import os
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pytest

from jobs import FLOW
from jobs.planning.inputs import read_prior_precision
from tests.support.chain import Chain
from tests.support.watching import Looked
from tests.support.world import day
from tests.unit.conftest import DAYS

TABLES = sorted(table for job in FLOW for table in job.writes)
LAST = day(DAYS)
WHOLE_STATE = {"joint_state", "joint_contents", "joint_holdings", "joint_pairs"}


@pytest.mark.parametrize("table", TABLES)
def test_a_range_of_days_equals_the_days_made_one_by_one(
    table: str, chain: Chain, watched: tuple[Chain, Looked]
) -> None:
    single, _ = watched
    days = chain.tables.days(table)
    if table in WHOLE_STATE:
        # Kept of the last two days of what is made in one go: enough to go on from.
        assert days == {LAST - timedelta(days=1), LAST} <= single.tables.days(table)
    else:
        assert single.tables.days(table) == days
    for at in sorted(days):
        assert single.rows(table, at) == chain.rows(table, at), at


def test_ranges_are_longer_than_a_day(chain: Chain) -> None:
    # Else the test above would compare like with like.
    rows = chain.tables.read_arrow("runs").to_pylist()
    days = Counter((row["job"], row["started"]) for row in rows)
    assert {job for (job, _), size in days.items() if size > 1} == {job.name for job in FLOW}


def rows_within(chain: Chain, table: str, surface: str, days: int) -> Counter[str]:
    """Rows of a surface in the days that end with the last, and clicks among them."""
    window = [LAST - timedelta(days=back) for back in range(days)]
    stored = chain.tables.read_arrow(table, window, columns=["surface", "clicked"])
    own = stored.filter(pc.equal(stored["surface"], surface))
    return Counter(rows=len(own), clicks=pc.sum(own["clicked"]).as_py())


def test_models_learn_the_configured_days_that_end_with_theirs(chain: Chain) -> None:
    training = chain.config.training
    assert training.search_days < training.promoted_days < len(chain.tables.days("features"))
    expected = rows_within(chain, "features", "search", training.search_days)
    expected += rows_within(chain, "features", "promoted", training.promoted_days)
    for run in chain.tables.read_arrow("training_runs", [LAST]).to_pylist():
        assert (run["rows"], run["clicks"]) == (expected["rows"], expected["clicks"])
        assert run["days"] == training.promoted_days
        assert run["first_day"] == LAST - timedelta(days=training.promoted_days - 1)


def test_the_ensemble_learns_the_configured_days_that_end_with_its_own(chain: Chain) -> None:
    days = chain.config.ensemble.days
    assert days < len(chain.tables.days("predictions"))
    expected = rows_within(chain, "predictions", "promoted", days)
    for term in chain.tables.read_arrow("ensemble_weights", [LAST]).to_pylist():
        assert (term["rows"], term["clicks"]) == (expected["rows"], expected["clicks"])


def test_errors_of_scores_rest_on_the_prior_that_the_models_were_trained_with(chain: Chain) -> None:
    trained = chain.config.training.historical
    prior = read_prior_precision(chain.tables, LAST)
    assert prior == trained.beta / trained.alpha + trained.l2


def planned_window(chain: Chain, job: str, table: str) -> list[date]:
    """The days of a table that the planner takes a job's last day to be made from."""
    planner = chain.runner.planner()
    (declared,) = (one for one in FLOW if one.name == job)
    reads = [planner.read_days(read, LAST) for read in declared.reads if read.table == table]
    return max(reads, key=len)


@pytest.mark.parametrize(
    ("job", "table", "window", "last"),
    [
        ("train_models", "features", "training.window_days", LAST),
        ("fit_ensemble", "predictions", "ensemble.days", LAST),
        ("build_history", "entity_counts", "history.window_days", LAST - timedelta(days=1)),
        ("score_listings", "entity_counts", "history.window_days", LAST),
    ],
)
def test_a_window_is_planned_with_the_days_that_are_configured(
    job: str, table: str, window: str, last: date, chain: Chain
) -> None:
    size = chain.config.number(window)
    expected = [last - timedelta(days=back) for back in range(size - 1, -1, -1)]
    assert planned_window(chain, job, table) == expected


def test_a_landed_file_that_changes_nothing_of_a_days_head_makes_only_its_day_again(
    chain: Chain, tmp_path: Path
) -> None:
    copy = chain.duplicate(tmp_path)
    for file in (copy.landing / f"clicks/ds={LAST}").iterdir():
        os.utime(file, (0, 0))
    before = LAST - timedelta(days=1)
    made = copy.make("label_impressions", before)
    # That the labels of the day before stand is known once the clicks have been read again.
    assert [(step.job.name, step.days) for step in made] == [("ingest_logs", (LAST,))]
    assert copy.make("label_impressions", before) == []
