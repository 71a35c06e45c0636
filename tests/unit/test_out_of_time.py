"""Nothing of a day enters what the day is judged by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from jobs import evaluate_models
from jobs.step import Step
from jobs.storage.tables import Tables
from tests.support.chain import Chain
from tests.support.local_spark import LocalSpark
from tests.support.world import World, day
from tests.unit.conftest import DAYS, PUBLISHED

JUDGED, LAST = PUBLISHED


@pytest.fixture(scope="module")
def with_other_clicks(
    chain: Chain, marketplace: World, tmp_path_factory: pytest.TempPathFactory
) -> Chain:
    """The same marketplace, but half of one day's impressions were never clicked."""
    other = chain.duplicate(tmp_path_factory.mktemp("other"))
    shown = marketplace.landing / "impressions" / f"ds={JUDGED}" / "part-00000.parquet"
    ids = pq.ParquetFile(shown).read(["impression_id"])["impression_id"]
    half = ids.take(pa.array(range(0, len(ids), 2)))
    for at in PUBLISHED:  # a day's clicks land on it and on the next
        path = other.landing / "clicks" / f"ds={at}" / "part-00000.parquet"
        clicks = pq.ParquetFile(path).read()
        pq.write_table(clicks.filter(pc.invert(pc.is_in(clicks["impression_id"], half))), path)
    # Both days in one go: there is a later day to look ahead to. Not as far as the gates, which
    # stop at a day of half the clicks.
    for job in ("evaluate_models", "score_listings"):
        other.make(job, *PUBLISHED)
    return other


@pytest.mark.parametrize("table", ["predictions", "scored_traffic"])
def test_a_day_is_predicted_and_judged_by_the_same_bits_whatever_its_clicks(
    table: str, chain: Chain, with_other_clicks: Chain
) -> None:
    clicks, others = (
        pc.sum(made.tables.read_arrow(table, [JUDGED])["clicked"]).as_py()
        for made in (chain, with_other_clicks)
    )
    assert 0 < others < 0.7 * clicks
    before = chain.rows(table, JUDGED, without=["clicked"])
    assert with_other_clicks.rows(table, JUDGED, without=["clicked"]) == before


def test_a_day_s_clicks_enter_its_scores_and_what_the_next_day_is_judged_by(
    chain: Chain, with_other_clicks: Chain
) -> None:
    for table, column in (("predictions", "p_baseline"), ("scored_traffic", "p_click")):
        before, after = (
            made.tables.read_arrow(table, [LAST]).sort_by("impression_id")[column]
            for made in (chain, with_other_clicks)
        )
        assert len(before) == len(after)
        assert before != after, table
    assert chain.rows("listing_scores", JUDGED) != with_other_clicks.rows("listing_scores", JUDGED)


def judge_last_day(chain: Chain) -> dict[str, list[float]]:
    """Judge the last day by what the tables hold now."""
    nothing: Any = None
    tables = Tables(str(chain.root), LocalSpark)  # type: ignore[arg-type]
    evaluate_models.run(Step(tables, chain.config, nothing, days=[LAST], run_id="again"))
    scored = chain.tables.read_arrow("scored_traffic", [LAST]).sort_by("impression_id")
    return {name: scored[name].to_pylist() for name in ("p_content", "p_ensemble", "p_click")}


@pytest.mark.parametrize(
    ("table", "column", "entering"),
    [
        ("ensemble_weights", "weight", {"p_ensemble"}),
        ("stack_weights", "weight", {"p_click"}),
        ("calibration_maps", "y", {"p_click"}),
    ],
)
def test_a_day_is_judged_by_the_ensemble_and_the_map_of_the_day_before(
    table: str, column: str, entering: set[str], chain: Chain, tmp_path: Path
) -> None:
    made = chain.duplicate(tmp_path)
    before = judge_last_day(made)
    for at, expected in ((day(DAYS - 2), set()), (day(DAYS - 1), entering), (LAST, set())):
        stored = made.tables.read_arrow(table, [at])
        raised = pc.add(stored[column], 0.125)
        changed = stored.set_column(stored.column_names.index(column), column, raised)
        made.tables.write_arrow(table, changed, [at])
        judged = judge_last_day(made)
        made.tables.write_arrow(table, stored, [at])
        assert {name for name in before if judged[name] != before[name]} == expected, at
