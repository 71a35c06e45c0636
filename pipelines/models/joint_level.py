"""The level of the joint model: what it promises on the whole, surface by surface.

Each coordinate of a row takes the row's surprise as its own: a diagonal posterior does not know
that some dozens of them rise and fall together. Together they move the level of all rows as many
times as far as its evidence warrants, and the level of a day's end would be that of the day's last
clicks. At the end of a day the one direction in which all of them agree is therefore settled by
what is known of it: the level that the model had, and that of the day's clicks, each weighted by
its own evidence (a scalar Kalman filter; its variance is that of the surface's coordinate, whose
walk says how far a level drifts in a day).

That is done in the first days only (`JointSpec.level_days`), when all coordinates are still moved
far by a row: a day's own rows, which have been learnt, are promised more of what they were than
rows of tomorrow, and a level that is matched on them sinks from day to day.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipelines.models import joint_kernels as kernels
from pipelines.models.elementary import exp, probabilities
from pipelines.models.joint_content import ordered_sum
from pipelines.models.joint_state import JointState
from pipelines.models.sorted_ids import held_by

Floats = npt.NDArray[np.float64]
Index = npt.NDArray[np.int32]

# Rows that stand for a day's: their sums are off by less than 1 %, a day's clicks by 3 % and more.
_ROWS = 2**15
_STEPS = 20
_TOLERANCE = 1e-12


class DayLevels:
    """What the rows of a day say of the level of every value of one namespace.

    Parameters
    ----------
    column : int
        The namespace of rows whose values have levels of their own, such as the surface.
    variances : sequence of mapping of int to float
        By scale, of the values' own coordinates at the end of the day before.
    first_variance : float
        Of a value that was not there then.
    """

    def __init__(
        self,
        column: int,
        variances: Sequence[Mapping[int, float]],
        first_variance: float,
    ) -> None:
        self.column = column
        self._variances = variances
        self._first_variance = first_variance
        self._clicks: dict[int, float] = {}
        self._weights: dict[int, float] = {}
        self._room = _ROWS
        self._sample: list[tuple[Index, Floats, Floats]] = []
        self._before: list[tuple[Index, Floats]] = []

    def add(
        self, means_of: Callable[[Index], Floats], index: Index, clicked: npt.NDArray[np.uint8],
        offset: Floats, weight: Floats,
    ) -> None:  # fmt: skip
        """Take rows in, before they are learnt.

        Parameters
        ----------
        means_of : callable
            Posterior means of coordinates, shape (n, S), as they are now.
        index : numpy.ndarray of int32, shape (n, K)
            Coordinates of each row; -1 for none. Rows come in an order of chance.
        clicked, offset, weight : numpy.ndarray, shape (n,)
        """
        values = index[:, self.column]
        for value in np.flatnonzero(np.bincount(values + 1, minlength=1)[1:]).tolist():
            own = values == value
            for sums, part in ((self._clicks, weight * clicked), (self._weights, weight)):
                sums[value] = sums.get(value, 0.0) + ordered_sum(part[own])
        if self._room:
            first = slice(0, self._room)
            # Copies: a part would hold all rows of its block.
            self._sample.append((index[first].copy(), offset[first].copy(), weight[first].copy()))
            self._room -= len(self._sample[-1][0])
            # All rows until here are of the sample: what is new in it has learnt nothing today.
            own = np.unique(index[first])
            own = own[own >= 0]
            self._before.append((own, means_of(own)))

    def renumber(self, number: Index) -> None:
        """Coordinates have other numbers from now on, or none (-1)."""
        self._sample = [
            (np.where(index >= 0, number[index], -1), offset, weight)
            for index, offset, weight in self._sample
        ]
        self._before = [
            (number[own][number[own] >= 0], means[number[own] >= 0]) for own, means in self._before
        ]
        self._clicks, self._weights = (
            {int(number[value]): total for value, total in sums.items() if number[value] >= 0}
            for sums in (self._clicks, self._weights)
        )
        self._variances = [
            {int(number[value]): own for value, own in known.items() if number[value] >= 0}
            for known in self._variances
        ]

    def settle(self, kept: npt.NDArray[np.int64], state: JointState) -> None:
        """Put the levels of a day's end where the days so far speak for, by the values' own b.

        Parameters
        ----------
        kept : numpy.ndarray of int64, shape (d,)
            Numbers of the state's coordinates.
        state : JointState
            Of the day's end: b is changed in place.
        """
        if not self._sample:
            return
        index, offset, weight = (np.concatenate(part) for part in zip(*self._sample, strict=True))
        used = np.unique(index[index >= 0])
        place = np.where(index >= 0, np.searchsorted(used, index), -1).astype(np.int32)
        # Where the state has what the sample uses; -1 for what it has let go.
        line = np.full(len(used), -1, dtype=np.int64)
        own = np.flatnonzero(held_by(kept, used))
        line[np.searchsorted(used, kept[own])] = own
        for scale in range(len(state.posteriors)):
            before, after = np.zeros((2, len(used)))
            # Of means that were taken in turn the first is that of the day's beginning.
            for numbers, means in reversed(self._before):
                before[np.searchsorted(used, numbers)] = means[:, scale]
            precision = 1.0 / state.posteriors[scale].variance[state.namespace[line]]
            total = state.g(scale)[line] + precision
            known = (state.b(scale)[line] + precision * state.prior_mean(scale)[line]) / total
            after[line >= 0] = known[line >= 0]
            promises = [_promised(means, place, offset) for means in (before, after)]
            for value, clicks in self._clicks.items():
                of_value = index[:, self.column] == value
                sampled = ordered_sum(weight[of_value])
                at = np.searchsorted(used, value)
                if not sampled > 0.0 or line[at] < 0:
                    continue
                part = self._weights[value] / sampled
                was, now = (part * ordered_sum((weight * p)[of_value]) for p in promises)
                of_was, of_now = (
                    part * ordered_sum((weight * p * (1.0 - p))[of_value]) / whole
                    for p, whole in zip(promises, (was, now), strict=True)
                )
                variance = self._variances[scale].get(value, self._first_variance)
                wanted = was * exp(of_was * _shift(was, of_was, clicks, 1.0 / variance))
                state.b(scale)[line[at]] += _shift(now, of_now, wanted, 0.0) * total[at]


def _promised(means: Floats, index: Index, offset: Floats) -> Floats:
    logits = np.empty(len(index))
    kernels.row_sums(means, index, logits)
    return probabilities(logits + offset)


def _shift(promised: float, share: float, clicks: float, precision: float) -> float:
    """Most probable shift of a level from where it was, by Newton's method.

    Clicks are Poisson of ``promised * exp(share * shift)``: ``share`` is the mean of 1 - p, by
    which a probability grows less than its odds. The level's own precision holds it.
    """
    shift = 0.0
    for _ in range(_STEPS):
        mean = promised * exp(share * shift)
        step = (share * (clicks - mean) - shift * precision) / (share**2 * mean + precision)
        # From far above, a step would go too far down before it comes back.
        shift += max(-1.0, min(1.0, step))
        if math.fabs(step) < _TOLERANCE:
            break
    return shift
