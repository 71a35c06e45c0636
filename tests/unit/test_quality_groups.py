"""Counts by group against the last days: what chance explains, and what it does not."""

import math
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from pipelines.quality.evaluate import measure_day
from pipelines.quality.evidence import Evidence
from pipelines.quality.groups import (
    GroupCounts,
    Panel,
    deviations,
    dispersion,
    expected_by_mix,
    expected_by_rates,
)
from pipelines.quality.leaks import held_out_auc
from pipelines.quality.past import Past
from pipelines.quality.results import judge
from pipelines.quality.rule_files import RuleError, load_rules, metric_column
from pipelines.quality.shifts import decomposition, stability_index

DAY = date(2026, 2, 6)
NOW = datetime(2026, 2, 7, 3, tzinfo=UTC)
WHY = "it would break what consumers read"
RATES = {"mobile": 0.03, "web": 0.02, "desktop": 0.025}
SHARES = {"mobile": 0.5, "web": 0.3, "desktop": 0.2}


def drawn(rng, rows=20_000, rates=RATES, shares=SHARES, scale=1.0):
    """A day's counts by chance."""
    base = dict(zip(shares, rng.multinomial(rows, list(shares.values())).tolist(), strict=True))
    hits = {group: int(rng.binomial(base[group], rates[group] * scale)) for group in base}
    return GroupCounts(base, hits)


def outside(past, today, of_kind, tolerance=0.2, chance=1e-4, side="both"):
    panel = Panel.of(past, today)
    observed, expected = of_kind(panel)
    found = deviations(
        panel, observed, expected, scatter=dispersion(observed, expected),
        tolerance=tolerance, chance=chance, side=side,
    )  # fmt: skip
    return [deviation.group for deviation in found]


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_clicks_lost_on_one_device_are_found_there_and_nowhere_else(rng):
    past = [drawn(rng) for _ in range(14)]
    for group in RATES:
        today = drawn(rng, rates=RATES | {group: 0.0})
        assert outside(past, today, expected_by_rates) == [group]


def test_a_rate_that_moves_in_all_groups_alike_is_not_theirs(rng):
    past = [drawn(rng) for _ in range(14)]
    assert outside(past, drawn(rng, scale=0.4), expected_by_rates) == []
    assert outside(past, drawn(rng, scale=1.8), expected_by_rates) == []


def test_clean_days_of_any_size_are_silent(rng):
    for rows in (200, 2_000, 50_000):
        past = [drawn(rng, rows) for _ in range(14)]
        said = [
            outside(past, drawn(rng, rows), of_kind)
            for _ in range(100)
            for of_kind in (expected_by_rates, expected_by_mix)
        ]
        assert not any(said)


def test_days_that_always_differ_widen_what_is_expected(rng):
    def day(tilt):
        return drawn(rng, 50_000, rates=RATES | {"desktop": 0.025 * math.exp(tilt)})

    steady = [day(0.0) for _ in range(14)]
    restless = [day(0.5 * (-1) ** n) for n in range(14)]
    today = day(0.5)
    assert outside(steady, today, expected_by_rates) == ["desktop"]
    assert outside(restless, today, expected_by_rates) == []


def test_a_missing_hour_is_found_and_a_full_one_is_not_looked_for(rng):
    shares = {str(hour): (1 + hour % 5) / 71 for hour in range(24)}
    shares = {hour: share / sum(shares.values()) for hour, share in shares.items()}
    rates = dict.fromkeys(shares, 0.0)
    past = [drawn(rng, 3_000, rates, shares) for _ in range(10)]
    today = drawn(rng, 3_000, rates, shares)
    lost = GroupCounts({g: n for g, n in today.base.items() if g != "14"}, {})
    twice = GroupCounts(today.base | {"14": 3 * today.base["14"]}, {})
    assert outside(past, lost, expected_by_mix, tolerance=1, side="low") == ["14"]
    assert outside(past, twice, expected_by_mix, tolerance=1, side="low") == []


def test_clicks_of_the_night_that_never_landed_are_missed_where_ten_are_usual(rng):
    def day(night):
        return GroupCounts({"same day": 2_000, "after midnight": night}, {})

    past = [day(int(night)) for night in rng.poisson(10, 14)]
    said = {"tolerance": 0.1, "chance": 1e-3, "side": "low"}
    assert outside(past, day(0), expected_by_mix, **said) == ["after midnight"]
    assert outside(past, day(5), expected_by_mix, **said) == []


