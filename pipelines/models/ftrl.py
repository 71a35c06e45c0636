"""FTRL-Proximal logistic regression over hashed slots, one pass in a fixed order of rows.

McMahan et al., *Ad Click Prediction: a View from the Trenches* (KDD 2013), Algorithm 1, per
coordinate, with a GLM offset added to the logit. A slot that occurs twice in a row is updated
once per occurrence, in order, as Vowpal Wabbit does. All arithmetic is float64 in a fixed order:
the same rows give the same bits, however they are cut into blocks.
"""

import numpy as np
import numpy.typing as npt

from pipelines.features.rows import SlotRows
from pipelines.kernel import column, readonly
from pipelines.models import ftrl_kernels as kernels
from pipelines.models.ftrl_parameters import FtrlParameters
from pipelines.models.ftrl_state import Coordinates, DivergenceError, FtrlState
from pipelines.models.linear import dense_logits, logit_variance, logits

__all__ = [
    "Coordinates",
    "DivergenceError",
    "FtrlParameters",
    "FtrlState",
    "dense_logits",
    "learn",
    "logit_variance",
    "logits",
]

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

# A day before every 32-bit day number.
_BEFORE_ALL = (-(2**40), 0)
_REFUSALS = {
    kernels.BAD_ORDER: "order (day, key) is not strictly ascending",
    kernels.BAD_CLICK: "clicked is neither 0 nor 1",
    kernels.BAD_OFFSET: "glm_offset is not finite",
    kernels.BAD_DENSE_ROW: "dense_row points outside the dense block",
    kernels.BAD_DENSE: "a dense value is not finite",
}


def learn(
    state: FtrlState,
    rows: SlotRows,
    clicked: npt.NDArray[np.uint8],
    glm_offset: Floats,
    order_day: Ints,
    order_key: npt.NDArray[np.int64],
    *,
    dense: Float32s | None = None,
    dense_row: Ints | None = None,
    start: int = 0,
    stop: int | None = None,
) -> Floats:
    """Learn rows start to stop, in order, and give the logit of each before it was learnt.

    Parameters
    ----------
    state : FtrlState
        Changed in place.
    rows : SlotRows
        Hashed features of n rows.
    clicked : numpy.ndarray of uint8, shape (n,)
        1 for a click, 0 for none.
    glm_offset : numpy.ndarray of float64, shape (n,)
        Added to each logit and not learnt: -ln(sampling rate) of a down-sampled row.
    order_day : numpy.ndarray of int32, shape (n,)
    order_key : numpy.ndarray of int64, shape (n,)
        (day, key) ascends strictly over the rows, and from one call to the next.
    dense : numpy.ndarray of float32, shape (L, d), optional
        Dense inputs, as of text vectors of listings.
    dense_row : numpy.ndarray of int32, shape (n,), optional
        The row of ``dense`` that belongs to each row; -1 for none.
    start, stop : int
        Rows to learn, without a copy of the others.

    Returns
    -------
    numpy.ndarray of float64, shape (stop - start,)
        Progressive logits, offset included.

    Raises
    ------
    ValueError
        Shapes differ, or a row is out of order or not finite; nothing has been learnt then.
    DivergenceError
        A logit is not finite, or the state has diverged before.
    """
    if state.diverged:
        raise DivergenceError("FTRL state has diverged; learn again from an older one")
    count = len(rows)
    stop = count if stop is None else stop
    if not 0 <= start <= stop <= count:
        raise ValueError(f"rows {start}..{stop} are outside 0..{count}")
    labels = column("clicked", clicked, np.uint8, count)
    offset = column("glm_offset", glm_offset, np.float64, count)
    days = column("order_day", order_day, np.int32, count)
    keys = column("order_key", order_key, np.int64, count)
    vector_row = column("dense_row", dense_row, np.int32, count)
    vectors = _dense_block(dense, vector_row, state.dense.shape[1])
    if start == stop:
        return np.empty(0)

    examples = kernels.Examples(
        rows.offsets, rows.slots, labels, offset, days, keys, vectors, vector_row
    )
    bad, reason = kernels.first_bad_row(examples, *(state.watermark or _BEFORE_ALL), start, stop)
    if reason != kernels.ROW_IS_GOOD:
        raise ValueError(f"row {bad} (day {days[bad]}, key {keys[bad]}): {_REFUSALS[reason]}")
    progressive = np.empty(stop - start)
    done = kernels.learn_rows(
        state.table, state.dense, state.shrinkage, examples, start, stop, progressive
    )
    if done < stop:
        state.diverged = True
        raise DivergenceError(f"row {done} (day {days[done]}, key {keys[done]}): logit not finite")
    state.rows += stop - start
    state.clicks += int(np.count_nonzero(labels[start:stop]))
    state.watermark = (int(days[stop - 1]), int(keys[stop - 1]))
    return progressive


def _dense_block(dense: Float32s | None, dense_row: Ints, width: int) -> Float32s:
    if dense is None:
        if len(dense_row):
            raise ValueError("dense_row is given without dense")
        return readonly(np.empty((0, width), np.float32), np.float32)
    if dense.ndim != 2 or dense.shape[1] != width:
        raise ValueError(f"dense inputs of shape {dense.shape} for a state of {width} columns")
    return readonly(dense, np.float32)
