"""The intercept is solved on the newest promoted rows when learning is done."""

import numpy as np
import pytest

from pipelines.features.rows import SlotRows
from pipelines.models.elementary import probabilities
from pipelines.models.ftrl_state import FtrlParameters
from pipelines.models.level import bias_slot, level_shift
from pipelines.models.linear import logits
from pipelines.models.training import Block, new_learners

PARAMETERS = FtrlParameters(alpha=0.1, beta=1.0, l1=0.0, l2=0.0, bits=10)


def a_block(days, clicked, *, rate=0.1, seed=3):
    """Rows of the bias and two random features, one sampling rate."""
    n = len(days)
    slots = np.random.default_rng(seed).integers(0, 50, (n, 3)).astype(np.int32)
    slots[:, 0] = bias_slot(10)
    return Block(
        day=np.asarray(days, dtype=np.int32),
        order_key=np.arange(n, dtype=np.int64),
        clicked=np.asarray(clicked, dtype=np.uint8),
        is_search=np.zeros(n, dtype=np.bool_),
        glm_offset=np.full(n, -np.log(rate)),
        listing_key=np.zeros(n, dtype=np.int64),
        rows=SlotRows(np.arange(0, 3 * n + 1, 3, dtype=np.int64), slots.reshape(-1)),
    )


@pytest.fixture
def learnt():
    """A learner of twenty days whose newest three days are clicked twice as often."""
    days = np.repeat(np.arange(20), 200)
    share = np.where(days >= 17, 0.4, 0.2)
    clicked = np.random.default_rng(5).uniform(size=len(days)) < share
    block = a_block(days, clicked)
    learner = new_learners([19], PARAMETERS, search_days=14, promoted_days=30)[0]
    learner.learn(block)
    return learner, block


def test_with_the_shift_the_newest_days_sum_to_their_clicks(learnt):
    learner, block = learnt
    shift = level_shift(learner, [block], 3)
    logit = logits(learner.state.weights(), block.rows) + block.glm_offset + shift
    newest = block.day >= 17
    assert probabilities(logit)[newest].sum() == pytest.approx(
        block.clicked[newest].sum(), abs=1e-6
    )


def test_older_and_later_days_do_not_count(learnt):
    learner, block = learnt
    later = a_block(np.full(50, 20), np.ones(50))
    older = a_block(np.full(50, 3), np.ones(50))
    assert level_shift(learner, [older, block, later], 3) == level_shift(learner, [block], 3)


@pytest.mark.parametrize("clicked", [0, 1])
def test_days_of_one_class_move_nothing(learnt, clicked):
    learner, _ = learnt
    assert level_shift(learner, [a_block(np.full(9, 19), np.full(9, clicked))], 3) == 0.0
    assert level_shift(learner, [], 3) == 0.0


def test_what_was_learnt_is_not_changed(learnt):
    learner, block = learnt
    before = learner.state.table.copy()
    level_shift(learner, [block], 3)
    assert np.array_equal(before, learner.state.table)
