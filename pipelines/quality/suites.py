"""A user's own suites of expectations: files of Great Expectations, over the rows of a table."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, cast, get_args

from pipelines.quality.expectations import Outcome, Validations
from pipelines.quality.results import QualityResult, Status
from pipelines.quality.rule_base import Severity
from pipelines.quality.rule_files import RuleError

_OF_ALL_ROWS = re.compile(r"row_count|unique|distinct|_sum_|increasing|decreasing|most_common")
"""Expectations that a sample of the rows says nothing about."""
_WHOLE_TABLE = "expect_table_column"
_PLACE = "place"


@dataclass(frozen=True)
class Suite:
    """A suite, the table whose days it judges, and what a broken expectation means.

    Attributes
    ----------
    name : str
        Of its file.
    severity : str
        Of expectations that say none in their `meta`.
    """

    name: str
    table: str
    severity: Severity
    expectations: tuple[Mapping[str, Any], ...]

    def columns(self, stored: Sequence[str]) -> list[str]:
        """Columns that the expectations name, of those that are stored."""
        if any(e["type"].startswith(_WHOLE_TABLE) for e in self.expectations):
            return list(stored)
        named: set[str] = set()
        for expectation in self.expectations:
            for key, value in expectation["kwargs"].items():
                texts = value if isinstance(value, list) else [value]
                if key.startswith("column"):
                    named |= {text for text in texts if isinstance(text, str)}
                elif key == "row_condition":
                    named |= set(re.findall(r"\w+", str(value)))
        return [column for column in stored if column in named]


def load_suite(name: str, text: str, tables: Collection[str]) -> Suite:
    """Read a suite as Great Expectations stores it.

    Parameters
    ----------
    name : str
        Of the file, without its ending.
    text : str
        JSON. `meta` may say `table`, else the name does, and `severity`, else it is `warn`.
    tables : collection of str
        Tables that there are.

    Raises
    ------
    RuleError
        It is no suite, or of no table.
    """
    try:
        content = json.loads(text)
        given = content["expectations"]
        meta = content.get("meta") or {}
        expectations = tuple(
            {"type": e["type"], "kwargs": e.get("kwargs") or {}, "meta": e.get("meta") or {}}
            for e in given
        )
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise RuleError(f"{name}: no suite of Great Expectations: {problem!r}") from None
    table = meta.get("table", name)
    if table not in tables:
        raise RuleError(f"{name}: there is no table {table}: name the file by its table, or say "
                        '"meta": {"table": ...}')  # fmt: skip
    for where in (meta, *(e["meta"] for e in expectations)):
        if where.get("severity", "warn") not in get_args(Severity):
            raise RuleError(f"{name}: no severity {where['severity']!r}: there are "
                            f"{', '.join(get_args(Severity))}")  # fmt: skip
    if not expectations:
        raise RuleError(f"{name}: the suite has no expectations")
    return Suite(name, table, meta.get("severity", "warn"), expectations)


def judge_suite(
    suite: Suite,
    frame: Any,
    rows: int,
    validations: Validations,
    *,
    day: date,
    run_id: str,
    now: datetime,
) -> list[QualityResult]:
    """Judge rows of a day.

    Parameters
    ----------
    frame : pandas.DataFrame
        The day's rows, or a sample of them.
    rows : int
        How many the day has.

    Returns
    -------
    list of QualityResult
        In the order of the suite. No value of a row is in them.
    """
    is_sample = len(frame) < rows
    sampled = f"on a sample of {len(frame)} of {rows} rows" if is_sample else ""
    outcomes: dict[int, Outcome] = {}
    asked = []
    for place, expectation in enumerate(suite.expectations):
        if is_sample and _OF_ALL_ROWS.search(expectation["type"]):
            continue
        try:
            asked.append(validations.expectation(expectation, {_PLACE: place}))
        except Exception as problem:
            said = " ".join(str(problem).split())[:300]
            outcomes[place] = Outcome({}, {}, success=False, problem=said)
    if asked:
        made = validations.gx.ExpectationSuite(name=f"own-{suite.name}", expectations=asked)
        # They come back in another order.
        outcomes |= {o.meta[_PLACE]: o for o in validations.validate(made, frame)}
    names: Counter[tuple[str, str]] = Counter()
    results = []
    for place, expectation in enumerate(suite.expectations):
        outcome = outcomes.get(place)
        kwargs = expectation["kwargs"]
        check = f"{suite.name}:{expectation['type'].removeprefix('expect_')}"
        part = _of_columns(kwargs)
        names[check, part] += 1
        again = names[check, part]
        severity = cast(Severity, expectation["meta"].get("severity", suite.severity))
        results.append(
            QualityResult(
                run_id=run_id,
                table=suite.table,
                check=check if again == 1 else f"{check}#{again}",
                slice=part,
                severity=severity,
                status=_status(outcome, severity),
                observed=None if outcome is None else outcome.observed,
                expected=_bounds(kwargs),
                baseline=None,
                rows=len(frame),
                details=_details(outcome, sampled),
                checked_at=now,
                ds=day,
            )
        )
    return results


def broken(suite: Suite, problem: str, *, day: date, run_id: str, now: datetime) -> QualityResult:
    """Give the result of a suite that could not be judged at all."""
    return QualityResult(
        run_id=run_id, table=suite.table, check=suite.name, slice="", severity=suite.severity,
        status="ERROR", observed=None, expected="", baseline=None, rows=None,
        details=f"cannot be evaluated: {problem}", checked_at=now, ds=day,
    )  # fmt: skip


def _status(outcome: Outcome | None, severity: Severity) -> Status:
    if outcome is None:
        return "SKIP"
    if outcome.problem:
        return "ERROR"
    if outcome.success:
        return "PASS"
    return "FAIL" if severity in ("block", "quarantine") else "WARN"


def _details(outcome: Outcome | None, sampled: str) -> str | None:
    if outcome is None:
        return f"not judged {sampled}: it is about all rows (quality.suite_rows)"
    if outcome.problem:
        return f"cannot be evaluated: {outcome.problem}"
    counted = f"{outcome.unexpected} rows break it" if outcome.unexpected else ""
    return ", ".join(text for text in (counted, sampled) if text) or None


def _of_columns(kwargs: Mapping[str, Any]) -> str:
    named = [value for key, value in kwargs.items() if key.startswith("column")]
    flat = [name for value in named for name in (value if isinstance(value, list) else [value])]
    return ", ".join(str(name) for name in flat)


def _bounds(kwargs: Mapping[str, Any]) -> str:
    asked = {k: v for k, v in kwargs.items() if not k.startswith("column") and v is not None}
    return ", ".join(f"{key} {json.dumps(value, default=str)}" for key, value in asked.items())[
        :300
    ]
