"""FTRL-Proximal against its paper, Vowpal Wabbit and adaptive gradient descent."""

import dataclasses
import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from vowpalwabbit import Workspace

from pipelines.features.rows import SlotRows
from pipelines.models.elementary import probabilities
from pipelines.models.ftrl import (
    DivergenceError,
    FtrlParameters,
    FtrlState,
    dense_logits,
    learn,
    logit_variance,
    logits,
)
from tests.support.ftrl import Block, learn_by_the_book, make_block

PARAMETERS = FtrlParameters(alpha=0.3, beta=1.0, l1=0.4, l2=0.7, bits=6)


def reloaded(state: FtrlState, parameters: FtrlParameters = PARAMETERS, **more: Any) -> FtrlState:
    kept = state.touched()
    return FtrlState.from_rows(
        parameters,
        kept.slot,
        kept.z,
        kept.n,
        trained_with=PARAMETERS,
        dense=state.dense.shape[1],
        rows=state.rows,
        clicks=state.clicks,
        watermark=state.watermark,
        **more,
    )


@pytest.mark.parametrize("width", [0, 13])
def test_learns_as_algorithm_1_of_the_paper(width: int) -> None:
    block = make_block(width=width)
    parameters = dataclasses.replace(PARAMETERS, l1=1.5)
    state = FtrlState.new(parameters, dense=width)
    progressive = block.learn(state)
    expected, weight, z, n = learn_by_the_book(block, parameters)
    np.testing.assert_allclose(progressive, expected, rtol=0, atol=1e-11)
    kept = state.touched()
    assert kept.slot.tolist() == sorted(z)
    assert 0 < np.count_nonzero(kept.weight) < len(kept.weight)
    for learnt, reference in ((kept.weight, weight), (kept.z, z), (kept.n, n)):
        np.testing.assert_allclose(learnt, [reference[s] for s in sorted(z)], rtol=0, atol=1e-11)


@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.0), (0.4, 0.7)])
@pytest.mark.parametrize("width", [0, 13])
def test_learns_as_vowpal_wabbit(l1: float, l2: float, width: int) -> None:
    workspace = Workspace(
        f"--ftrl --noconstant --loss_function logistic --link identity -b 6 --quiet "
        f"--ftrl_alpha 0.3 --ftrl_beta 1 --l1 {l1} --l2 {l2}"
    )
    parameters = FtrlParameters(alpha=0.3, beta=1.0, l1=l1, l2=l2, bits=6)
    block = make_block(width=width)
    # Vowpal Wabbit keeps offsets in float32.
    block = dataclasses.replace(block, glm_offset=np.round(block.glm_offset * 256) / 256)
    state = FtrlState.new(parameters, dense=width)
    progressive = block.learn(state)
    predictions = []
    # The dense columns take slots that the block leaves free.
    first_free = 48
    for row in range(len(block.rows)):
        start, stop = block.rows.offsets[row : row + 2]
        features = [f"{slot}:1" for slot in block.rows.slots[start:stop]]
        features += [f"{first_free + j}:{x!r}" for j, x in enumerate(block.dense_values(row))]
        label = 1 if block.clicked[row] else -1
        line = f"{label} 1 {block.glm_offset[row]!s} | {' '.join(features)}"
        example = workspace.parse(line)
        workspace.learn(example)
        predictions.append(example.get_simplelabel_prediction())
        workspace.finish_example(example)
    weights = np.array([workspace.get_weight(slot, 0) for slot in range(64)])
    learnt = state.weights()
    learnt[first_free : first_free + width] = state.dense_weights()
    np.testing.assert_allclose(probabilities(progressive), probabilities(predictions), atol=1e-6)
    np.testing.assert_allclose(learnt, weights, rtol=0, atol=1e-6)
    assert (learnt != 0).tolist() == (weights != 0).tolist()


def test_without_regularization_it_is_adaptive_gradient_descent() -> None:
    parameters = dataclasses.replace(PARAMETERS, l1=0.0, l2=0.0)
    offsets = np.arange(0, 601, 3)
    random = np.random.default_rng(3)
    slots = np.concatenate([random.permutation(64)[:3] for _ in range(200)]).astype(np.int32)
    block = dataclasses.replace(make_block(200), rows=SlotRows(offsets, slots))
    state = FtrlState.new(parameters)
    block.learn(state)
    weights, squares = np.zeros(64), np.zeros(64)
    for row in range(200):
        used = slots[3 * row : 3 * row + 3]
        p = 1 / (1 + np.exp(-(weights[used].sum() + block.glm_offset[row])))
        gradient = p - block.clicked[row]
        squares[used] += gradient**2
        weights[used] -= 0.3 * gradient / (1.0 + np.sqrt(squares[used]))
    np.testing.assert_allclose(state.weights(), weights, rtol=0, atol=1e-12)


