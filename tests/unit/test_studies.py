"""Studies change what they say they change, and count as they say."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from xml.etree import ElementTree

import numpy as np
import pytest

from jobs.planning.joint_inputs import joint_registry, joint_spec
from jobs.setup.config_layers import load_config
from pipelines.models.segments import SEGMENTS
from pipelines.simulation.market import Market
from tests.benchmarks.joint_market import JointMarket, learnt_days, replay
from tests.benchmarks.peers.comparison import Figures
from tests.benchmarks.peers.markets import JudgedRows
from tests.benchmarks.peers.measured import Cost
from tests.benchmarks.study.__main__ import STUDIES, WHAT
from tests.benchmarks.study.calibration import all_of, calibration_error, promise
from tests.benchmarks.study.priors import PLANTED
from tests.benchmarks.study.tables import plot
from tests.benchmarks.study.variants import (
    STUDIES as VARIANTS,
)
from tests.benchmarks.study.variants import (
    change,
    compared,
    faded,
    history,
    namespaces,
    sampled,
    without,
)
from tests.support.joint import FIRST, USERS
from tests.support.joint_market import planted_market


@pytest.fixture(scope="module")
def market() -> JointMarket:
    """Planted rows with the product's own registry, whose namespaces they do not hold."""
    return replace(planted_market(), registry=joint_registry(load_config(environment={})))


@pytest.fixture(scope="module")
def product() -> JointMarket:
    config = load_config(environment={})
    registry = joint_registry(config)
    return replace(planted_market(), registry=registry, spec=joint_spec(config, registry))


def test_what_is_left_out_holds_nothing_and_the_rest_does(market: JointMarket) -> None:
    spec = without(market.spec, {"user", "word"})
    _, model = next(islice(learnt_days(spec, market.days), len(market.days) - 1, None))
    state = model.state
    mean = {}
    for name, first, count in (("user", FIRST[2], USERS), ("place", FIRST[1], 4)):
        own = (model.ids >= first) & (model.ids < first + count)
        mean[name] = np.abs(model.means(0)[own]).max()
    assert mean["user"] < 1e-6 < 0.1 < mean["place"]
    assert np.abs(state.posteriors[0].beta).max() < 0.02
    assert np.abs(replay(market).state.posteriors[0].beta).max() > 0.05


def test_every_namespace_but_the_intercepts_is_left_out_in_turn(product: JointMarket) -> None:
    spec = product.spec
    whole = {row.name: row.prior for row in spec.rows} | {k.name: k.prior for k in spec.kinds}
    left_out: list[str] = []
    for variant in namespaces(product):
        assert variant.spec is not None
        rows = {row.name: row.prior for row in variant.spec.rows}
        rows |= {kind.name: kind.prior for kind in variant.spec.kinds}
        left_out += [name for name, prior in rows.items() if prior != whole[name]]
    assert sorted(left_out) == sorted(set(whole) - {"bias", "surface"})


def test_a_sample_keeps_all_clicks_and_promises_as_much(market: JointMarket) -> None:
    days = [sampled(day, 1.0) for day in market.days]
    for day in days:
        assert day.is_learnt[day.clicked == 1].all()
        assert day.is_learnt.sum() == pytest.approx(2 * day.clicked.sum(), rel=0.15)
    p, whole = replay(market, days=days).p, replay(market).p
    # Rows are learnt with an offset of .3 which predictions do not have.
    assert p.mean() == pytest.approx(whole.mean() * np.exp(0.3), rel=0.15)


def test_a_short_history_is_the_last_days_before_those_judged(market: JointMarket) -> None:
    short = {variant.label: variant.days for variant in history(market)}
    assert list(short) == ["5 days", "3 days", "2 days", "1 days"]
    assert short["2 days"] == market.days[4:]


def test_evidence_fades_between_days(market: JointMarket) -> None:
    seen = [
        model.table[:, 1].sum()
        for share in (1.0, 0.5)
        for _, model in list(
            learnt_days(
                market.spec, market.days[:2], lambda state, share=share: faded(state, share)
            )
        )[1:]
    ]
    assert seen[1] == pytest.approx(0.5 * seen[0])


def figures(mixed: float, cold: float) -> Figures:
    excess = dict.fromkeys(SEGMENTS, mixed) | {"cold": cold}
    return Figures(excess, dict.fromkeys(SEGMENTS, 1.0), Cost(0.0, 0))


def test_a_change_is_that_of_the_geometric_mean_with_its_best_and_worst_market() -> None:
    made = change([figures(1.0, 1.0), figures(4.0, 1.0)], [figures(2.0, 0.9), figures(4.0, 0.9)])
    assert made.mixed == pytest.approx(2**0.5 - 1)
    assert made.cold == pytest.approx(-0.1)
    assert (made.best, made.worst) == pytest.approx((0.0, 1.0))


@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "namespaces"])
def test_a_study_has_a_row_for_what_is_and_for_each_variant(name: str, market: JointMarket) -> None:
    finding = compared(name, [market])
    assert finding.rows[0][0] == "as it is"
    assert [bar.label for bar in finding.bars] == [row[0] for row in finding.rows[1:]]
    assert all(len(row) == len(finding.header) for row in finding.rows)
    assert finding.markdown.count("\n") == len(finding.rows) + 1
    drawn = plot(name, finding)
    assert ElementTree.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"
    assert all(f">{bar.label}<" in drawn for bar in finding.bars)


def test_every_study_says_what_it_is() -> None:
    assert set(WHAT) == set(STUDIES)


def test_planted_effects_and_namespaces_are_there(product: JointMarket) -> None:
    names = {row.name for row in product.spec.rows} | {kind.name for kind in product.spec.kinds}
    assert set(PLANTED) <= names
    assert {effect for own in PLANTED.values() for effect in own} <= set(Market.model_fields)


def test_promises_are_counted_by_day_by_segment_and_by_group() -> None:
    truth = np.repeat([0.1, 0.2], 10)
    rows = JudgedRows(np.arange(20).astype(object), truth, np.arange(20) < 5)
    day = np.repeat(np.array(["a", "b"], dtype=object), 10)
    found = promise(np.repeat([0.2, 0.2], 10), rows, day)
    assert found.by_day == pytest.approx([2.0, 1.0])
    assert found.off == pytest.approx(0.5**0.5)
    assert (found.promised["mixed"], found.true["mixed"]) == pytest.approx((4.0, 3.0))
    assert (found.promised["cold"], found.true["cold"]) == pytest.approx((1.0, 0.5))
    other = promise(truth, rows, day)
    assert other.error == pytest.approx(0.0)
    both = all_of([found, other])
    assert len(both.by_day) == 4
    assert both.promised["mixed"] == pytest.approx(7.0)
    assert both.error == pytest.approx(found.error / 2)


def test_the_calibration_error_is_that_of_ten_groups_by_probability() -> None:
    p = np.linspace(0.01, 0.2, 100)
    assert calibration_error(p, p) == 0.0
    assert calibration_error(1.1 * p, p) == pytest.approx(0.1)
    swapped = np.where(np.arange(100) % 2 == 0, p + 0.001, p - 0.001)
    assert calibration_error(p, swapped) == pytest.approx(0.0, abs=1e-12)
