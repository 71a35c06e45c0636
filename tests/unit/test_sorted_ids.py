"""Orders and membership of sorted ids, against numpy's own."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.models.sorted_ids import held_by, pair_order


@pytest.mark.parametrize(("carried", "new"), [(0, 0), (0, 9), (9, 0), (200, 50), (50, 200)])
def test_pairs_are_ordered_as_by_numpy(carried: int, new: int) -> None:
    rng = np.random.default_rng(carried + new)
    first = rng.integers(-4, 4, carried + new).astype(np.int16)
    second = rng.integers(-(2**62), 2**62, carried + new)
    second[rng.random(len(second)) < 0.5] //= 2**60
    sorted_part = np.lexsort((second[:carried], first[:carried]))
    first[:carried], second[:carried] = first[sorted_part], second[sorted_part]

    order = pair_order(first, second, carried)

    assert order.tolist() == np.lexsort((second, first)).tolist()


@pytest.mark.parametrize("others", [[], [3], [-5, 0, 7]])
def test_ids_are_held_where_they_are_among_the_others(others: list[int]) -> None:
    ids = np.array([-6, -5, 0, 1, 3, 7, 8])
    held = held_by(ids, np.array(others, dtype=np.int64))
    assert held.tolist() == [value in others for value in ids.tolist()]
