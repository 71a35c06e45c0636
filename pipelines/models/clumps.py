"""Clumps of clicks: how much more clicks vary than Poisson clicks, because users click several.

The over-dispersion is the variance of the clicks given the probabilities over that of Poisson
clicks, and at least 1. It is taken from the residuals summed per user, after scaling the
probabilities to the observed clicks. A single user tells nothing of it: all clicks are one clump.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.models.intervals import Users

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Clumps(NamedTuple):
    """How the clicks of some rows come together.

    Attributes
    ----------
    over_dispersion : float
        At least 1.
    largest : float
        Clicks of the user with the most of them; 1 without clicks.
    """

    over_dispersion: float = 1.0
    largest: float = 1.0


def clumps_of(p: FloatArray, clicked: npt.NDArray[np.bool_], users: Users) -> Clumps:
    """Clumps of rows with the given probabilities, shape (rows,)."""
    clicks = int(np.count_nonzero(clicked))
    if not clicks:
        return Clumps()
    largest = float(users.sums(clicked.astype(np.float64)).max())
    variance = users.variance(clicked - p * (clicks / float(np.add.reduce(p))))
    return Clumps(largest if variance is None else max(1.0, variance / clicks), largest)


def clumps_by_value(
    p: FloatArray,
    clicked: npt.NDArray[np.bool_],
    user: IntArray,
    codes: IntArray,
    scale: FloatArray,
) -> list[Clumps]:
    """Give the `clumps_of` the rows of every value of a field, by one sort of all rows.

    Parameters
    ----------
    user : numpy.ndarray of int64, shape (rows,)
        Numbers of the users, from 0.
    codes : numpy.ndarray of int64, shape (rows,)
        Numbers of the values, from 0.
    scale : numpy.ndarray of float64, shape (values,)
        Clicks over the sum of the probabilities of each value.

    Returns
    -------
    list of Clumps
        By value.
    """
    values = len(scale)
    pairs = Users(user * values + codes, clicked)
    value = pairs.ids % values
    users = np.bincount(value, minlength=values)
    clicks = np.bincount(codes[clicked], minlength=values)
    residuals = pairs.sums(clicked - p * scale[codes])
    squares = np.bincount(value, residuals * residuals, minlength=values)
    largest = np.ones(values)
    np.maximum.at(largest, value, pairs.sums(clicked.astype(np.float64)))
    over = largest.copy()
    known = (users >= 2) & (clicks > 0)
    over[known] = squares[known] * users[known] / (users[known] - 1) / clicks[known]
    pairs_of = zip(np.maximum(over, 1.0).tolist(), largest.tolist(), strict=True)
    return [Clumps(*pair) for pair in pairs_of]
