"""Which scores consumers may read, and reading them as they were published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from jobs.setup.exits import InputMissing
from jobs.storage.as_of import TablesAsOf
from jobs.storage.reading import DONE, OF_PUBLICATIONS, Row, publications, read_runs, read_where
from jobs.storage.table_reader import open_dataset
from jobs.storage.tables import Tables
from schemas.catalog import TABLES

SCORES = "listing_scores"
CURRENT = "current_scores"
SCORE_JOB = "score_listings"


@dataclass(frozen=True)
class ScoresOf:
    """One day's scores.

    Attributes
    ----------
    is_published : bool
        Whether consumers may read them; false for staged ones.
    runs : sequence of rows
        The record of the day's runs, oldest first.
    versions : mapping of str to int
        Delta versions of what they were made from; of staged ones none, they go by the newest.
    """

    ds: date
    is_published: bool
    table: pa.Table
    runs: Sequence[Row]
    versions: Mapping[str, int] = field(default_factory=dict)

    def made_from(self, tables: Tables) -> Tables:
        """All tables as they were when the scores were made."""
        return TablesAsOf(tables, self.versions) if self.versions else tables


def read_scores(tables: Tables, *, ds: date | None = None, staged: bool = False) -> ScoresOf:
    """Read the newest published scores, or a day's, or with `staged` what is not published yet.

    Published scores are read at the Delta version that was judged, so that a day made again and
    refused does not change what is shown.

    Raises
    ------
    InputMissing
        There are none; the message says what there is.
    """
    if staged:
        made = tables.days(SCORES)
        chosen = ds or max(made, default=None)
        if chosen is None or chosen not in made:
            raise InputMissing(f"no scores are staged for {chosen or 'any day'} in {tables.root}")
        version = None
    else:
        published = publications(read_runs(tables, OF_PUBLICATIONS))
        chosen = ds or max(published, default=None)
        made = tables.days(SCORES)
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
        version = published[chosen]["versions_in"].get(SCORES)
    table = day_scores(tables, chosen, version)
    if table is None or not table.num_rows:
        raise InputMissing(f"the scores of {chosen} are not in {tables.path(SCORES)}")
    runs = read_runs(tables, pc.field("ds") == chosen)
    if staged:
        return ScoresOf(chosen, False, table, runs)
    return ScoresOf(chosen, True, table, runs, _versions(runs, chosen, table["run_id"][0].as_py()))


def day_scores(tables: Tables, day: date, version: int | None) -> pa.Table | None:
    """A day's rows of `listing_scores` at a version, by default the newest; None without a table.

    Raises
    ------
    InputMissing
        The version is not there, or its files are gone.
    """
    try:
        return read_where(tables, SCORES, [day], pc.field("ds") == day, version=version)
    except FileNotFoundError as problem:
        raise InputMissing(
            f"files of {day} at version {version} of {tables.path(SCORES)} are gone: old ones stay "
            "for 90 days"
        ) from problem


def _versions(runs: Sequence[Row], day: date, fingerprint: str) -> dict[str, int]:
    """Delta version of each table as the scores of a day were made from it.

    Of what `score_listings` read as it says itself; of all else as the day's last step before it
    had left it.
    """
    versions: dict[str, int] = {}
    found: dict[str, int] = {}
    for row in runs:
        if row["ds"] != day or row["status"] != DONE:
            continue
        versions |= row["versions_out"]
        if row["job"] == SCORE_JOB and row["fingerprint"] == fingerprint:
            found = {**versions, **row["versions_in"]}
    return found


def follow(tables: Tables, day: date | None, version: int | None) -> None:
    """Have `current_scores` hold the scores of a day, or none, by one commit where it does not.

    Parameters
    ----------
    version : int or None
        Of `listing_scores`.
    """
    if not tables.exists(CURRENT if day is None else SCORES):
        return
    if version is None:
        version = tables.version(SCORES)
    tables.create([CURRENT])
    held = tables.dataset(CURRENT).head(1, columns=["ds", "scores_version"]).to_pylist()
    if held == ([] if day is None else [{"ds": day, "scores_version": version}]):
        return
    source = open_dataset(SCORES, tables.delta_at(SCORES, version))
    wanted = pc.scalar(False) if day is None else pc.field("ds") == day
    added = [c.name for c in TABLES[SCORES].columns if not c.nullable]
    added = [name for name in added if source.schema.field(name).nullable]
    if any(source.count_rows(filter=wanted & pc.field(name).is_null()) for name in added):
        # Made before these columns were: the next publication has them.
        return
    columns = {name: pc.field(name) for name in source.schema.names}
    columns["scores_version"] = pc.scalar(version)
    tables.overwrite(CURRENT, lambda: source.scanner(columns, wanted).to_reader())
