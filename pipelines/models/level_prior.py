"""How the level of a market moves: section `training.level` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.days import weekdays
from pipelines.parameters import NotNegative, Parameters, Positive

Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

_WEEKEND_SHARE = 2 / 7
_SATURDAY = 5


@dataclass(frozen=True)
class LevelPrior(Parameters):
    """How the level of a market moves, as standard deviations in logits.

    Attributes
    ----------
    drift : float
        Of the change from one day to the next, which stays, of both surfaces alike.
    surface : float
        Of the same of each surface for itself.
    day : float
        Of what one day has for itself, such as a holiday, and no other.
    weekday : float
        Of what a day of the week has every week.
    weekend : float
        Of what Saturdays and Sundays have in common against the other days.
    intercept : float
        Of the level itself before the first day: how far off the model may be from the start.
    """

    drift: Positive
    surface: NotNegative
    day: NotNegative
    weekday: NotNegative
    weekend: NotNegative
    intercept: Positive = 1.0

    def covariance(self, one: tuple[Days, Flags], other: tuple[Days, Flags], start: int) -> Floats:
        """Covariance of levels, shape (len(one), len(other)).

        Parameters
        ----------
        one, other : (days since 1970, whether of search)
        start : int
            The day before the first: the drift begins there.
        """
        (day, search), (other_day, other_search) = one, other
        since = np.minimum.outer(day - start, other_day - start).astype(np.float64)
        same_surface = np.equal.outer(search, other_search)
        of_week = weekdays(day), weekdays(other_day)
        weekends = [(w >= _SATURDAY) - _WEEKEND_SHARE for w in of_week]
        return np.asarray(
            same_surface * (self.intercept**2 + self.surface**2 * since)
            + self.drift**2 * since
            + self.day**2 * np.equal.outer(day, other_day)
            + self.weekday**2 * np.equal.outer(*of_week)
            + self.weekend**2 * np.multiply.outer(*weekends)
        )
