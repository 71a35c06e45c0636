"""What holds for any gate that judges by an interval."""

import math

from hypothesis import given
from hypothesis import strategies as st

from pipelines.quality.bounds import Bounds, Estimate

NUMBERS = st.floats(-4.0, 4.0).map(lambda x: round(x, 1))
ENDS = st.one_of(st.none(), NUMBERS)
BOUNDS = st.one_of(
    st.builds(lambda low, size: Bounds(low=low, high=low + size), NUMBERS, st.floats(0.0, 3.0)),
    st.builds(lambda low: Bounds(low=low), NUMBERS),
    st.builds(lambda high, is_open: Bounds(high=high, is_open=is_open), NUMBERS, st.booleans()),
)


@given(bounds=BOUNDS, value=st.one_of(ENDS, st.just(math.nan)), low=ENDS, high=ENDS)
def test_no_gate_passes_what_is_proven_outside_or_stops_what_is_inside(
    bounds: Bounds, value: float | None, low: float | None, high: float | None
) -> None:
    if low is not None and high is not None:
        low, high = sorted((low, high))
    verdict, why = Estimate(value, low, high).judge(bounds)
    inside = value is not None and bounds.hold(value)
    ends = (-math.inf if low is None else low, math.inf if high is None else high)
    is_proven = bounds.exclude(*ends)
    assert not (verdict == "PASS" and is_proven)
    assert not (verdict == "FAIL" and inside)
    assert not (verdict == "SKIP" and inside and not is_proven)
    assert not (verdict == "SKIP" and is_proven and not inside)
    assert bool(why) or verdict == "PASS" or value is None or math.isnan(value)


@given(bounds=BOUNDS, low=NUMBERS, size=st.floats(0.0, 4.0), share=st.floats(0.0, 1.0))
def test_an_interval_is_outside_where_each_of_its_values_is(
    bounds: Bounds, low: float, size: float, share: float
) -> None:
    if bounds.exclude(low, low + size):
        assert not bounds.hold(low + share * size)
    else:
        assert bounds.hold(max(low, bounds.low))
