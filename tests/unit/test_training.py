"""Training in day order: windows, blocks of any size, and several end days in one reading."""

import math
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipelines.features.rows import SlotRows
from pipelines.models.ftrl import FtrlParameters
from pipelines.models.training import Block, DenseInputs, new_learners, train

SEARCH, PROMOTED = 14, 30
LAST = 20_500
PARAMETERS = FtrlParameters(alpha=0.1, beta=1.0, l1=0.01, l2=0.1, bits=8)


def sample(first, last, a_day=12, seed=3):
    """Rows of `features` of the days first..last, in training order."""
    random = np.random.default_rng(seed)
    days = np.repeat(np.arange(first, last + 1), a_day)
    size = len(days)
    lengths = random.integers(1, 5, size)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    slots = random.integers(-50, 50, offsets[-1]).astype(np.int32)
    return pa.RecordBatch.from_pydict(
        {
            "ds": pa.array(days.astype(np.int32)).cast(pa.date32()),
            "order_key": np.tile(np.arange(a_day) * 7 - 40, last - first + 1),
            "clicked": random.random(size) < 0.3,
            "surface": random.choice(["search", "promoted"], size),
            "sampling_rate": random.uniform(0.1, 1.0, size),
            "listing_key": random.integers(0, 6, size),
            "slots": SlotRows(offsets, slots).to_binary(),
        }
    )


ROWS = sample(LAST - 40, LAST)


def learn(batches, end_days=(LAST,), dense=None, search=SEARCH, promoted=PROMOTED):
    learners = new_learners(
        end_days, PARAMETERS, search_days=search, promoted_days=promoted, dense=dense
    )
    train(batches, learners)
    return learners


def told(learner):
    found = learner.state.touched()
    return (
        found.slot.tobytes(), found.weight.tobytes(), found.z.tobytes(), found.n.tobytes(),
        learner.log_loss, learner.state.rows, learner.state.clicks, sorted(learner.days),
    )  # fmt: skip


def dense_of(day):
    random = np.random.default_rng(day)
    return DenseInputs(np.array([0, 2, 3, 5]), random.normal(size=(4, 3)).astype(np.float32))


def test_learners_of_several_days_equal_single_trainings_bit_for_bit():
    days = [LAST - 9, LAST - 1, LAST]
    dense = {day: dense_of(day) for day in days}
    together = learn([ROWS], days, dense)
    assert [told(one) for one in together] == [told(*learn([ROWS], [day], dense)) for day in days]
    assert len({told(one)[1] for one in together}) == 3


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_blocks_of_any_size_give_the_same_bits(size):
    batches = [ROWS.slice(at, size) for at in range(0, ROWS.num_rows, size)]
    assert told(*learn(batches)) == told(*learn([ROWS]))


def days_learnt(surface, **windows):
    """The days of one surface that count: a day counts if its rows change the state."""
    table = pa.Table.from_batches([ROWS])
    kept = table.filter(pa.array([s == surface for s in table["surface"].to_pylist()]))
    (learner,) = learn(kept.combine_chunks().to_batches(), **windows)
    return sorted(learner.days)


@pytest.mark.parametrize(
    ("surface", "windows", "days"),
    [
        ("search", {}, SEARCH),
        ("promoted", {}, PROMOTED),
        ("search", {"search": 30, "promoted": 14}, 30),
        ("promoted", {"search": 30, "promoted": 14}, 14),
        ("promoted", {"search": 5, "promoted": 5}, 5),
    ],
)
def test_the_window_of_a_surface_ends_with_the_day_and_has_its_length(surface, windows, days):
    assert days_learnt(surface, **windows) == list(range(LAST - days + 1, LAST + 1))


def test_search_rows_before_their_window_are_not_used():
    old = pc.less(ROWS["ds"].cast(pa.int32()), LAST - SEARCH + 1)
    dropped = pc.and_(old, pc.equal(ROWS["surface"], "search"))
    assert told(*learn([ROWS.filter(pc.invert(dropped))])) == told(*learn([ROWS]))


def test_rows_after_the_end_day_are_not_used():
    early = LAST - 5
    until = ROWS.filter(pc.less_equal(ROWS["ds"].cast(pa.int32()), early))
    assert told(*learn([ROWS], [early])) == told(*learn([until], [early]))


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_of_each_day_and_surface_the_first_rows_are_kept(size):
    learners = new_learners([LAST], PARAMETERS, search_days=SEARCH, promoted_days=PROMOTED)
    batches = [ROWS.slice(at, size) for at in range(0, ROWS.num_rows, size)]
    kept = train(batches, learners, keep_rows=3)
    found = pa.table({
        name: np.concatenate([getattr(block, name) for block in kept])
        for name in ("day", "is_search", "order_key", "clicked")
    })  # fmt: skip
    expected = []
    for day in range(LAST - PROMOTED + 1, LAST + 1):
        for search in (False, True):
            own = [
                row for row in ROWS.to_pylist()
                if (row["ds"] - date(1970, 1, 1)).days == day
                and (row["surface"] == "search") == search
            ]  # fmt: skip
            if not search or day > LAST - SEARCH:
                expected += [(day, search, r["order_key"], int(r["clicked"])) for r in own[:3]]
    assert sorted(tuple(row.values()) for row in found.to_pylist()) == sorted(expected)


def test_disorder_is_refused():
    with pytest.raises(ValueError, match="order"):
        learn([ROWS.slice(ROWS.num_rows - 30, 20), ROWS.slice(ROWS.num_rows - 40, 5)])


def test_no_rows_leave_nothing_learnt():
    (learner,) = learn([ROWS.slice(0, 0)])
    assert (learner.state.rows, learner.days, learner.log_loss) == (0, set(), 0.0)
    assert len(learner.state.touched().slot) == 0


def test_the_offset_of_a_row_is_that_of_its_sampling():
    block = Block.from_arrow(ROWS)
    rates = ROWS["sampling_rate"].to_pylist()
    assert block.glm_offset == pytest.approx([-math.log(rate) for rate in rates], rel=1e-15)


def test_weights_live_on_the_natural_scale_whatever_the_sampling():
    random = np.random.default_rng(0)
    truth, kept_share, shown = 0.02, 0.1, 200_000
    clicked = random.random(shown) < truth
    kept = clicked | (random.random(shown) < kept_share)
    size = int(kept.sum())
    rows = pa.RecordBatch.from_pydict(
        {
            "ds": pa.array(np.full(size, LAST, np.int32)).cast(pa.date32()),
            "order_key": np.arange(size),
            "clicked": clicked[kept],
            "surface": ["promoted"] * size,
            "sampling_rate": np.full(size, kept_share),
            "listing_key": np.zeros(size, np.int64),
            "slots": SlotRows.from_column(np.full(size, 3, np.int32)).to_binary(),
        }
    )
    plain = FtrlParameters(alpha=1.0, beta=1.0, l1=0.0, l2=0.0, bits=8)
    (learner,) = new_learners([LAST], plain, search_days=1, promoted_days=1)
    train([rows], [learner])
    (weight,) = learner.state.touched().weight.tolist()
    assert 1 / (1 + math.exp(-weight)) == pytest.approx(clicked.mean(), rel=0.05)


def test_dense_inputs_are_found_by_key_and_missing_ones_are_told():
    inputs = dense_of(1)
    assert inputs.rows_of(np.array([5, 0, 1, 9, -4])).tolist() == [3, 0, -1, -1, -1]
    empty = DenseInputs(np.empty(0, np.int64), np.empty((0, 3), np.float32))
    assert empty.rows_of(np.array([1])).tolist() == [-1]
