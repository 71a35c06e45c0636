"""Isotonic regression by pooling adjacent violators."""

import numpy as np
import numpy.typing as npt

from pipelines.kernel import kernel, readonly

FloatArray = npt.NDArray[np.float64]


@kernel
def _pool(sums: FloatArray, weights: FloatArray, starts: npt.NDArray[np.int64]) -> int:
    """Pool in place; block k ends up in ``sums[k]``, ``weights[k]`` and begins at ``starts[k]``."""
    blocks = 0
    for i in range(len(sums)):
        total, weight, start = sums[i], weights[i], i
        # Means are compared as products, which is exact while sums and weights are integers.
        while blocks > 0 and sums[blocks - 1] * weight >= total * weights[blocks - 1]:
            blocks -= 1
            total += sums[blocks]
            weight += weights[blocks]
            start = starts[blocks]
        sums[blocks], weights[blocks], starts[blocks] = total, weight, start
        blocks += 1
    return blocks


def pool_adjacent_violators(
    sums: npt.ArrayLike, weights: npt.ArrayLike
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.int64]]:
    """Pool neighbours until the means ``sums / weights`` strictly increase.

    Parameters
    ----------
    sums, weights
        Shape (groups,), in the order of the predictor: for click rates the clicks and the rows.
        Weights are positive.

    Returns
    -------
    sums, weights, starts
        Shape (blocks,): totals of each block and the index of its first group.

    Notes
    -----
    The block means are the weighted least-squares and the maximum-likelihood increasing fit
    (Ayer et al. 1955).
    """
    pooled_sums = np.array(readonly(sums, np.float64))
    pooled_weights = np.array(readonly(weights, np.float64))
    if pooled_sums.shape != pooled_weights.shape:
        raise ValueError("sums and weights differ in length")
    if not (pooled_weights > 0).all():
        raise ValueError("weights must be positive")
    starts = np.zeros(len(pooled_sums), dtype=np.int64)
    blocks = _pool(pooled_sums, pooled_weights, starts)
    return pooled_sums[:blocks], pooled_weights[:blocks], starts[:blocks]
