"""The counts of days in memory, as the job makes them of files."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.days import with_day
from pipelines.logs.counts import count_entities, count_positions, position_rates
from schemas.logs import ENTITY_COUNTS
from tests.support.rows import Row, arrow_rows


def count_days(
    labeled: Sequence[Row], listings: Sequence[Row], *, strength: float, files: int = 1
) -> pa.Table:
    """Count rows as if they came in so many files a day.

    Returns
    -------
    pyarrow.Table
        Columns of `entity_counts`.
    """
    parts = []
    for day in sorted({row["ds"] for row in labeled}):
        shown = [row for row in labeled if row["ds"] == day]
        known = arrow_rows("listings", [row for row in listings if row["ds"] == day])
        split = [arrow_rows("labeled_impressions", shown[at::files]) for at in range(files)]
        rates = position_rates(
            pa.concat_tables(count_positions(part) for part in split), strength=strength
        )
        for part in split:
            counted = count_entities(part, known, rates)
            parts.append(with_day(counted, day))
    counts = pa.concat_tables(parts).select(list(ENTITY_COUNTS.column_names))
    keys = list(ENTITY_COUNTS.keys)
    sums = [name for name in counts.column_names if name not in keys]
    summed = counts.group_by(keys).aggregate([(name, "sum") for name in sums])
    renamed = summed.rename_columns({f"{name}_sum": name for name in sums})
    assert files > 1 or len(summed) == len(counts), "keys are unique within a file"
    assert pc.all(pc.less_equal(renamed["clicks"], renamed["impressions"])).as_py()
    return renamed.select(counts.column_names)
