"""Reading days of stored tables on the driver, through delta-rs: no Spark needed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs.storage.table_reader import open_dataset, rows_where
from jobs.storage.tables import Tables

Row = dict[str, Any]

PUBLISH_JOB = "publish_scores"
OF_PUBLICATIONS = pc.field("job") == PUBLISH_JOB
"""The rows of `runs` that say what is published."""
DONE = "done"
"""Status of an attempt that has finished."""


def read_where(
    tables: Tables,
    name: str,
    days: Sequence[date],
    condition: pc.Expression | None = None,
    columns: Sequence[str] | None = None,
    *,
    version: int | None = None,
) -> pa.Table | None:
    """Read the rows of days that meet a condition; None where the table is not there.

    `version` is the Delta version to read; the newest by default.
    """
    if not tables.exists(name):
        return None
    handle = tables.delta(name) if version is None else tables.delta_at(name, version)
    dataset = open_dataset(name, handle, days)
    wanted = list(columns or dataset.schema.names)
    return dataset.to_table(wanted) if condition is None else rows_where(dataset, condition, wanted)


def read_rows(tables: Tables, name: str, days: Sequence[date], **more: Any) -> list[Row]:
    """`read_where` as dictionaries; [] where the table is not there."""
    rows = read_where(tables, name, days, **more)
    return [] if rows is None else rows.to_pylist()


def read_runs(tables: Tables, condition: pc.Expression | None = None) -> list[Row]:
    """Rows of `runs`, oldest first, their JSON columns decoded; [] where there are none.

    Parameters
    ----------
    condition : pyarrow.compute.Expression, optional
        Which rows, such as `OF_PUBLICATIONS`: every one of years is dear.
    """
    if not tables.exists("runs"):
        return []
    order = [("ended", "ascending"), ("job", "ascending"), ("ds", "ascending")]
    found = tables.read_arrow("runs", condition=condition)
    rows: list[Row] = found.sort_by(order).to_pylist()
    for row in rows:
        for column in ("versions_in", "versions_out", "details"):
            row[column] = json.loads(row[column] or "{}")
    return rows


def publications(runs: Sequence[Row]) -> dict[date, Row]:
    """What consumers may read: of each published day the row of `runs` that published it.

    The newest finished attempt at a day says whether it is published, and at which version of
    `listing_scores`; one that was refused leaves what there was.
    """
    newest = {row["ds"]: row for row in runs if row["job"] == PUBLISH_JOB if row["status"] == DONE}
    return {day: row for day, row in sorted(newest.items()) if row["published"]}


def published_days(runs: Sequence[Row]) -> list[date]:
    """The days whose scores consumers may read, ascending."""
    return list(publications(runs))
