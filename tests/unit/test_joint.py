"""The joint model against plain numpy, and what it promises of days, content and evidence."""

from dataclasses import replace

import mmh3
import numpy as np
import pyarrow as pa
import pytest

from pipelines.features.ids import NONE, cross_ids, namespace_seed, value_ids
from pipelines.models.contents import Contents
from pipelines.models.joint import JointModel
from pipelines.models.joint_day import most_known
from pipelines.models.joint_state import JointSpec, JointState, RowNamespace, UsualColumns
from pipelines.models.joint_tables import state_rows
from pipelines.models.numbering import Numbering
from pipelines.models.usual_values import (
    NEW,
    OTHER,
    SAME,
    SAME_BRANCH,
    PairCounts,
    UsualValues,
)
from tests.support.joint import (
    FIRST,
    LISTINGS,
    SPEC,
    USERS,
    Plain,
    contents,
    ids,
    stored,
    traffic,
    world,
)

PLANTED = world()


def learn_days(count, state=None, first=0, listings=LISTINGS):
    state = state or JointState.new(SPEC)
    for day in range(first, first + count):
        model = JointModel(SPEC, state, {"listing": contents(PLANTED)})
        values, clicked = traffic(PLANTED, day, listings=listings)
        model.learn(ids(values), clicked, np.arange(len(clicked)))
        state = model.end(day)
    return state


def assert_same(one, other):
    assert np.array_equal(one.ids, other.ids)
    assert np.array_equal(one.evidence, other.evidence)
    assert np.array_equal(one.expected, other.expected)
    for a, b in zip(one.posteriors, other.posteriors, strict=True):
        for name in ("prior_mean", "variance", "beta", "content_variance", "gain"):
            assert np.array_equal(getattr(a, name), getattr(b, name)), name


def test_every_logit_and_all_that_is_settled_are_those_of_plain_numpy():
    plain, state = Plain(PLANTED), JointState.new(SPEC)
    for day in range(4):
        values, clicked = traffic(PLANTED, day)
        model = JointModel(SPEC, state, {"listing": contents(PLANTED)})
        (logits,) = model.learn(
            ids(values), clicked, np.arange(len(clicked)), offset=np.full(len(clicked), 0.7)
        )
        # The content is solved to a thousandth of its right side.
        assert np.abs(logits - plain.learn(values, clicked, 0.7)).max() < (
            1e-12 if day == 0 else 2e-3
        )
        state = model.end(day)
        plain.end()
        posterior = state.posteriors[0]
        assert posterior.variance[2] == pytest.approx(plain.t[2], rel=1e-3)
        assert (
            np.abs(posterior.beta - plain.beta[np.unique(contents(PLANTED).parts) - 50_000]).max()
            < 2e-3
        )


def test_a_state_that_was_stored_goes_on_to_the_same_bits():
    straight = learn_days(7)
    resumed = learn_days(3, stored(SPEC, learn_days(4)), first=4)
    assert_same(straight, resumed)
    assert resumed.days == 7
    assert resumed.rows == straight.rows


def test_a_stored_state_is_read_in_whatever_order_its_rows_are():
    state = learn_days(2)
    rows = pa.concat_tables(state_rows(SPEC, state))
    turned = rows.take(pa.array(np.random.default_rng(1).permutation(len(rows))))
    assert_same(stored(SPEC, state, turned), state)


def test_blocks_of_any_size_teach_the_same():
    values, clicked = traffic(PLANTED, 0)
    models = [JointModel(SPEC, JointState.new(SPEC), {"listing": contents(PLANTED)}) for _ in "ab"]
    order = np.arange(len(clicked))
    models[0].learn(ids(values), clicked, order)
    for start in range(0, len(clicked), 37):
        part = slice(start, start + 37)
        models[1].learn(ids(values[part]), clicked[part], order[part])
    assert_same(*(model.end(0) for model in models))


def test_a_listing_that_was_never_shown_is_its_content():
    shown = LISTINGS - 20
    state = learn_days(20, listings=shown)
    model = JointModel(SPEC, state, {"listing": contents(PLANTED)})
    new = np.arange(shown, LISTINGS)
    rows = np.zeros((len(new), 4), np.int64)
    rows[:, 3] = new
    index = model.index(ids(rows))
    assert (index[:, 3] >= 0).all()
    mean = model.means(0)[index[:, 3]]
    words = np.unique(contents(PLANTED).parts)
    beta = dict(zip(state.content_ids.tolist(), state.posteriors[0].beta.tolist(), strict=True))
    weight = np.array([beta.get(int(word), 0.0) for word in words])
    expected = PLANTED["has_word"][new][:, words - 50_000] @ weight
    assert mean == pytest.approx(expected, abs=1e-12)
    truth = PLANTED["has_word"][new] @ PLANTED["word"]
    assert np.corrcoef(mean, truth)[0, 1] > 0.5