def test_groups_beyond_the_largest_are_counted_together():
    counts = GroupCounts({"a": 5, "b": 3, "c": 2, "d": 1}, {"c": 1, "d": 1}).largest(3)
    assert counts == GroupCounts({"a": 5, "b": 3, "other": 3}, {"other": 2})
    assert GroupCounts.read(counts.written) == counts


def test_a_shift_of_scores_shows_in_their_stability_and_chance_does_not(rng):
    def scores(shift, rows=400):
        bins = np.floor(rng.normal(-40 + shift, 5, rows)).astype(int)
        names, counts = np.unique(bins, return_counts=True)
        return GroupCounts(dict(zip(map(str, names), counts.tolist(), strict=True)), {})

    past = [scores(0) for _ in range(10)]
    assert stability_index(Panel.of(past, scores(0)), 10) < 0.05
    # Twice the probability is seven steps of a tenth of the logarithm.
    assert stability_index(Panel.of(past, scores(7)), 10) > 0.5


def test_mix_and_rate_add_up_to_the_change_of_the_click_rate(rng):
    past = [drawn(rng) for _ in range(5)]
    today = drawn(
        rng, rates=RATES | {"desktop": 0.001}, shares={"mobile": 0.2, "web": 0.3, "desktop": 0.5}
    )
    panel = Panel.of(past, today)
    level = panel.hits[:-1].sum() / panel.base[:-1].sum()
    mix, rate, group, part = decomposition(panel, level)
    change = panel.hits[-1].sum() / panel.base[-1].sum() / level - 1
    assert mix + rate == pytest.approx(change)
    assert (group, part < -0.2) == ("desktop", True)
    same = GroupCounts(
        {g: 2 * n for g, n in past[0].base.items()}, {g: 2 * n for g, n in past[0].hits.items()}
    )
    mix, rate, *_ = decomposition(Panel.of(past[:1], same), level)
    assert (mix, rate) == (pytest.approx(0), pytest.approx(0))


def test_evidence_finds_a_lasting_error_and_no_error_within_its_tolerance(rng):
    def days(ratio, count):
        evidence = Evidence({})
        for day in range(1, count + 1):
            clicks = float(rng.poisson(3_000 * ratio))
            evidence = evidence.add(
                {"mixed": clicks}, {"mixed": 3_000.0}, tolerance=0.05, dispersion=2.0
            )
            if evidence.total > 3:
                return day
        return None

    assert days(1.0, 90) is None
    assert days(1.04, 90) is None
    assert days(0.96, 90) is None
    assert days(1.15, 90) < 15
    assert days(0.85, 90) < 15


def test_evidence_fades_once_promises_hold_and_survives_being_written():
    evidence = Evidence({})
    for _ in range(50):
        evidence = evidence.add({"a": 1500.0}, {"a": 1000.0}, tolerance=0.05, dispersion=2.0)
    assert evidence.total == pytest.approx(math.log10(2000 * 4), abs=0.5)
    assert Evidence.read(evidence.written) == evidence
    for _ in range(10):
        evidence = evidence.add({"a": 1000.0}, {"a": 1000.0}, tolerance=0.05, dispersion=2.0)
    assert evidence.total < 3


def cells(rows):
    """Cells of (value, half, label) rows."""
    made = {}
    for value, half, label in rows:
        key = value * 4 + half * 2 + label
        made[key] = made.get(key, 0) + 1
    return made


def test_a_feature_that_is_the_label_has_an_area_of_one_and_noise_a_half(rng):
    labels = rng.integers(0, 2, 4_000)
    halves = rng.integers(0, 2, 4_000)
    leak = held_out_auc(cells(zip(labels, halves, labels, strict=True)), 100)
    noise = held_out_auc(cells(zip(rng.integers(0, 50, 4_000), halves, labels, strict=True)), 100)
    seen_once = held_out_auc(cells(zip(np.arange(4_000), halves, labels, strict=True)), 100)
    assert leak == 1.0
    assert noise == pytest.approx(0.5, abs=0.05)
    assert seen_once == pytest.approx(0.5, abs=0.05)
    assert (
        held_out_auc(cells(zip(labels[:100], halves[:100], labels[:100], strict=True)), 100) is None
    )


def rules(*given, table):
    with_why = [{"severity": "warn", "why": WHY, **rule} for rule in given]
    return load_rules({"own.toml": {"table": table, "rule": with_why}})[table]


def judged(loaded, row, past, day=DAY):
    measured = measure_day(loaded, day, row, past, min_history_days=3)
    return [judge(m, table=loaded.table, day=day, run_id="r", now=NOW) for m in measured]


