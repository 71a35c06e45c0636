"""Linear scores over hashed rows and dense inputs, summed in a fixed order.

No BLAS, whose order of summation depends on the machine: a score has the same bits everywhere,
and equals what FTRL-Proximal predicted with the same weights while it learnt.
"""

import numpy as np
import numpy.typing as npt

from pipelines.features.rows import SlotRows
from pipelines.kernel import readonly
from pipelines.models import ftrl_kernels as kernels

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]


def logits(weights: Floats, rows: SlotRows) -> Floats:
    """Sum the weights of each row's slots, in their order: the logit without offset and dense part.

    Parameters
    ----------
    weights : numpy.ndarray of float64, shape (2**bits,)
    rows : SlotRows

    Returns
    -------
    numpy.ndarray of float64, shape (len(rows),)
    """
    sums = np.empty(len(rows))
    kernels.hashed_sums(_table(weights), rows.offsets, rows.slots, sums)
    return sums


def dense_logits(weights: Floats, dense: Float32s) -> Floats:
    """Dense part of the logit of each dense row, shape (L,), summed in the order of learning."""
    if dense.ndim != 2 or dense.shape[1] != len(weights):
        raise ValueError(f"dense inputs of shape {dense.shape} for {len(weights)} weights")
    sums = np.empty(len(dense))
    kernels.dense_sums(readonly(weights, np.float64), readonly(dense, np.float32), sums)
    return sums


def logit_variance(information: Floats, rows: SlotRows, *, prior: float) -> Floats:
    """Variance of each row's logit by the diagonal of the information: sum of 1 / (n + prior).

    n sums the squared gradients of a coordinate, which near the optimum estimates its Fisher
    information sum p (1 - p); ``prior`` is the precision (1 / variance) of a weight nothing
    is known about. McMahan et al. 2013, section 6, use the same counters as a confidence score.
    Covariances between weights are left out: compare rows by it, do not build tests on it. A
    slot that occurs twice counts as two weights.

    Parameters
    ----------
    information : numpy.ndarray of float64, shape (2**bits,)
        n of every slot, as of `Weights.information`.
    rows : SlotRows
    prior : float
        Positive.

    Returns
    -------
    numpy.ndarray of float64, shape (len(rows),)
        Squared logits; the square root is the standard error.
    """
    if not prior > 0:
        raise ValueError(f"the prior precision of a weight must be positive, got {prior}")
    sums = np.empty(len(rows))
    kernels.variance_sums(_table(information), prior, rows.offsets, rows.slots, sums)
    return sums


def _table(weights: Floats) -> Floats:
    if weights.ndim != 1 or len(weights) == 0 or len(weights) & (len(weights) - 1):
        raise ValueError(f"a table has 2**bits entries, got shape {weights.shape}")
    return readonly(weights, np.float64)
