"""A user's own suites of expectations, over the rows of a day."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import date

import pyarrow as pa

from jobs.planning.record import now
from jobs.storage.tables import Tables
from pipelines.quality.expectations import Validations
from pipelines.quality.results import QualityResult
from pipelines.quality.suites import Suite, broken, judge_suite


def judge_suites(
    tables: Tables,
    suites: Sequence[Suite],
    validations: Validations,
    *,
    run_id: str,
    day: date,
    most: int,
) -> list[QualityResult]:
    """Judge every suite whose table has rows of the day.

    Parameters
    ----------
    most : int
        Rows that a suite sees; of a larger day a sample, as even as the order of the rows.
    """
    results: list[QualityResult] = []
    for suite in suites:
        rows = tables.row_counts(suite.table, [day]).get(day, 0)
        if not rows:
            continue
        try:
            seen = read_sample(tables, suite, day, rows, most)
            results += judge_suite(
                suite, seen.to_pandas(), rows, validations, day=day, run_id=run_id, now=now()
            )
        except Exception as problem:
            lines = str(problem).strip().splitlines() or [type(problem).__name__]
            results.append(broken(suite, lines[0][:300], day=day, run_id=run_id, now=now()))
    return results


def read_sample(tables: Tables, suite: Suite, day: date, rows: int, most: int) -> pa.Table:
    """Read every n-th row of a day, so that no more than `most` are held."""
    stored = tables.dataset(suite.table, [day])
    columns = suite.columns(stored.schema.names)
    # A suite about the number of rows names no column.
    schema = pa.schema([stored.schema.field(name) for name in columns or ["ds"]])
    batches = stored.scanner(columns=schema.names).to_batches()
    return pa.Table.from_batches(_every(batches, math.ceil(rows / most)), schema)


def _every(batches: Iterator[pa.RecordBatch], step: int) -> Iterator[pa.RecordBatch]:
    before = 0
    for batch in batches:
        first = -before % step
        before += len(batch)
        yield batch if step == 1 else batch.take(pa.array(range(first, len(batch), step)))
