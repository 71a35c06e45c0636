"""The record of runs: what was made, when, from what. One row per run, job and day."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache, cached_property
from importlib import metadata
from typing import Any

from jobs.setup.exits import ExitCode
from jobs.step import Outcome
from jobs.storage.reading import DONE
from jobs.storage.tables import Tables

REFUSED = "refused"
STARTED = "started"
"""Status of what begins to replace rows of a finished day: until it is done, the day is not."""
FAILED = "failed"
COMMITTED = "committed"
"""Detail of an attempt that did not finish: whether it has replaced rows."""
UNKNOWN = ""
"""Fingerprint of a day whose rows such an attempt may have left."""


@dataclass(frozen=True)
class Record:
    """The newest finished record of a job's day.

    Attributes
    ----------
    versions : mapping of str to int
        Delta version of each table as it left them.
    versions_in : mapping of str to int
        Delta version of each table as it was read.
    begun : tuple
        Run and time of the attempt that has begun to replace rows, and the fingerprint before it.
    """

    fingerprint: str
    rows_out: int | None
    published: bool
    details: Mapping[str, Any]
    versions: Mapping[str, int] = field(default_factory=dict)
    versions_in: Mapping[str, int] = field(default_factory=dict)
    begun: tuple[str, datetime | None, str] = ("", None, UNKNOWN)


@cache
def code_version() -> str:
    """Version of the installed package, `unknown` in a bare checkout."""
    try:
        return metadata.version("promoted-ctr")
    except metadata.PackageNotFoundError:
        return "unknown"


class Details(Mapping[str, Any]):
    """A column of a record: JSON that is parsed when somebody looks into it."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _values(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(self._text)
        return values

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def read_records(tables: Tables) -> dict[tuple[str, date], Record]:
    """The newest finished record of every job and day.

    A later attempt that did not finish leaves the record, and what was published. But where it was
    refused or has replaced rows, the record no longer says what they were made from.
    """
    columns = ["job", "ds", "status", "fingerprint", "rows_out", "published", "details"]
    columns += ["versions_out", "versions_in", "run_id"]
    newest: dict[tuple[str, date], Record] = {}
    # Who adds to what is read here must have read all of it.
    tables.look(["runs"])
    found = tables.read_arrow("runs", columns=[*columns, "started", "ended"]).sort_by("ended")
    if found.num_rows:
        no_earlier_than(found["ended"][-1].as_py())
    rows = found.select(columns).to_pylist()
    for row, started in zip(rows, found["started"], strict=True):
        if row["status"] != DONE:
            # Times are dear to make, and of finished rows there are thousands.
            row["started"] = started.as_py()
    _take(newest, rows)
    return newest


def _take(newest: dict[tuple[str, date], Record], rows: Iterable[Mapping[str, Any]]) -> None:
    """Have what is found of every job and day say what later rows of `runs` say."""
    for row in rows:
        key = (row["job"], row["ds"])
        details = Details(row["details"])
        if row["status"] == DONE:
            newest[key] = Record(
                row["fingerprint"], row["rows_out"], row["published"], details,
                Details(row["versions_out"]), Details(row["versions_in"]),
            )  # fmt: skip
        elif key in newest and (row["status"] == REFUSED or details.get(COMMITTED)):
            begun = newest[key].begun
            if row["status"] == STARTED:
                begun = (row["run_id"], row["started"], newest[key].fingerprint)
            newest[key] = replace(newest[key], fingerprint=UNKNOWN, begun=begun)
        elif key in newest and newest[key].begun[:2] == (row["run_id"], row["started"]):
            # What began has replaced nothing.
            newest[key] = replace(newest[key], fingerprint=newest[key].begun[2])


class Records:
    """The newest finished records while a run goes on: read once, then kept up to date."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._newest: dict[tuple[str, date], Record] | None = None

    @property
    def newest(self) -> Mapping[tuple[str, date], Record]:
        """As of `read_records`, and what was added since."""
        if self._newest is None:
            self._newest = read_records(self._tables)
        return self._newest

    def reread(self) -> None:
        """Look again when next asked: another run may have written."""
        self._newest = None

    def add(self, rows: Sequence[dict[str, object]]) -> None:
        """Write rows of `runs`."""
        self._tables.write_rows("runs", rows, None)
        if self._newest is not None:
            _take(self._newest, rows)


@dataclass(frozen=True)
class Attempt:
    """One job run over a range of days, to be recorded."""

    run_id: str
    job: str
    started: datetime
    config_hash: str
    versions_in: Mapping[str, int]
    versions_out: Mapping[str, int]

    def rows(
        self,
        outcome: Outcome,
        fingerprints: Mapping[date, str],
        *,
        status: str = DONE,
        exit_code: ExitCode = ExitCode.DONE,
    ) -> list[dict[str, object]]:
        """Rows of `runs`, one per day of the outcome."""
        return [
            {
                "run_id": self.run_id,
                "job": self.job,
                "ds": day,
                "status": status,
                "exit_code": int(exit_code),
                "started": self.started,
                "ended": now(),
                "rows_in": record.rows_in,
                "rows_out": record.rows_out,
                "rows_quarantined": record.rows_quarantined,
                "fingerprint": fingerprints.get(day, ""),
                "config_hash": self.config_hash,
                "code_version": code_version(),
                "versions_in": json.dumps(
                    {**self.versions_in, **record.versions_in}, sort_keys=True
                ),
                "versions_out": json.dumps(dict(self.versions_out), sort_keys=True),
                "published": record.published,
                "details": json.dumps(record.details, sort_keys=True, default=str),
            }
            for day, record in sorted(outcome.items())
        ]


def table_versions(tables: Tables, names: Iterable[str]) -> dict[str, int]:
    """The newest Delta version of each table that exists."""
    return {name: version for name in names if (version := tables.version(name)) >= 0}


_late = timedelta()


def no_earlier_than(recorded: datetime) -> None:
    """Have `now` go on from a time on the record, where this machine's clock is behind it.

    Records count in the order of their times: after a clock that was far ahead, and is right again,
    what is made later would look older.
    """
    global _late
    _late = max(recorded - datetime.now(UTC), timedelta())


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC) + _late