def test_offset_equals_the_correction_after_training() -> None:
    rate = 0.05
    block = dataclasses.replace(make_block(), glm_offset=np.full(200, -np.log(rate)))
    sampled = probabilities(block.learn(FtrlState.new(PARAMETERS)))
    # He et al. 2014, section 6.3.
    corrected = sampled / (sampled + (1 - sampled) / rate)
    block = make_block()
    natural = block.learn(FtrlState.new(PARAMETERS), glm_offset=np.full(200, -np.log(rate)))
    np.testing.assert_allclose(probabilities(natural + np.log(rate)), corrected, rtol=1e-12)


def test_offset_gives_the_natural_click_rate_from_a_down_sampled_log() -> None:
    random = np.random.default_rng(5)
    clicked = (random.random(200_000) < 0.02).astype(np.uint8)
    kept = clicked[(clicked == 1) | (random.random(200_000) < 0.05)]
    count = len(kept)
    state = FtrlState.new(dataclasses.replace(PARAMETERS, l1=0.0, l2=0.0))
    one_slot = SlotRows.from_column(np.full(count, 3, dtype=np.int32))
    days, keys = np.zeros(count, np.int32), np.arange(count)
    learn(state, one_slot, kept, np.full(count, -np.log(0.05)), days, keys)
    assert probabilities(state.weights()[[3]])[0] == pytest.approx(clicked.mean(), rel=0.1)


def test_bits_are_the_same_on_every_machine() -> None:
    position = np.arange(3000, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    slots = (position >> np.uint64(32)).astype(np.uint32).view(np.int32)
    pick = (position >> np.uint64(11)) % np.uint64(256)
    count = 500
    state = FtrlState.new(PARAMETERS, dense=3)
    progressive = learn(
        state,
        SlotRows(np.arange(0, 3001, 6), slots),
        (pick[:count] < 77).astype(np.uint8),
        pick[500:1000] / 128,
        np.zeros(count, np.int32),
        np.arange(count),
        dense=(pick[:30] / 256).astype(np.float32).reshape(10, 3),
        dense_row=(pick[1000:1500] % 10).astype(np.int32),
    )
    digest = hashlib.sha256(b"".join(a.tobytes() for a in (progressive, *state.touched())))
    assert digest.hexdigest()[:16] == "76ef7318855cbc5c"


def test_resuming_equals_never_stopping() -> None:
    block = make_block(width=5)
    whole = FtrlState.new(PARAMETERS, dense=5)
    expected = block.learn(whole)
    first = FtrlState.new(PARAMETERS, dense=5)
    before = block.learn(first, stop=120)
    second = reloaded(first)
    after = block.learn(second, start=120)
    assert np.concatenate([before, after]).tolist() == expected.tolist()
    assert second.table.tolist() == whole.table.tolist()
    assert second.dense.tolist() == whole.dense.tolist()
    assert (second.rows, second.clicks, second.watermark) == (200, block.clicked.sum(), (2, 199))


def test_stored_state_refuses_other_parameters() -> None:
    state = FtrlState.new(PARAMETERS)
    make_block().learn(state)
    faster = dataclasses.replace(PARAMETERS, alpha=0.5)
    with pytest.raises(ValueError, match=r"other parameters: alpha 0.3 -> 0.5"):
        reloaded(state, faster)
    assert reloaded(state, faster, allow_changes=True).table.tolist() == state.table.tolist()
    with pytest.raises(ValueError, match="other parameters: bits 6 -> 7"):
        reloaded(state, dataclasses.replace(PARAMETERS, bits=7), allow_changes=True)
    with pytest.raises(ValueError, match="hash seed 1, not 42"):
        reloaded(state, hash_seed=1, allow_changes=True)


@pytest.mark.parametrize(
    ("slot", "z", "n", "reason"),
    [
        ([1, 1], [0, 0], [0, 0], "twice"),
        ([64], [0], [0], "outside"),
        ([-1], [0], [0], "outside"),
        ([1], [np.nan], [0], "finite"),
        ([1], [0], [-1], "negative"),
        ([1, 2], [0], [0], "2 slots"),
    ],
)
def test_broken_stored_coordinates_are_refused(
    slot: list[int], z: list[float], n: list[float], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        FtrlState.from_rows(
            PARAMETERS,
            np.array(slot, np.int32),
            np.array(z, np.float64),
            np.array(n, np.float64),
            trained_with=PARAMETERS,
        )


def changed(column: np.ndarray, value: float) -> np.ndarray:
    copy = column.copy()
    copy.reshape(-1)[150] = value
    return copy


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("order_key", 149, "order"),
        ("order_day", 0, "order"),
        ("clicked", 2, "clicked"),
        ("glm_offset", np.nan, "glm_offset"),
        ("dense_row", 11, "outside the dense block"),
        ("dense_row", -2, "outside the dense block"),
    ],
)
def test_a_bad_row_is_refused_before_anything_is_learnt(
    name: str, value: float, reason: str
) -> None:
    block = make_block(width=5)
    state = FtrlState.new(PARAMETERS, dense=5)
    with pytest.raises(ValueError, match=rf"row \d+ \(day \d, key \d+\): .*{reason}"):
        block.learn(state, **{name: changed(getattr(block, name), value)})
    assert not state.table.any()
    assert not state.dense.any()
    assert (state.rows, state.watermark) == (0, None)


