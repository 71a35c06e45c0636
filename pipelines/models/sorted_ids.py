"""Ids that are sorted, or nearly so: their order, and which of them others hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.kernel import kernel

Ints = npt.NDArray[np.int64]


def pair_order(first: npt.NDArray[Any], second: npt.NDArray[Any], ordered: int) -> Ints:
    """Order by `first`, then `second`; of equal pairs the earlier first.

    As ``numpy.lexsort((second, first))``, in linear time where little is new.

    Parameters
    ----------
    first, second : numpy.ndarray of int, shape (n,)
    ordered : int
        So many pairs at the start are in order.

    Returns
    -------
    numpy.ndarray of int64, shape (n,)
    """
    later = ordered + np.lexsort((second[ordered:], first[ordered:])).astype(np.int64)
    order = np.empty(len(first), dtype=np.int64)
    _merge(first, second, later, ordered, order)
    return order


def held_by(ids: Ints, others: Ints) -> npt.NDArray[np.bool_]:
    """Which ids, shape (n,), are among ascending others."""
    if not len(others):
        return np.zeros(len(ids), dtype=np.bool_)
    place = np.minimum(np.searchsorted(others, ids), len(others) - 1)
    return np.asarray(others[place] == ids)


@kernel
def _merge(
    first: npt.NDArray[Any], second: npt.NDArray[Any], later: Ints, ordered: int, order: Ints
) -> None:
    left, right = 0, 0
    for place in range(len(order)):
        takes_left = right == len(later)
        if left < ordered and not takes_left:
            at = later[right]
            takes_left = first[left] < first[at] or (
                first[left] == first[at] and second[left] <= second[at]
            )
        if takes_left:
            order[place] = left
            left += 1
        else:
            order[place] = later[right]
            right += 1
