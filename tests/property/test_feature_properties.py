"""What holds of ratios, bands, crosses and pairs whatever the values."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipelines.features.batch import Batch
from pipelines.features.encodings import ENCODINGS
from pipelines.features.pairs import shared_words
from pipelines.features.rates import Rates
from pipelines.features.rows import SlotRows
from pipelines.features.tokens import cross, strings
from pipelines.samples.balanced import non_click_rate
from tests.support.rows import DAY_NUMBER, batch_of

counts = st.integers(0, 10_000)
strength = st.floats(0.5, 200.0)
texts = st.lists(
    st.one_of(st.none(), st.sampled_from(["a", "b", "a|b", ""])), min_size=1, max_size=8
)


def shop_ratio(clicks, micro, parent_clicks, parent_micro, strengths):
    """(category ratio, shop ratio) of one row."""
    given_sums = {
        "shop_search_clicks": clicks, "shop_search_expected_micro": micro,
        "category_search_clicks": parent_clicks, "category_search_expected_micro": parent_micro,
    }  # fmt: skip
    batch = batch_of(**{name: pa.array([v], pa.int64()) for name, v in given_sums.items()})
    keys = ((DAY_NUMBER, entity, "search") for entity in ("shop", "category"))
    rates = Rates(batch, dict(zip(keys, strengths, strict=True)))
    return rates.ratio("category", "search")[0], rates.ratio("shop", "search")[0]


@given(counts, st.integers(1, 10**9), counts, counts, st.tuples(strength, strength))
def test_a_ratio_lies_between_its_parent_s_and_what_was_observed(k, micro, pk, pmicro, strengths):
    parent, own = shop_ratio(k, micro, pk, pmicro, strengths)
    low, high = sorted((parent, k / (micro / 1e6)))
    assert low * (1 - 1e-12) <= own <= high * (1 + 1e-12)


@given(counts, counts, counts, counts, st.tuples(strength, strength))
def test_more_clicks_never_lower_a_ratio_and_more_expected_never_raise_it(k, e, pk, pe, strengths):
    def own(clicks, micro):
        return shop_ratio(clicks, micro, pk, pe, strengths)[1]

    assert own(k + 1, e) > own(k, e) > 0
    assert own(k, e + 1000) <= own(k, e)


def bands(encoding, values):
    tokens = ENCODINGS[encoding](Batch(batch_of(x=pa.array(values, pa.float64())), {}), ("x",))
    return [int(tokens.labels[c].as_py()) for c in tokens.codes.tolist()]


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=20))
def test_a_larger_number_never_has_a_lower_band(values):
    found = bands("log_band", sorted(values))
    assert found == sorted(found)


@given(texts, st.randoms(use_true_random=False))
def test_a_cross_has_both_values_in_order_whatever_the_order_of_rows(first, random):
    second = list(first)
    random.shuffle(second)
    tokens = cross([strings(pa.array(first, pa.string())), strings(pa.array(second, pa.string()))])
    valid = np.ones(len(first), bool) if tokens.valid is None else tokens.valid
    for row, (a, b) in enumerate(zip(first, second, strict=True)):
        assert valid[row] == (a is not None and b is not None)
        if valid[row]:
            assert tokens.labels[int(tokens.codes[row])].as_py() == f"{a}|{b}"


words = st.lists(st.lists(st.integers(-3, 3), max_size=6), min_size=1, max_size=5)


def rows_of(lists):
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in lists])])
    return SlotRows(offsets, np.array([s for row in lists for s in row], dtype=np.int32))


@given(words, st.randoms(use_true_random=False))
def test_shared_words_are_those_of_both_each_once_in_the_query_s_order(query, random):
    listing = [[random.randint(-3, 3) for _ in row] for row in query]
    shared = shared_words(rows_of(query), rows_of(listing))
    for k, (asked, held) in enumerate(zip(query, listing, strict=True)):
        expected = [w for w in dict.fromkeys(asked) if w in held]
        assert shared.slots[shared.offsets[k] : shared.offsets[k + 1]].tolist() == expected


@given(counts, counts, st.floats(0.1, 50))
def test_the_share_of_non_clicks_is_a_share_and_keeps_the_ratio(non_clicks, clicks, ratio):
    rate = non_click_rate(non_clicks + clicks, clicks, ratio=ratio)
    assert 0 < rate <= 1
    assert rate == 1 or rate * non_clicks <= ratio * max(clicks, 1) * (1 + 1e-12)
