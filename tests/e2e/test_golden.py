"""What each job writes is what it wrote, or its output version says that it is not."""

from __future__ import annotations

from tests.golden.digests import complaint, job_digests, read_stored
from tests.support.world import Warehouse, World


def test_a_changed_output_has_a_raised_version(made: Warehouse, world: World) -> None:
    told = complaint(read_stored(), job_digests(made, world.config))
    assert told is None, told
