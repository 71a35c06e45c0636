"""Figures as a person reads them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date

from pipelines.days import contiguous


def number(value: float | None, digits: int = 0) -> str:
    """Write a number with thousands grouped and a true minus; an en dash for none.

    Examples
    --------
    >>> number(1234567), number(-0.5, 2), number(None)
    ('1,234,567', '−0.50', '–')
    """
    if value is None:
        return "–"
    return f"{value:,.{digits}f}".replace("-", "−")


def figure(value: float | None, digits: int = 6) -> str:
    """Write what was measured, whatever its size; "out of all proportion" for a ratio to nothing.

    Examples
    --------
    >>> figure(0.1234567), figure(float("inf")), figure(None)
    ('0.123457', 'out of all proportion', '')
    """
    if value is None:
        return ""
    return "out of all proportion" if math.isinf(value) else f"{value:.{digits}g}"


def signed(value: float | None, digits: int = 2) -> str:
    """Write a difference with its sign.

    Examples
    --------
    >>> signed(1.234), signed(-0.001), signed(None)
    ('+1.23', '0.00', '–')
    """
    if value is None:
        return "–"
    text = f"{value:+,.{digits}f}"
    return text.lstrip("+-") if float(text.replace(",", "")) == 0 else text.replace("-", "−")


def percent(value: float | None, digits: int = 2) -> str:
    """Write a share in per cent."""
    return "–" if value is None else f"{number(100 * value, digits)} %"


def probability(value: float | None) -> str:
    """Write a click probability in per cent to three significant digits.

    Examples
    --------
    >>> probability(0.01234), probability(0.000045), probability(0.35)
    ('1.23 %', '0.0045 %', '35.0 %')
    """
    if value is None:
        return "–"
    share = 100 * value
    digits = 1 if share >= 10 else 2 if share >= 1 else 3 if share >= 0.1 else 4
    return f"{share:.{digits}f} %"


def seconds(value: float) -> str:
    """Write a duration.

    Examples
    --------
    >>> seconds(3.21), seconds(75), seconds(4000)
    ('3.2 s', '1 min 15 s', '1 h 06 min')
    """
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def day_ranges(days: Iterable[date]) -> str:
    """Write days as ranges.

    Examples
    --------
    >>> day_ranges([date(2025, 2, 27), date(2025, 2, 28), date(2025, 3, 1), date(2025, 3, 5)])
    '27 Feb to 1 Mar, 5 Mar'
    """
    named = [[f"{day:%-d %b}" for day in (run[0], run[-1])] for run in contiguous(days)]
    return ", ".join(first if first == last else f"{first} to {last}" for first, last in named)