def days_of(loaded, rows):
    """Results of day after day, each seeing those before; the last day's."""
    past = Past()
    for back, row in zip(range(len(rows) - 1, -1, -1), rows, strict=True):
        day = DAY - timedelta(days=back)
        made = judged(loaded, row, past, day)
        for r in made:
            past.add((r.table, r.check, r.slice), day, r.status, r.observed, r.state)
    return {r.check: r for r in made}


def test_the_message_names_the_group_and_how_much_of_a_change_is_mix():
    loaded = rules(
        {"kind": "share", "name": "rate", "condition": "clicked"},
        {"kind": "groups", "name": "by_device", "groups": "device", "hits": "clicked"},
        {"kind": "rates", "name": "devices", "of": "by_device"},
        {"kind": "history", "name": "change", "of": "rate", "min": -4, "split_by": ["by_device"]},
        table="labeled_impressions",
    )

    def row(desktop):
        made = {("rate", "value"): 600 + desktop, ("rate", "rows"): 30_000,
                ("by_device", "value"): {"mobile": 20_000, "desktop": 10_000},
                ("by_device", "hits"): {"mobile": 600, "desktop": desktop},
                ("by_device", "rows"): 30_000}  # fmt: skip
        return {metric_column(name, "", what): value for (name, what), value in made.items()}

    last = days_of(loaded, [row(290), row(300), row(310), row(300), row(2)])
    assert (last["devices"].status, last["devices"].observed) == ("WARN", 1.0)
    assert "desktop 2 where" in last["devices"].details
    assert last["change"].status == "WARN"
    assert "by by_device: mix +0.0%, rate -33.1%, most desktop -33.1%" in last["change"].details
    clean = days_of(loaded, [row(290), row(300), row(310), row(300), row(305)])
    assert {r.status for r in clean.values()} == {"PASS"}


def test_a_value_that_never_repeats_is_told_when_it_does():
    loaded = rules(
        {"kind": "sum", "name": "weights", "expression": "weight"},
        {"kind": "change", "name": "stayed", "of": "weights"},
        table="model_weights",
    )

    def row(value):
        return {
            metric_column("weights", "", "value"): value,
            metric_column("weights", "", "rows"): 9,
        }

    assert days_of(loaded, [row(1.5), row(1.25), row(1.0)])["stayed"].status == "PASS"
    stayed = days_of(loaded, [row(1.5), row(1.25), row(1.5)])["stayed"]
    assert (stayed.status, stayed.details) == ("WARN", "the same weights as 2026-02-04")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"kind": "mix", "name": "m", "of": "rate"}, "no GroupsRule"),
        ({"kind": "evidence", "name": "e", "of": "by_device"}, "no ClicksRule"),
        ({"kind": "history", "name": "h", "of": "rate", "split_by": ["rate"]}, "no GroupsRule"),
        (
            {"kind": "hashing", "name": "x", "slot": "nose", "token": "a", "bits": 8},
            "no column nose",
        ),
        (
            {"kind": "hashing", "name": "x", "slot": "a b", "token": "a", "bits": 8},
            "name of a column",
        ),
    ],
)
def test_a_rule_about_groups_needs_groups(given, says):
    own = (
        {"kind": "share", "name": "rate", "condition": "clicked"},
        {"kind": "groups", "name": "by_device", "groups": "device"},
    )
    with pytest.raises(RuleError, match=says):
        rules(*own, given, table="labeled_impressions")


def test_evidence_of_a_day_that_is_made_again_is_the_same():
    loaded = rules(
        {"kind": "clicks", "name": "promised", "groups": "segment", "clicks": "clicks",
         "promised": "value"},
        {"kind": "evidence", "name": "evidence", "of": "promised"},
        table="model_metrics",
    )  # fmt: skip

    def row(clicks):
        return {metric_column("promised", "", "value"): [["mixed", str(clicks), "1000.0"]]}

    past = Past()
    for back, clicks in enumerate((1150, 1170, 1160)):
        day = DAY - timedelta(days=3 - back)
        for r in judged(loaded, row(clicks), past, day):
            past.add((r.table, r.check, r.slice), day, r.status, r.observed, r.state)
    first, again = (judged(loaded, row(1180), past)[1] for _ in range(2))
    assert first == again
    alone = judged(loaded, row(1180), Past())[1]
    assert first.observed > alone.observed
    # Later days, and what the day itself said before, are no part of it.
    past.add(("model_metrics", "evidence", ""), DAY, "WARN", first.observed, first.state)
    assert judged(loaded, row(1180), past)[1] == first
