"""A sensor that waits, without holding a worker, until the logs of a day have landed."""

from __future__ import annotations

import asyncio
import re
import tomllib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
from airflow.sdk import BaseSensorOperator, Context
from airflow.triggers.base import BaseTrigger, TriggerEvent

import jobs

SOURCES = Path(jobs.__file__).parents[1] / "conf" / "sources"
DAY = re.compile(r"\{ds(?::([^{}]*))?\}")


def patterns(source: str, day: date) -> list[str]:
    """Where the files of a day lie below the landing directory, as glob patterns.

    The day's logs, and the next day's clicks: those of its first hours still count for the day.

    Parameters
    ----------
    source : str
        A directory with a ``source.toml``, or the name of one that comes with the code.
    """
    folder = Path(source) if (Path(source) / "source.toml").is_file() else SOURCES / source
    told = tomllib.loads((folder / "source.toml").read_text(encoding="utf-8"))
    main = {log: told["views"][spec["views"][0]]["path"] for log, spec in told["logs"].items()}
    dated = [(path, day) for path in main.values()]
    if "clicks" in main:
        dated.append((main["clicks"], day + timedelta(days=1)))
    found = [DAY.sub(lambda m, of=of: of.strftime(m[1] or "%Y-%m-%d"), p) for p, of in dated]
    return list(dict.fromkeys(found))


def missing(landing: str, wanted: Sequence[str], quiet: timedelta) -> list[str]:
    """Patterns below an address that no file matches yet, or one that is still being written."""
    system, root = fsspec.core.url_to_fs(landing)
    # Object stores keep what they have listed.
    system.invalidate_cache()
    settled = datetime.now(UTC) - quiet
    absent = []
    for pattern in wanted:
        found = system.glob(f"{root.rstrip('/')}/{pattern}", detail=True)
        names = [name for name, about in found.items() if _is_landed(name, about)]
        ages = [_utc(system.modified(name)) for name in names] if quiet else []
        if not names or (ages and max(ages) > settled):
            absent.append(pattern)
    return absent


def _is_landed(name: str, about: Mapping[str, Any]) -> bool:
    """Whether it is a file, neither hidden nor the empty object by which stores mark a folder."""
    is_marker = name.endswith("/") or str(about.get("Key", "")).endswith("/")
    return about["type"] == "file" and not is_marker and name.rpartition("/")[2][:1] not in "._"


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


class LandedTrigger(BaseTrigger):
    """Looks again and again until every pattern has its files."""

    def __init__(
        self, landing: str, wanted: Sequence[str], quiet_sec: float, interval_sec: float
    ) -> None:
        super().__init__()
        self.landing = landing
        self.wanted = list(wanted)
        self.quiet_sec = quiet_sec
        self.interval_sec = interval_sec

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What the triggerer makes it of again."""
        kept = ("landing", "wanted", "quiet_sec", "interval_sec")
        return "jobs.dags.landed.LandedTrigger", {name: getattr(self, name) for name in kept}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire once, when all is there."""
        quiet = timedelta(seconds=self.quiet_sec)
        while absent := await asyncio.to_thread(missing, self.landing, self.wanted, quiet):
            self.log.info("waiting below %s for %s", self.landing, ", ".join(absent))
            await asyncio.sleep(self.interval_sec)
        yield TriggerEvent("landed")


class LogsLanded(BaseSensorOperator):
    """Waits until a log day has landed, in a folder or in an object store.

    Parameters
    ----------
    day : str
        The log day, a template.
    quiet : timedelta
        How old the youngest file must be.
    """

    template_fields: Sequence[str] = ("day", "landing")

    def __init__(
        self, *, day: str, landing: str, source: str, quiet: timedelta, **more: Any
    ) -> None:
        super().__init__(**more)
        self.day = day
        self.landing = landing
        self.source = source
        self.quiet = quiet

    def execute(self, context: Context) -> None:
        """Go on at once if all is there, else leave the worker to others."""
        wanted = patterns(self.source, date.fromisoformat(self.day))
        absent = missing(self.landing, wanted, self.quiet)
        if not absent:
            return
        self.log.info("waiting below %s for %s", self.landing, ", ".join(absent))
        self.defer(
            trigger=LandedTrigger(
                self.landing, wanted, self.quiet.total_seconds(), self.poke_interval
            ),
            method_name="landed",
            timeout=timedelta(seconds=self.timeout),
        )

    def landed(self, context: Context, event: Any = None) -> None:
        """All is there."""
        self.log.info("%s has landed", self.day)
