"""A warehouse of few days: sane from the first on, and never worse than rates by position."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipelines.models.entropy import click_rate_entropy
from pipelines.simulation.draw_market import market_config
from tests.support.chain import Chain
from tests.support.world import World, day

MARKETS = (402, 405)
DAYS = 4
# What the docs allow a day's normalized entropy to lie above that of the rates.
MOST_ABOVE = 0.002
Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module", params=MARKETS, ids=lambda seed: f"market {seed}")
def young(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Young:
    """A market of a few days, of which each but the first is judged by those before it."""
    folder = tmp_path_factory.mktemp(f"market{request.param}")
    world = World.make(folder, market_config(request.param, "small", days=DAYS))
    chain = Chain(folder / "warehouse", world.landing, settings=())
    chain.make("evaluate_models", *(day(number) for number in range(2, DAYS + 1)))
    return Young(world, chain)


class Young:
    """A market and its warehouse."""

    def __init__(self, world: World, chain: Chain) -> None:
        self.world = world
        self.chain = chain

    def judged(self, number: int) -> tuple[Floats, Mapping[str, Floats]]:
        """True and predicted probabilities of the promoted impressions of a day."""
        scored = self.chain.tables.read_arrow("scored_traffic", [day(number)])
        truth = pq.read_table(self.world.folder / "truth" / f"ds={day(number)}.parquet")
        ids = truth["impression_id"].combine_chunks()
        at = pc.index_in(scored["impression_id"].combine_chunks(), ids)
        forms = {name: np.asarray(scored[name]) for name in ("p_click", "p_joint", "p_baseline")}
        return np.asarray(truth["probability"].combine_chunks().take(at)), forms


def entropy(truth: Floats, p: Floats) -> float:
    """Normalized entropy in expectation over the true probabilities."""
    loss = -np.mean(truth * np.log(p) + (1 - truth) * np.log1p(-p))
    rows = len(truth)
    return float(loss / click_rate_entropy(truth.sum(), rows))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(2, DAYS + 1))
def test_no_form_is_worse_than_the_smoothed_rate_by_position(young: Young, number: int) -> None:
    truth, forms = young.judged(number)
    rates = entropy(truth, forms["p_baseline"])
    for name in ("p_click", "p_joint"):
        assert entropy(truth, forms[name]) <= rates + MOST_ABOVE, name


@pytest.mark.slow
@pytest.mark.parametrize("number", range(2, DAYS + 1))
def test_the_clicks_promised_are_near_those_of_the_truth(young: Young, number: int) -> None:
    truth, forms = young.judged(number)
    assert abs(math.log(forms["p_click"].sum() / truth.sum())) < 0.35


@pytest.mark.slow
def test_before_anything_is_known_nothing_is_predicted_and_the_day_is_scored(young: Young) -> None:
    tables = young.chain.tables
    assert tables.row_counts("joint_predictions").get(day(1), 0) == 0
    assert tables.row_counts("joint_predictions")[day(2)] > 0
    young.chain.make("score_listings", day(1))
    scores = tables.read_arrow("listing_scores", [day(1)])
    rates = pc.mean(tables.read_arrow("labeled_impressions", [day(1)])["clicked"]).as_py()
    p = np.asarray(scores["p_click"])
    assert 0.2 * rates < float(p.mean()) < 3 * rates
    assert np.quantile(p, 0.99) < 20 * rates
    weights = {row["form"] for row in tables.read_arrow("stack_weights", [day(1)]).to_pylist()}
    assert weights == {"joint_alone"}


@pytest.mark.slow
def test_what_is_published_unproven_says_so_with_days_and_clicks(young: Young) -> None:
    def details(number: int) -> Mapping[str, object]:
        return young.chain.records["fit_ensemble", day(number)].details

    young.chain.make("fit_ensemble", day(1), day(DAYS))
    assert any("no day of promoted traffic" in text for text in details(1)["degraded"])
    last = details(DAYS)
    said = [text for text in last["degraded"] if "not proven better than click rates" in text]
    assert bool(said) != last["is_proven_over_rates"]
    for text in said:
        assert f"{DAYS - 1} judged days and {last['clicks']} clicks" in text
