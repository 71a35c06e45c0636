"""What a job looks at is in its fingerprint: else a change of it would make nothing again."""

from __future__ import annotations

from datetime import date

import pytest

from jobs import FLOW, JOBS, WRITER, Job
from jobs.planning.planner import Planner
from tests.support.chain import Chain
from tests.support.watching import Looked
from tests.support.world import day
from tests.unit.conftest import DAYS


@pytest.mark.parametrize("job", FLOW, ids=lambda job: job.name)
def test_a_job_declares_every_section_that_it_reads(
    job: Job, watched: tuple[Chain, Looked]
) -> None:
    _, looked = watched
    assert looked.sections[job.name] <= set(job.sections)


def made_from(planner: Planner, job: Job, at: date) -> set[tuple[str, date]]:
    """Days of tables that a job's day is made from, and what those were made from."""
    found: set[tuple[str, date]] = set()
    for read in job.reads:
        # Of the head of a day only its digest is known: nothing else of that day is in it.
        for read_day in planner.read_days(read, at) if read.kind != "head" else ():
            writer = JOBS[WRITER[read.table]]
            found |= {(table, read_day) for table in writer.writes}
            found |= made_from(planner, writer, read_day)
    return found


@pytest.mark.parametrize("job", [job for job in FLOW if job.reads], ids=lambda job: job.name)
def test_a_job_reads_no_day_that_its_fingerprint_is_not_made_from(
    job: Job, watched: tuple[Chain, Looked]
) -> None:
    chain, looked = watched
    planner = chain.runner.planner()
    days = [at for name, at in looked.days if name == job.name]
    assert day(DAYS) in days
    for at in days:
        heads = {
            (read.table, head)
            for read in job.reads
            if read.kind == "head"
            for head in planner.read_days(read, at)
        }
        assert looked.days[job.name, at] - made_from(planner, job, at) - heads == set(), at
