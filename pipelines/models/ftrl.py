"""FTRL-Proximal logistic regression over hashed slots, one pass in a fixed order of rows.

McMahan et al., *Ad Click Prediction: a View from the Trenches* (KDD 2013), Algorithm 1, per
coordinate, with a GLM offset added to the logit. A slot that occurs twice in a row is updated
once per occurrence, in order, as Vowpal Wabbit does. All arithmetic is float64 in a fixed order:
the same rows give the same bits, however they are cut into blocks.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from pipelines.features.hashing import HASH_SEED
from pipelines.features.rows import SlotRows
from pipelines.kernel import readonly
from pipelines.models import ftrl_kernels as kernels

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

_REFUSALS = {
    kernels.BAD_ORDER: "order (day, key) is not strictly ascending",
    kernels.BAD_CLICK: "clicked is neither 0 nor 1",
    kernels.BAD_OFFSET: "glm_offset is not finite",
    kernels.BAD_WEIGHT: "importance weight is negative or not finite",
    kernels.BAD_VALUE: "a feature value is not finite",
    kernels.BAD_DENSE_ROW: "dense_row points outside the dense block",
    kernels.BAD_DENSE: "a dense value is not finite",
}


class DivergenceError(ValueError):
    """Learning left the finite numbers; the state may not be used any more."""


@dataclass(frozen=True, kw_only=True)
class FtrlParameters:
    """Hyper-parameters, and what ties a slot to a feature.

    Attributes
    ----------
    alpha, beta : float
        Learning rate of a coordinate: alpha / (beta + sqrt(n)).
    l1, l2 : float
        Regularization strengths (lambda 1 and lambda 2).
    bits : int
        The table has 2**bits slots.
    hash_seed : int
        Seed of the feature hash.

    Raises
    ------
    ValueError
        alpha is not positive, another one is negative, beta and l2 are both 0 (the first step
        of a coordinate would divide by zero), or bits is outside 1..30.
    """

    alpha: float
    beta: float
    l1: float
    l2: float
    bits: int
    hash_seed: int = HASH_SEED

    def __post_init__(self) -> None:
        if not all(np.isfinite([self.alpha, self.beta, self.l1, self.l2])):
            raise ValueError(f"FTRL parameters must be finite: {self}")
        if self.alpha <= 0 or min(self.beta, self.l1, self.l2) < 0 or self.beta + self.l2 <= 0:
            raise ValueError(
                f"FTRL needs alpha > 0, beta, l1, l2 >= 0 and beta + l2 > 0, got {self}"
            )
        if not 1 <= self.bits <= 30:
            raise ValueError(f"FTRL table bits must be within 1..30, got {self.bits}")

    @property
    def _base(self) -> float:
        return self.beta + self.alpha * self.l2


class Coordinates(NamedTuple):
    """Learnt coordinates, ascending by slot; dense column j has the slot -1 - j."""

    slot: Ints
    weight: Floats
    z: Floats
    n: Floats


@dataclass(kw_only=True, eq=False)
class FtrlState:
    """What one learner knows after the rows learnt so far.

    Attributes
    ----------
    parameters : FtrlParameters
    table : numpy.ndarray of float64, shape (2**bits, 2)
        (z, sqrt(n)) of each hashed slot.
    dense : numpy.ndarray of float64, shape (d, 2)
        (z, sqrt(n)) of each column of the dense inputs; d may be 0.
    rows, clicks : int
        Rows learnt, and how many of them were clicked.
    watermark : (int, int) or None
        (day, key) of the last row learnt; later rows must be greater.
    diverged : bool
        Learning has failed; the state refuses further use.
    """

    parameters: FtrlParameters
    table: Floats = field(repr=False)
    dense: Floats = field(repr=False)
    rows: int = 0
    clicks: int = 0
    watermark: tuple[int, int] | None = None
    diverged: bool = False

    @classmethod
    def new(cls, parameters: FtrlParameters, *, dense: int = 0) -> Self:
        """Make a state that has learnt nothing, for ``dense`` columns of dense inputs."""
        return cls(
            parameters=parameters,
            table=np.zeros((1 << parameters.bits, 2)),
            dense=np.zeros((dense, 2)),
        )

    @classmethod
    def from_rows(
        cls,
        parameters: FtrlParameters,
        slot: Ints,
        z: Floats,
        n: Floats,
        *,
        trained_with: FtrlParameters,
        dense: int = 0,
        rows: int = 0,
        clicks: int = 0,
        watermark: tuple[int, int] | None = None,
        allow_changes: bool = False,
    ) -> Self:
        """Rebuild a state from stored coordinates, in any order, bit for bit.

        Parameters
        ----------
        parameters : FtrlParameters
            To go on with.
        slot, z, n : numpy.ndarray, shape (m,)
            As of `touched`.
        trained_with : FtrlParameters
            Stored with the coordinates.
        dense, rows, clicks, watermark
            As of the stored state.
        allow_changes : bool
            Accept another alpha, beta, l1 or l2 than the stored ones. Other bits or another
            seed are never accepted: the slots would mean other features.

        Raises
        ------
        ValueError
            The parameters differ, a slot is out of range or occurs twice, or z or n is not
            finite or n is negative.
        """
        _check_same_parameters(parameters, trained_with, allow_changes)
        state = cls.new(parameters, dense=dense)
        state.rows, state.clicks, state.watermark = rows, clicks, watermark
        if not len(slot) == len(z) == len(n):
            raise ValueError(f"{len(slot)} slots for {len(z)} z and {len(n)} n")
        if len(np.unique(slot)) != len(slot):
            raise ValueError("a slot occurs twice among the stored coordinates")
        if len(slot) and not -dense <= slot.min() <= slot.max() < len(state.table):
            raise ValueError(f"stored slots outside {-dense}..{len(state.table) - 1}")
        if not (np.isfinite(z).all() and np.isfinite(n).all() and (n >= 0).all()):
            raise ValueError("stored z and n must be finite, and n not negative")
        hashed = slot >= 0
        coordinates = np.column_stack([z, np.sqrt(n)])
        state.table[slot[hashed]] = coordinates[hashed]
        state.dense[-1 - slot[~hashed]] = coordinates[~hashed]
        return state

    def touched(self) -> Coordinates:
        """Give every coordinate that has learnt something, ascending by slot.

        Raises
        ------
        DivergenceError
            A coordinate is not finite.
        """
        used = np.flatnonzero((self.table != 0).any(axis=1))
        columns = np.flatnonzero((self.dense != 0).any(axis=1))[::-1]
        z, root = np.concatenate([self.dense[columns], self.table[used]]).T
        if self.diverged or not (np.isfinite(z).all() and np.isfinite(root).all()):
            raise DivergenceError("FTRL state is not finite; lower alpha or bound the inputs")
        return Coordinates(
            slot=np.concatenate([-1 - columns, used]).astype(np.int32),
            weight=np.concatenate([self.dense_weights()[columns], self.weights()[used]]),
            z=z.copy(),
            n=root * root,
        )

    def weights(self) -> Floats:
        """Weights of the hashed slots, shape (2**bits,)."""
        return self._weights(self.table)

    def dense_weights(self) -> Floats:
        """Weights of the dense columns, shape (d,)."""
        return self._weights(self.dense)

    def information(self) -> Floats:
        """Sums of squared gradients n of the hashed slots, shape (2**bits,)."""
        return np.square(self.table[:, 1])

    def _weights(self, coordinates: Floats) -> Floats:
        weights = np.empty(len(coordinates))
        of = self.parameters
        kernels.fill_weights(coordinates, of.alpha, of.l1, of._base, weights)
        return weights


def learn(
    state: FtrlState,
    rows: SlotRows,
    clicked: npt.NDArray[np.uint8],
    glm_offset: Floats,
    order_day: Ints,
    order_key: npt.NDArray[np.int64],
    *,
    values: Float32s | None = None,
    dense: Float32s | None = None,
    dense_row: Ints | None = None,
    weights: Float32s | None = None,
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
    values : numpy.ndarray of float32, shape (len(rows.slots),), optional
        Value of each slot; all 1 if not given.
    dense : numpy.ndarray of float32, shape (L, d), optional
        Dense inputs, as of text vectors of listings.
    dense_row : numpy.ndarray of int32, shape (n,), optional
        The row of ``dense`` that belongs to each row; -1 for none.
    weights : numpy.ndarray of float32, shape (n,), optional
        Importance weights, which multiply the gradients; all 1 if not given.
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
    labels = _column("clicked", clicked, np.uint8, count)
    offset = _column("glm_offset", glm_offset, np.float64, count)
    days = _column("order_day", order_day, np.int32, count)
    keys = _column("order_key", order_key, np.int64, count)
    importance = _column("weights", weights, np.float32, count)
    value = _column("values", values, np.float32, len(rows.slots))
    vector_row = _column("dense_row", dense_row, np.int32, count)
    vectors = _dense_block(dense, vector_row, len(state.dense))
    if start == stop:
        return np.empty(0)

    day, key = state.watermark or (0, 0)
    bad, reason = kernels.first_bad_row(
        rows.offsets, labels, offset, days, keys, value, vectors, vector_row, importance,
        state.watermark is not None, day, key, start, stop,
    )  # fmt: skip
    if reason != kernels.ROW_IS_GOOD:
        raise ValueError(f"row {bad} (day {days[bad]}, key {keys[bad]}): {_REFUSALS[reason]}")
    of = state.parameters
    logits = np.empty(stop - start)
    done = kernels.learn_rows(
        state.table, state.dense, of.alpha, of._base, of.l1, rows.offsets, rows.slots, value,
        vectors, vector_row, labels, offset, importance, start, stop, logits,
    )  # fmt: skip
    if done < stop:
        state.diverged = True
        raise DivergenceError(f"row {done} (day {days[done]}, key {keys[done]}): logit not finite")
    state.rows += stop - start
    state.clicks += int(np.count_nonzero(labels[start:stop]))
    state.watermark = (int(days[stop - 1]), int(keys[stop - 1]))
    return logits


def logits(weights: Floats, rows: SlotRows, values: Float32s | None = None) -> Floats:
    """Sum the weights of each row's slots, in their order: the logit without offset and dense part.

    Parameters
    ----------
    weights : numpy.ndarray of float64, shape (2**bits,)
    rows : SlotRows
    values : numpy.ndarray of float32, shape (len(rows.slots),), optional

    Returns
    -------
    numpy.ndarray of float64, shape (len(rows),)
    """
    sums = np.empty(len(rows))
    value = _column("values", values, np.float32, len(rows.slots))
    kernels.hashed_sums(_table(weights), rows.offsets, rows.slots, value, sums)
    return sums


def dense_logits(weights: Floats, dense: Float32s) -> Floats:
    """Dense part of the logit of each dense row, shape (L,), summed in the order of learning."""
    if dense.ndim != 2 or dense.shape[1] != len(weights):
        raise ValueError(f"dense inputs of shape {dense.shape} for {len(weights)} weights")
    sums = np.empty(len(dense))
    kernels.dense_sums(readonly(weights, np.float64), readonly(dense, np.float32), sums)
    return sums


def logit_variance(
    information: Floats, rows: SlotRows, *, prior: float, values: Float32s | None = None
) -> Floats:
    """Variance of each row's logit by the diagonal of the information: sum of x**2 / (n + prior).

    n sums the squared gradients of a coordinate, which near the optimum estimates its Fisher
    information sum p (1 - p) x**2; ``prior`` is the precision (1 / variance) of a weight nothing
    is known about. McMahan et al. 2013, section 6, use the same counters as a confidence score.
    Covariances between weights are left out: compare rows by it, do not build tests on it. A
    slot that occurs twice counts as two weights.

    Parameters
    ----------
    information : numpy.ndarray of float64, shape (2**bits,)
        n of every slot, as of `FtrlState.information`.
    rows : SlotRows
    prior : float
        Positive.
    values : numpy.ndarray of float32, shape (len(rows.slots),), optional

    Returns
    -------
    numpy.ndarray of float64, shape (len(rows),)
        Squared logits; the square root is the standard error.
    """
    if not prior > 0:
        raise ValueError(f"the prior precision of a weight must be positive, got {prior}")
    sums = np.empty(len(rows))
    value = _column("values", values, np.float32, len(rows.slots))
    kernels.variance_sums(_table(information), prior, rows.offsets, rows.slots, value, sums)
    return sums


def _check_same_parameters(new: FtrlParameters, old: FtrlParameters, allow_changes: bool) -> None:
    before = asdict(old)
    changed = {name: value for name, value in asdict(new).items() if value != before[name]}
    fixed = changed.keys() & {"bits", "hash_seed"}
    if fixed or (changed and not allow_changes):
        listing = ", ".join(f"{name} {before[name]} -> {changed[name]}" for name in changed)
        raise ValueError(f"the stored state was learnt with other parameters: {listing}")


def _column(name: str, column: Any, dtype: npt.DTypeLike, length: int) -> npt.NDArray[Any]:
    """Check a column of one entry a row (or a slot); an optional one that is missing is empty."""
    if column is None:
        return readonly(np.empty(0, dtype), dtype)
    if np.shape(column) != (length,):
        raise ValueError(f"{name} has shape {np.shape(column)}, expected ({length},)")
    return readonly(column, dtype)


def _dense_block(dense: Float32s | None, dense_row: Ints, width: int) -> Float32s:
    if dense is None:
        if len(dense_row):
            raise ValueError("dense_row is given without dense")
        return readonly(np.empty((0, width), np.float32), np.float32)
    if dense.ndim != 2 or dense.shape[1] != width:
        raise ValueError(f"dense inputs of shape {dense.shape} for a state of {width} columns")
    return readonly(dense, np.float32)


def _table(weights: Floats) -> Floats:
    if weights.ndim != 1 or len(weights) == 0 or len(weights) & (len(weights) - 1):
        raise ValueError(f"a table has 2**bits entries, got shape {weights.shape}")
    return readonly(weights, np.float64)