def test_only_dense_rows_in_use_must_be_finite() -> None:
    block = make_block(width=5)
    with_nan = block.dense.copy()
    with_nan[4, 2] = np.nan
    with pytest.raises(ValueError, match="dense value"):
        block.learn(FtrlState.new(PARAMETERS, dense=5), dense=with_nan)
    unused = np.where(block.dense_row == 4, -1, block.dense_row).astype(np.int32)
    block.learn(FtrlState.new(PARAMETERS, dense=5), dense=with_nan, dense_row=unused)


def test_rows_at_or_before_the_watermark_are_refused() -> None:
    block = make_block()
    state = FtrlState.new(PARAMETERS)
    block.learn(state, stop=100)
    for start in (50, 99):
        with pytest.raises(ValueError, match="order"):
            block.learn(state, start=start)
    assert len(block.learn(state, start=100, stop=100)) == 0
    block.learn(state, start=100)


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"clicked": np.zeros(3, np.uint8)}, ValueError, "clicked has shape"),
        ({"dense_row": np.zeros(3, np.int32)}, ValueError, "dense_row has shape"),
        ({"dense": None}, ValueError, "without dense"),
        ({"dense": np.zeros((11, 4), np.float32)}, ValueError, "state of 5 columns"),
        ({"stop": 201}, ValueError, "outside 0..200"),
        ({"order_day": np.arange(200)}, TypeError, "expected int32 values, got int64"),
    ],
)
def test_inputs_of_another_shape_or_type_are_refused(
    changes: dict[str, Any], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        make_block(width=5).learn(FtrlState.new(PARAMETERS, dense=5), **changes)


def test_divergence_ends_the_use_of_a_state() -> None:
    state = FtrlState.new(PARAMETERS)
    # Five such slots in a row are beyond the largest number.
    state.table[:] = (1.7e308, 0.0)
    block = make_block()
    with pytest.raises(DivergenceError, match="logit not finite"):
        block.learn(state)
    with pytest.raises(DivergenceError, match="has diverged"):
        block.learn(state)
    with pytest.raises(DivergenceError, match="not finite"):
        state.touched()


def test_scoring_gives_the_bits_of_learning() -> None:
    block = make_block(width=13)
    state = FtrlState.new(PARAMETERS, dense=13)
    block.learn(state, stop=150)
    hashed = logits(state.weights(), block.rows)
    dense = np.append(dense_logits(state.dense_weights(), block.dense), 0.0)
    scored = (hashed + dense[block.dense_row]) + block.glm_offset
    assert block.learn(state, start=150, stop=151)[0] == scored[150]


def test_arrays_from_arrow_are_learnt_without_another_compilation() -> None:
    from pipelines.models.ftrl_kernels import learn_rows

    block = make_block()
    own = block.learn(FtrlState.new(PARAMETERS))
    compiled = len(learn_rows.signatures)
    arrow = {
        name: pa.array(column).to_numpy()
        for name, column in block.arguments().items()
        if isinstance(column, np.ndarray)
    }
    rows = SlotRows.from_binary(block.rows.to_binary())
    theirs = block.learn(FtrlState.new(PARAMETERS), **arrow, rows=rows)
    assert theirs.tolist() == own.tolist()
    assert len(learn_rows.signatures) == compiled == 1


def test_variance_of_a_logit_adds_over_its_slots() -> None:
    information = np.array([3.0, 0.0, 1.0, 0.0])
    rows = SlotRows(np.array([0, 2, 2, 3]), np.array([0, 5, 2], dtype=np.int32))
    assert logit_variance(information, rows, prior=1.0).tolist() == [1 / 4 + 1, 0.0, 1 / 2]
    expected = [1 / 5 + 1 / 2, 0.0, 1 / 3]
    assert logit_variance(information, rows, prior=2.0).tolist() == expected
    with pytest.raises(ValueError, match="positive"):
        logit_variance(information, rows, prior=0.0)


@pytest.mark.parametrize(
    "change",
    [{"alpha": 0.0}, {"beta": -1.0}, {"l1": -0.1}, {"l2": np.nan}, {"bits": 0}, {"bits": 31},
     {"beta": 0.0, "l2": 0.0}],
)  # fmt: skip
def test_impossible_parameters_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="FTRL"):
        dataclasses.replace(PARAMETERS, **change)


def test_empty_block() -> None:
    state = FtrlState.new(PARAMETERS)
    block = make_block(0)
    assert isinstance(block, Block)
    assert len(block.learn(state)) == 0
    assert len(state.touched().slot) == 0
