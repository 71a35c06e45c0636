"""The chain that real jobs make of a tiny marketplace: as ranges, and day by day."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.chain import Chain
from tests.support.watching import Looked, watching
from tests.support.world import World, day, tiny

DAYS = 6
PUBLISHED = (day(DAYS - 1), day(DAYS))


@pytest.fixture(scope="session")
def marketplace(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Six days without dirt, and the truth about them."""
    return World.make(tmp_path_factory.mktemp("marketplace"), tiny(DAYS))


@pytest.fixture(scope="session")
def chain(marketplace: World, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """All that publishing the last two days needs, made as ranges. To be copied, not changed."""
    made = Chain(tmp_path_factory.mktemp("chain") / "warehouse", marketplace.landing)
    made.make("publish_scores", *PUBLISHED)
    return made


@pytest.fixture(scope="session")
def watched(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> tuple[Chain, Looked]:
    """The same days, each made alone, and what the jobs looked at."""
    single = replace(chain, root=tmp_path_factory.mktemp("single") / "warehouse")
    with watching() as looked:
        single.make_alone(chain)
    return single, looked