def test_what_is_unknown_adds_nothing():
    model = JointModel(SPEC, learn_days(2), {"listing": contents(PLANTED)})
    row = np.array([[FIRST[0], FIRST[1], NONE, 987_654_321]])
    index = model.index(row)
    assert index[0, 2:].tolist() == [-1, -1]
    assert model.sums(index, model.means(0))[0] == model.means(0)[index[0, :2]].sum()


def test_standard_errors_of_users_cover_the_truth_as_often_as_they_say():
    model = JointModel(SPEC, learn_days(20), {"listing": contents(PLANTED)})
    rows = np.tile([0, 0, 0, 0], (USERS, 1))
    rows[:, 2] = np.arange(USERS)
    places = model.index(ids(rows))[:, 2]
    mean, error = model.means(0)[places], np.sqrt(model.variances(0)[places])
    truth = PLANTED["user"] - PLANTED["user"].mean()
    covered = np.abs(mean - mean.mean() - truth) < error
    assert 0.58 < covered.mean() < 0.78


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clicked": 2}, "neither 0 nor 1"),
        ({"offset": np.nan}, "offset is not finite"),
        ({"weight": -1.0}, "weight is negative"),
        ({"order": 0}, "not strictly ascending"),
    ],
)
def test_a_row_that_cannot_be_learnt_is_refused_and_nothing_is_learnt(change, message):
    values, clicked = traffic(PLANTED, 0, rows=20)
    given = {
        "clicked": clicked, "order": np.arange(20),
        "offset": np.zeros(20), "weight": np.ones(20),
    }  # fmt: skip
    for name, value in change.items():
        given[name] = given[name].copy()
        given[name][7] = value
    model = JointModel(SPEC, JointState.new(SPEC), {})
    with pytest.raises(ValueError, match=message):
        model.learn(ids(values), **given)
    assert model.count == 0


def test_ids_are_those_of_mmh3():
    texts = ["", "a", "oak bowl", "tasse à café", "x" * 15, "y" * 16, "z" * 33]
    seed = namespace_seed("word")
    expected = [mmh3.hash64(text.encode(), seed)[0] for text in texts]
    assert value_ids("word", pa.array(texts)).tolist() == expected
    assert value_ids("word", pa.array([None, "a"]))[0] == NONE


def test_a_cross_has_an_id_of_its_own_for_each_pair_and_none_without_a_part():
    left, right = np.repeat(np.arange(300), 300), np.tile(np.arange(300), 300)
    made = cross_ids("pair", [left, right])
    assert len(np.unique(made)) == 90_000
    assert not np.array_equal(made, cross_ids("pair", [right, left]))
    assert cross_ids("pair", [np.array([5]), np.array([NONE])])[0] == NONE


def test_numbers_are_dense_exact_and_in_the_order_of_first_sight():
    rng = np.random.default_rng(3)
    seen = rng.integers(-(2**62), 2**62, 20_000)
    numbers = Numbering(seen[:10])
    given = np.concatenate([numbers.add(seen[k : k + 999]) for k in range(0, len(seen), 999)])
    assert np.array_equal(given, np.arange(len(seen)))
    assert np.array_equal(numbers.ids, seen)
    assert np.array_equal(numbers.find(seen[::-1]), np.arange(len(seen))[::-1])
    assert numbers.find(np.array([NONE, 2**62 + 1])).tolist() == [-1, -1]


def test_of_an_entity_in_both_the_newer_contents_hold():
    def of(entity, *parts):
        return Contents(
            np.array([entity]), np.array([0, len(parts)]), np.array(parts),
            np.zeros(len(parts), np.int16), np.ones(len(parts)),
        )  # fmt: skip

    joined = of(5, 1, 2).updated(of(3, 9)).updated(of(5, 7))
    assert joined.ids.tolist() == [3, 5]
    assert joined.offsets.tolist() == [0, 1, 2]
    assert joined.parts.tolist() == [9, 7]


def test_a_row_is_told_how_it_stands_to_what_its_query_was_mostly_shown():
    counts = PairCounts.none().added(
        np.array([1, 1, 1, 2, NONE]), np.array([10, 10, 11, 20, 10]), np.array([5, 5, 5, 6, 5])
    )
    assert counts.count.tolist() == [2, 1, 1]
    told = UsualValues(counts).relation(
        "usual",
        np.array([1, 1, 1, 3, NONE]),
        np.array([10, 11, 20, 10, 10]),
        np.array([5, 5, 6, 5, 5]),
    )
    names = value_ids("usual", pa.array([SAME, SAME_BRANCH, OTHER, NEW])).tolist()
    assert told.tolist() == [*names, NONE]


