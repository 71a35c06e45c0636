"""Over-dispersion: how much more clicks vary than Poisson clicks, because they come in clumps.

The variance of the clicks given the probabilities, over that of Poisson clicks, and at least 1. It
is taken from the residuals summed per user, after scaling the probabilities to the observed clicks.
"""

import numpy as np
import numpy.typing as npt

from pipelines.models.intervals import Users

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def over_dispersion(p: FloatArray, clicked: npt.NDArray[np.bool_], users: Users) -> float:
    """Over-dispersion of rows; 1 with fewer than two users who clicked."""
    clicks = int(np.count_nonzero(clicked))
    if not clicks:
        return 1.0
    variance = users.variance(clicked - p * (clicks / float(np.add.reduce(p))))
    return 1.0 if variance is None else max(1.0, variance / clicks)


def over_dispersions(
    p: FloatArray,
    clicked: npt.NDArray[np.bool_],
    user: IntArray,
    codes: IntArray,
    scale: FloatArray,
) -> FloatArray:
    """Give the `over_dispersion` of the rows of every value of a field, by one sort of all rows.

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
    numpy.ndarray of float64, shape (values,)
    """
    values = len(scale)
    pairs = Users(user * values + codes, clicked)
    value = pairs.ids % values
    users = np.bincount(value, minlength=values)
    with_clicks = np.bincount(value[pairs.has_click], minlength=values)
    clicks = np.bincount(codes[clicked], minlength=values)
    residuals = pairs.sums(clicked - p * scale[codes])
    squares = np.bincount(value, residuals * residuals, minlength=values)
    known = with_clicks >= 2
    over = np.ones(values)
    over[known] = squares[known] * users[known] / (users[known] - 1) / clicks[known]
    return np.maximum(over, 1.0)
