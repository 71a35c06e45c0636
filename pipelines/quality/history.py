"""A measure against its own last days: robust z by median and MAD."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median
from typing import TypeVar

# Turns a MAD into the standard deviation of a normal distribution: 1 / Phi^-1(3/4).
MAD_TO_SIGMA = 1.4826
WEEKDAYS_ENOUGH = 4
Kept = TypeVar("Kept")


@dataclass(frozen=True)
class RobustZ:
    """Distance of a value from its history.

    Attributes
    ----------
    z : float
        In robust standard deviations.
    centre : float
        Median of the days compared with.
    days : int
        How many days these are.
    same_weekday : bool
        Whether they are days of the same weekday only.
    """

    z: float
    centre: float
    days: int
    same_weekday: bool


def unsuspicious_days(
    day: date, past: Mapping[date, Kept], anomalies: Collection[date], *, min_days: int
) -> dict[date, Kept]:
    """What is known of the earlier days that a day is compared with, in day order.

    Days that were anomalies themselves are left out while enough others remain: after that they
    count, so that a lasting change becomes the new normal instead of an alarm for ever.
    """
    earlier = {d: v for d, v in sorted(past.items()) if d < day}
    unsuspicious = {d: v for d, v in earlier.items() if d not in anomalies}
    return unsuspicious if len(unsuspicious) >= min_days else earlier


def comparable_days(
    day: date, past: Mapping[date, float], anomalies: Collection[date], *, min_days: int
) -> tuple[list[float], bool]:
    """Values of the days that a day is compared with.

    Days of the same weekday are taken alone once there are `WEEKDAYS_ENOUGH` of them.

    Returns
    -------
    values, same_weekday : list of float, bool
        In day order.
    """
    finite = {d: v for d, v in past.items() if math.isfinite(v)}
    chosen = unsuspicious_days(day, finite, anomalies, min_days=min_days)
    alike = [v for d, v in chosen.items() if d.weekday() == day.weekday()]
    if len(alike) >= WEEKDAYS_ENOUGH:
        return alike, True
    return list(chosen.values()), False


def robust_z(
    value: float,
    history: Sequence[float],
    *,
    floor: float,
    ceiling: float | None = None,
    least: float = 0.0,
    noise: float = 0.0,
) -> tuple[float, float]:
    """Distance from the median of a history in robust standard deviations.

    Parameters
    ----------
    value : float
        Today's value.
    history : sequence of float
        At least one value.
    floor : float
        Least spread, as a share of the median: a steady history must not make trifles anomalies.
    ceiling : float, optional
        Largest spread of the history, as a share of the median: a restless one excuses no collapse.
    least : float
        Least spread in the unit of the values.
    noise : float
        Standard deviation that counting alone gives today's value.

    Returns
    -------
    z, centre : float
        z is 0 for a value equal to the centre, and infinite where the spread is 0.
    """
    centre = median(history)
    spread = MAD_TO_SIGMA * median([abs(v - centre) for v in history])
    if ceiling is not None:
        spread = min(spread, ceiling * abs(centre))
    scale = math.hypot(max(spread, floor * abs(centre), least), noise)
    distance = value - centre
    if distance == 0:
        return 0.0, centre
    return (distance / scale if scale > 0 else math.copysign(math.inf, distance)), centre


def against_history(
    day: date,
    value: float,
    past: Mapping[date, float],
    anomalies: Collection[date],
    *,
    min_days: int,
    floor: float,
    ceiling: float | None = None,
    least: float = 0.0,
    noise: float = 0.0,
) -> RobustZ | None:
    """Compare a day with its history; None where the history is too short.

    Parameters
    ----------
    past : mapping of date to float
        The measure of the days known; later days are not looked at.
    anomalies : collection of date
        Days on which the same comparison said anomaly.
    """
    values, same_weekday = comparable_days(day, past, anomalies, min_days=min_days)
    if not same_weekday and len(values) < min_days:
        return None
    z, centre = robust_z(value, values, floor=floor, ceiling=ceiling, least=least, noise=noise)
    return RobustZ(z=z, centre=centre, days=len(values), same_weekday=same_weekday)
