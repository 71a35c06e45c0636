"""What Spark says of a SELECT: where it is not understood, or fails on a row."""

from __future__ import annotations

import re

_PLACE = re.compile(r"\(?\bline (\d+),? pos \d+\)?")
_ON_A_ROW = re.compile(
    r"(\[[A-Z_.]+\] [^\n]*)\n== SQL[^\n(]*\(line (\d+), position \d+\) ==\n([^\n]+)"
)
_NOISE = re.compile(r"SQLSTATE: \w+|If necessary set .*? to bypass this error\.|Use .*? instead\.")
_LONGEST = 400


def sql_problem(problem: BaseException) -> tuple[str, int | None]:
    """What Spark says of a statement that it does not understand, and the line that it names."""
    said = str(problem).strip().split("\n", 1)[0]
    place = _PLACE.search(said)
    return _plain(_PLACE.sub("", said)), int(place[1]) if place else None


def failed_expression(problem: BaseException) -> tuple[str, int, str] | None:
    """What a statement fails with on a row, its line and the expression; None for what else."""
    found = _ON_A_ROW.search(str(problem))
    return (_plain(found[1]), int(found[2]), found[3].strip()) if found else None


def _plain(said: str) -> str:
    return " ".join(_NOISE.sub("", said).split()).rstrip(" ;.")[:_LONGEST]
