"""From failed checks to findings: what has happened, told once, with all that follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pipelines.quality.results import QualityResult

_BROKEN = ("WARN", "FAIL", "ERROR")
# Worst first. What is only recorded (`info`) is no finding.
SEVERITIES = ("block", "quarantine", "warn")


class CauseError(ValueError):
    """The list of causes cannot be read."""


class Cause(BaseModel):
    """What a cause explains besides itself, and what to do about it.

    Attributes
    ----------
    explains : tuple of str
        Causes that are no findings of their own on a day on which this one is found.
    do : str
        The next step, in one or two sentences.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    explains: tuple[str, ...] = ()
    do: str = Field(default="", max_length=300)


@dataclass(frozen=True)
class Finding:
    """What has happened on a day.

    Attributes
    ----------
    cause : str
        In plain words; for checks without a cause, the name of the check.
    severity : {'block', 'quarantine', 'warn'}
        The worst of its results and consequences.
    results : tuple of QualityResult
        The checks that found it, the worst first.
    consequences : tuple of QualityResult
        Failed checks that this cause explains.
    do : str
        The next step; empty where the cause is not listed.
    """

    ds: date
    cause: str
    severity: str
    results: tuple[QualityResult, ...]
    consequences: tuple[QualityResult, ...] = ()
    do: str = ""


def load_causes(content: Mapping[str, object]) -> dict[str, Cause]:
    """Check the parsed list of causes.

    Raises
    ------
    CauseError
        A cause says something unknown, explains one that is not listed, or itself.
    """
    try:
        causes = TypeAdapter(dict[str, Cause]).validate_python(content)
    except ValidationError as error:
        raise CauseError(str(error)) from error
    for name in causes:
        if unknown := [other for other in causes[name].explains if other not in causes]:
            raise CauseError(f"{name}: explains {unknown[0]!r}, which is not listed")
        if name in explained_by(name, causes):
            raise CauseError(f"{name}: explains itself")
    return causes


def explained_by(cause: str, causes: Mapping[str, Cause]) -> frozenset[str]:
    """All that a cause explains, and what these explain in turn."""
    found: set[str] = set()
    waiting = [cause]
    while waiting:
        for other in causes.get(waiting.pop(), Cause()).explains:
            if other not in found:
                found.add(other)
                waiting.append(other)
    return frozenset(found)


def cause_of(result: QualityResult) -> str:
    """What a failed check says has happened; without a cause, its own name."""
    return result.cause or f"{result.table}.{result.check}"


def findings(results: Iterable[QualityResult], causes: Mapping[str, Cause]) -> list[Finding]:
    """What the newest results say has happened, day by day, the worst first.

    Parameters
    ----------
    results : iterable of QualityResult
        One per table, check, slice and day.
    causes : mapping
        As of `load_causes`.
    """
    broken: dict[date, dict[str, list[QualityResult]]] = {}
    for result in results:
        if result.status in _BROKEN and result.severity in SEVERITIES:
            of_day = broken.setdefault(result.ds, {})
            of_day.setdefault(cause_of(result), []).append(result)
    found = [
        finding for ds, of_day in sorted(broken.items()) for finding in _of_day(ds, of_day, causes)
    ]
    return sorted(found, key=lambda f: (f.ds, SEVERITIES.index(f.severity), f.cause))


def _of_day(
    ds: date, broken: Mapping[str, list[QualityResult]], causes: Mapping[str, Cause]
) -> list[Finding]:
    reach = {cause: explained_by(cause, causes) & set(broken) for cause in broken}
    explained = frozenset().union(*reach.values())
    found = []
    for cause in sorted(set(broken) - explained):
        consequences = _ordered(r for other in sorted(reach[cause]) for r in broken[other])
        results = _ordered(broken[cause])
        worst = _ordered([*results, *consequences])[0].severity
        what = causes.get(cause, Cause()).do
        found.append(Finding(ds, cause, worst, results, consequences, what))
    return found


def _ordered(results: Iterable[QualityResult]) -> tuple[QualityResult, ...]:
    return tuple(
        sorted(results, key=lambda r: (SEVERITIES.index(r.severity), r.table, r.check, r.slice))
    )