def test_what_a_query_is_shown_today_is_usual_from_tomorrow_on():
    rows = [RowNamespace(name, 0.3) for name in ("query", "leaf", "branch", "usual")]
    spec = JointSpec(tuple(rows), (), usual=UsualColumns("usual", 0, 1, 2, 3))
    today = np.array([[1, 10, 5, NONE]] * 9 + [[1, 11, 5, NONE]] * 3)
    names = value_ids("usual", pa.array([SAME, SAME_BRANCH])).tolist()
    state, order = JointState.new(spec), np.arange(12)
    told = []
    for day in range(2):
        model = JointModel(spec, state, {})
        index = model.index(today, add=True)
        before = [model.ids[k] if k >= 0 else NONE for k in index[:, 3].tolist()]
        model.learn(today, np.zeros(12, np.uint8), order)
        assert np.array_equal(model.index(today)[:, 3], index[:, 3])
        told.append(before)
        state = model.end(day)
    same, branch = names
    # On the first day nothing is usual, of no query: that is no news of any of them.
    assert told == [[NONE] * 12, [same] * 9 + [branch] * 3]
    assert state.pairs.value.tolist() == [10, 11]
    model = JointModel(replace(spec, most=1), state, {})
    assert model.end(2).pairs.value.tolist() == [10]


def test_of_more_coordinates_than_may_be_known_those_with_least_evidence_go():
    whole = learn_days(2)
    evidence = whole.g(0)
    most = len(whole.ids) - 5
    spec = replace(SPEC, most=most)
    model = JointModel(spec, learn_days(1), {"listing": contents(PLANTED)})
    values, clicked = traffic(PLANTED, 1)
    model.learn(ids(values), clicked, np.arange(len(clicked)))
    bounded = model.end(1)
    kept = np.isin(whole.ids, bounded.ids)
    assert len(bounded.ids) == kept.sum() == most
    assert evidence[~kept].max() < evidence[kept].min()
    # What is kept has learnt what it would have.
    assert np.array_equal(bounded.b(0), whole.b(0)[kept])
    assert np.array_equal(bounded.namespace, whole.namespace[kept])


def test_what_a_day_adds_is_bounded_while_it_is_learnt():
    """Of users that come and go; those who are seen often stay, and learn all that they would."""
    rng = np.random.default_rng(12)
    regular = rng.random(6_000) < 0.5
    values = np.stack(
        [
            np.zeros(6_000, np.int64),
            rng.integers(0, 4, 6_000),
            np.where(regular, rng.integers(0, 40, 6_000), 40 + np.arange(6_000)),
            rng.integers(0, LISTINGS, 6_000),
        ],
        axis=1,
    )
    rows, clicked = ids(values), (rng.random(6_000) < 0.1).astype(np.uint8)
    states = {}
    for most in (0, 300):
        model = JointModel(replace(SPEC, most=most), learn_days(1), {"listing": contents(PLANTED)})
        counts = []
        for k in range(0, 6_000, 250):
            part = slice(k, k + 250)
            model.learn(rows[part], clicked[part], np.arange(6_000)[part])
            counts.append(model.count)
            assert len(set(model.ids.tolist())) == model.count == len(model.namespace)
        states[most] = model.end(1), max(counts)
    (whole, unbounded), (bounded, largest) = states[0], states[300]
    # Half as many again as may stay, and the listings, which are known by their content.
    assert largest <= 450 + LISTINGS < 3_000 < unbounded
    assert len(bounded.ids) == 300
    often = whole.ids[(whole.namespace != 2) | (whole.ids < FIRST[2] + 40)]
    assert np.isin(often, bounded.ids).all()
    for state in (whole, bounded):
        assert np.all(np.diff(state.namespace) >= 0)
    own, other = np.isin(whole.ids, often), np.isin(bounded.ids, often)
    # They share their rows with users who begin at the prior again: nearly the same.
    assert bounded.g(0)[other] == pytest.approx(whole.g(0)[own], rel=0.02)
    assert bounded.prior_mean(0)[other] == pytest.approx(whole.prior_mean(0)[own], abs=0.02)


def test_of_coordinates_with_equal_evidence_the_first_by_name_are_kept_in_any_order():
    evidence = np.array([2.0, 1.0, 1.0, 3.0, 1.0])
    namespace, names = np.array([0, 1, 0, 1, 0], np.int16), np.array([9, 1, 8, 2, 7])
    found = most_known(np.arange(5), evidence, namespace, names, 4)
    assert found.tolist() == [0, 2, 3, 4]
    turned = np.arange(5)[::-1]
    again = most_known(np.arange(5), evidence[turned], namespace[turned], names[turned], 3)
    assert sorted(turned[again].tolist()) == [0, 3, 4]
