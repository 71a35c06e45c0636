"""The verdicts of a run held against those of Great Expectations.

It sees one row per table and day, whose columns are the measures: on the raw rows the same suites
cost ten times the CPU.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from pipelines.quality.expectations import Validations
from pipelines.quality.results import QualityResult

DAY = "ds"


@dataclass(frozen=True)
class Disagreement:
    """A measure of which one says that it keeps its bounds, and the other that it does not."""

    result: QualityResult
    theirs: str

    def __str__(self) -> str:
        r = self.result
        part = f"[{r.slice}]" if r.slice else ""
        where = f"{r.table}.{r.check}{part} of {r.ds}"
        return f"{where}: Great Expectations {self.theirs}, here {r.status}"


def judged(results: Iterable[QualityResult]) -> list[QualityResult]:
    """The results that bounds have decided."""
    return [
        r
        for r in results
        if r.status in ("PASS", "WARN", "FAIL") and not (r.low is None and r.high is None)
    ]


def disagreements(results: Sequence[QualityResult], validations: Validations) -> list[Disagreement]:
    """Let Great Expectations judge every measure again, a suite a table.

    Parameters
    ----------
    results : sequence of QualityResult
        As of `judged`, one per table, check, slice and day.
    """
    by_table: defaultdict[str, list[QualityResult]] = defaultdict(list)
    for result in results:
        by_table[result.table].append(result)
    return [
        found for table in sorted(by_table) for found in _table(table, by_table[table], validations)
    ]


def _table(
    table: str, results: Sequence[QualityResult], validations: Validations
) -> list[Disagreement]:
    import pandas as pd

    expect = validations.gx.expectations
    suite = validations.gx.ExpectationSuite(name=table)
    columns: defaultdict[str, dict[date, QualityResult]] = defaultdict(dict)
    for name, result in _named(results):
        columns[name][result.ds] = result
    days = sorted({result.ds for result in results})
    frame: dict[str, list[object]] = {DAY: [str(day) for day in days]}
    for name, of_day in columns.items():
        frame[name] = [_value(of_day.get(day)) for day in days]
        first = next(iter(of_day.values()))
        # The documents show what was observed only where it is one number.
        keeps = (
            expect.ExpectColumnMaxToBeBetween
            if len(of_day) == 1
            else expect.ExpectColumnValuesToBeBetween
        )
        suite.add_expectation(
            keeps(
                column=name, min_value=first.low, max_value=first.high,
                meta={"severity": first.severity},
            )
        )  # fmt: skip
    theirs = {name: set[str]() for name in columns}
    for outcome in validations.validate(suite, pd.DataFrame(frame), index=DAY):
        name = outcome.arguments["column"]
        if outcome.problem:
            raise RuntimeError(f"{table}, {name}: {outcome.problem}")
        if not outcome.success:
            theirs[name] |= set(outcome.failed_at) or {str(day) for day in columns[name]}
    return [
        Disagreement(result, "fails it" if fails else "passes it")
        for name, of_day in columns.items()
        for day, result in of_day.items()
        if (fails := str(day) in theirs[name]) == (result.status == "PASS")
    ]


def _named(results: Sequence[QualityResult]) -> list[tuple[str, QualityResult]]:
    """Name the columns; bounds that counting noise widens differ by day and have one each."""
    bounds: defaultdict[tuple[str, str], set[object]] = defaultdict(set)
    for r in results:
        bounds[r.check, r.slice].add((r.low, r.high))
    named = []
    for r in results:
        name = f"{r.check}[{r.slice}]" if r.slice else r.check
        if len(bounds[r.check, r.slice]) > 1:
            name += f" {r.ds}"
        named.append((name, r))
    return named


def _value(result: QualityResult | None) -> float:
    """The measure; a missing number is passed over there, so one out of all bounds stands in."""
    if result is None:
        return math.nan
    value = math.nan if result.observed is None else result.observed
    if not math.isnan(value):
        return value
    return math.inf if result.high is not None else -math.inf
