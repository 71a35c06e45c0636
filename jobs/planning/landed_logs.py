"""What has landed of every log and day, as far as it counts: names, sizes, times of files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date

from jobs.landing.sources import Source
from jobs.planning.record import Record
from jobs.setup.config import Config

LANDED = ("impressions", "clicks", "listings")


class LandedLogs:
    """The landing files, and what is recorded of those that are gone or no longer count.

    Of a day that is made and lies further back than `storage.restate_days`, what it was made from
    counts: files that land, change or go later are not looked at.

    Attributes
    ----------
    days : dict of str to set of date
        The days for which each log has landed.
    """

    def __init__(
        self, config: Config, source: Source, records: Mapping[tuple[str, date], Record]
    ) -> None:
        self._source, self._records = source, records
        self._restate_days = config.storage.restate_days
        there = {log: set(source.days(log)) for log in LANDED}
        self._last = max(there["impressions"], default=date.min)
        self.days = {
            log: {day for day in days if not self._is_settled(day) or log in self._recorded(day)}
            for log, days in there.items()
        }

    def file_digests(self, day: date) -> dict[str, str]:
        """Digest of the landing files of a day per log; as recorded where they are removed."""
        if day in self._source.left_out:
            return {}
        if self._is_settled(day):
            return self._recorded(day)
        digests = {
            log: digest([repr(file) for file in sorted(self._source.files(log, day))])
            for log in LANDED
            if day in self.days[log]
        }
        return digests or self._recorded(day)

    def digests(self, day: date) -> dict[str, str]:
        """Digest per log of what a day is ingested from: its files, and rows taken in later."""
        digests = self.file_digests(day)
        record = self._records.get(("ingest_logs", day))
        for replay in record.details.get("replays", ()) if record is not None else ():
            for log in replay["rows"]:
                digests[log] = digest([digests.get(log, ""), replay["id"]])
        return digests

    def _is_settled(self, day: date) -> bool:
        is_old = (self._last - day).days > self._restate_days
        return is_old and ("ingest_logs", day) in self._records

    def _recorded(self, day: date) -> dict[str, str]:
        record = self._records.get(("ingest_logs", day))
        return {} if record is None else dict(record.details.get("landing", {}))


def digest(parts: Sequence[str]) -> str:
    """A short hash of texts."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]
