"""Labels of a request's values: the text by which each of them is hashed."""

from __future__ import annotations

import math
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from pipelines.scorer.score_file import Arrays

_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", re.ASCII)
_LOG_EDGES = [2.0 ** (k / 2) for k in range(-20, 61)]
_LAST_SINGLE = 4
_BANDS = ((6, "5-6"), (12, "7-12"), (24, "13-24"), (48, "25-48"))
_APOSTROPHES = frozenset("'\u2019\u02bc")
_SATURDAY = 6


def _number(value: Any) -> float | None:
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return None
    number = float(value)
    return None if math.isnan(number) else number


def _whole(value: Any) -> str | None:
    number = _number(value)
    return None if number is None else str(math.floor(number))


def _log_band(value: Any) -> str | None:
    number = _number(value)
    if number is None:
        return None
    return str(bisect_right(_LOG_EDGES, number) - 20 if number > 0.0 else -99)


def _path_levels(value: Any) -> list[str]:
    parts = [part.strip() for part in str(value).split(">") if part.strip()]
    return [" > ".join(parts[: depth + 1]) for depth in range(len(parts))]


def _weekday(value: Any) -> int:
    return (value if isinstance(value, date) else date.fromisoformat(str(value))).isoweekday()


def _hour(value: Any) -> str:
    if isinstance(value, datetime):
        return str((value if value.tzinfo is None else value.astimezone(UTC)).hour)
    return str(int(value) // 3_600_000_000 % 24)


def _position_band(value: Any) -> str:
    position = int(value)
    if position <= _LAST_SINGLE:
        return str(position)
    return next((name for last, name in _BANDS if position <= last), "49+")


ENCODINGS: Mapping[str, Callable[[Any], str | None]] = {
    "identity": str,
    "number": _whole,
    "log_band": _log_band,
    "path_level_1": lambda value: next(iter(_path_levels(value)), None),
    "path_level_2": lambda value: next(iter(_path_levels(value)[1:]), None),
    "weekday": lambda value: str(_weekday(value)),
    "weekend": lambda value: str(int(_weekday(value) >= _SATURDAY)),
    "hour": _hour,
    "position_band": _position_band,
}
"""The label of a value that is there; None for none."""
LISTS = ("unigrams", "path_levels")
"""Encodings that give any number of labels."""


class Letters(dict[int, str]):
    """What `str.translate` makes of a character: its small form, nothing, or a space."""

    def __init__(self, arrays: Arrays) -> None:
        self._first, self._last = (arrays[f"letters/{end}"].tolist() for end in ("first", "last"))
        pairs = zip(arrays["letters/large"].tolist(), arrays["letters/small"].tolist(), strict=True)
        self._small = dict(pairs)

    def __missing__(self, code: int) -> str:
        small = self._small.get(code, code)
        at = bisect_right(self._first, small) - 1
        is_word = at >= 0 and small <= self._last[at]
        self[code] = "" if chr(small) in _APOSTROPHES else chr(small) if is_word else " "
        return self[code]


def labels_of(encoding: str, value: Any, letters: Letters) -> list[str]:
    """Labels of a value by an encoding of any number of them, in order, repetitions kept."""
    if value is None:
        return []
    if encoding == "unigrams":
        return unicodedata.normalize("NFKC", str(value)).translate(letters).split()
    if encoding == "path_levels":
        return _path_levels(value)
    label = ENCODINGS[encoding](value)
    return [] if label is None else [label]
