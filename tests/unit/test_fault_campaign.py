"""The fault campaign in short: one marketplace, made up to the job after which a fault shows.

`python -m tests.benchmarks.fault_campaign` makes whole days of five.
"""

import pytest

from tests.support.campaign import Campaign
from tests.support.faults import FAULTS, MORE_FAULTS

CLEAN_DAYS = 10
"""A week of history, of evaluated days too: the first two have nothing to judge."""


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    return Campaign.make(tmp_path_factory.mktemp("campaign"), 1, CLEAN_DAYS)


@pytest.mark.slow
def test_clean_days_are_silent(campaign):
    assert campaign.clean_findings(3) == []


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS + MORE_FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_found_on_its_day_by_one_finding_that_names_it(campaign, fault):
    (found,) = campaign.findings_of(fault, fault.found_by)
    assert found.cause == fault.cause
