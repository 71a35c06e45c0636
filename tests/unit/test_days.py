"""Days in runs."""

from datetime import timedelta

from pipelines.days import contiguous
from tests.support.rows import DAY


def day(number):
    return DAY + timedelta(days=number)


def test_a_run_ends_where_a_day_is_missing():
    assert contiguous({day(4), day(0), day(2), day(1)}) == [(day(0), day(1), day(2)), (day(4),)]


def test_no_days_are_no_runs_and_a_day_given_twice_is_one():
    assert contiguous([]) == []
    assert contiguous([day(1), day(1)]) == [(day(1),)]
