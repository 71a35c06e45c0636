"""95 % intervals for estimates from rows that come in clumps: one clump per user."""

import math

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincinv, ndtri, stdtrit

FloatArray = npt.NDArray[np.float64]
Interval = tuple[float | None, float | None]

_TAIL = 0.025
_NORMAL = float(ndtri(1.0 - _TAIL))


class Users:
    """Which rows belong to one user, and how many users the estimates rest on.

    Parameters
    ----------
    user
        Shape (rows,), int64 hashes.
    clicked
        Shape (rows,), boolean.
    """

    def __init__(self, user: npt.NDArray[np.int64], clicked: npt.NDArray[np.bool_]) -> None:
        self.ids, self._index = np.unique(user, return_inverse=True)
        self.count = len(self.ids)
        self.has_click = np.bincount(self._index[clicked], minlength=self.count) > 0
        self.with_clicks = int(np.count_nonzero(self.has_click))

    def sums(self, influence: FloatArray) -> FloatArray:
        """Sum over the rows of each user, shape (count,), in the order of ``ids``."""
        sums = np.bincount(self._index, influence, minlength=self.count)
        return np.asarray(sums, dtype=np.float64)

    def variance(self, influence: FloatArray) -> float | None:
        """Variance of an estimate whose rows' influences are given, shape (rows,).

        The influences are summed per user and squared, with the usual n / (n - 1) of a sample of
        users; none with fewer than two users who clicked.
        """
        if self.with_clicks < 2:
            return None
        sums = self.sums(influence)
        return float(np.add.reduce(sums * sums)) * self.count / (self.count - 1)

    def interval(self, value: float, influence: FloatArray) -> Interval:
        """Symmetric interval of an estimate by Student's t.

        Clicks carry nearly all the information, so the degrees of freedom are the users who
        clicked, less one: wider than the normal interval where they are few.
        """
        variance = self.variance(influence)
        if variance is None:
            return None, None
        half = self._quantile() * math.sqrt(variance)
        return value - half, value + half

    def share_interval(self, value: float, influence: FloatArray) -> Interval:
        """Interval inside (0, 1) of an estimate inside (0, 1), symmetric on the logit scale."""
        variance = self.variance(influence)
        if variance is None or not 0.0 < value < 1.0:
            return None, None
        half = self._quantile() * math.sqrt(variance) / (value * (1.0 - value))
        odds = value / (1.0 - value)
        low, high = odds * math.exp(-half), odds * math.exp(half)
        return low / (1.0 + low), high / (1.0 + high)

    def _quantile(self) -> float:
        return float(stdtrit(self.with_clicks - 1, 1.0 - _TAIL))


def count_interval(count: int, over_dispersion: float) -> tuple[float, float]:
    """Interval of the mean of a count whose variance is ``over_dispersion`` times its mean.

    Garwood's exact Poisson limits of count / over_dispersion, scaled back (quasi-Poisson).
    """
    effective = count / over_dispersion
    low = float(gammaincinv(effective, _TAIL)) if count else 0.0
    return low * over_dispersion, float(gammaincinv(effective + 1.0, 1.0 - _TAIL)) * over_dispersion


def rate_interval(clicks: int, rows: int, over_dispersion: float) -> tuple[float, float]:
    """Wilson's interval of a click rate, with the rows divided by the over-dispersion."""
    n = rows / over_dispersion
    rate = clicks / rows
    square = _NORMAL * _NORMAL
    centre = (rate + square / (2.0 * n)) / (1.0 + square / n)
    half = _NORMAL / (1.0 + square / n) * math.sqrt(rate * (1.0 - rate) / n + square / (4 * n * n))
    # The rate itself lies inside; at 0 and 1 rounding would leave it out.
    return max(min(centre - half, rate), 0.0), min(max(centre + half, rate), 1.0)
