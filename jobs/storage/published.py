"""Which scores consumers may read, and reading them as they were published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from jobs.setup.exits import InputMissing
from jobs.storage.reading import PUBLISH_JOB, Row, read_runs, read_where
from jobs.storage.tables import Tables


@dataclass(frozen=True)
class ScoresOf:
    """One day's scores.

    Attributes
    ----------
    is_published : bool
        Whether consumers may read them; false for staged ones.
    runs : sequence of rows
        The record of runs, oldest first.
    """

    ds: date
    is_published: bool
    table: pa.Table
    runs: Sequence[Row]


def read_scores(tables: Tables, *, ds: date | None = None, staged: bool = False) -> ScoresOf:
    """Read the newest published scores, or a day's, or with `staged` what is not published yet.

    Published scores are read at the Delta version that was judged, so that a day made again and
    refused does not change what is shown.

    Raises
    ------
    InputMissing
        There are none; the message says what there is.
    """
    runs = read_runs(tables)
    published = {r["ds"]: r for r in runs if r["job"] == PUBLISH_JOB and r["published"]}
    if staged:
        made = tables.days("listing_scores")
        chosen = ds or max(made, default=None)
        if chosen is None or chosen not in made:
            raise InputMissing(f"no scores are staged for {chosen or 'any day'} in {tables.root}")
        version = None
    else:
        chosen = ds or max(published, default=None)
        made = tables.days("listing_scores")
        waits = bool(made) if chosen is None else chosen in made
        rest = "; --staged shows what waits" if waits else ""
        if not published or chosen is None:
            raise InputMissing(
                f"nothing was published yet in {tables.root}: see `promoted-ctr runs`{rest}"
            )
        if chosen not in published:
            newest = max(published)
            raise InputMissing(
                f"no scores are published for {chosen}; the newest are of {newest}{rest}"
            )
        version = published[chosen]["versions_in"].get("listing_scores")
    table = read_where(tables, "listing_scores", [chosen], version=version)
    if table is None or not table.num_rows:
        raise InputMissing(f"the scores of {chosen} are not in {tables.path('listing_scores')}")
    return ScoresOf(chosen, not staged, table, runs)
