"""Public logs as a young warehouse: a hotel day cut into six, a week of fashion recommendations.

Read by their own sources; of the hotels' the time is another expression in each SELECT, so that its
blocks of four hours become days.
"""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

from jobs.landing.sources import Source
from jobs.setup.environment import conf_directory
from tests.support.chain import Chain

LOGS = {"hotels": "trivago_2019", "fashion": "open_bandit"}

_TIME = "timestamp_seconds(`timestamp`)"
# The block of four hours is the day, and its four hours are stretched over it.
_BLOCKS = """timestamp_seconds(
  `timestamp` - pmod(`timestamp`, 86400) + pmod(`timestamp`, 86400) div 14400 * 86400
  + pmod(`timestamp`, 14400) * 6
)"""
_LAST_DAY = "last_day = 2018-11-07"


def source_of(name: str, folder: Path) -> Path:
    """Write the source of a log."""
    own = folder / LOGS[name]
    shutil.copytree(conf_directory() / "sources" / LOGS[name], own)
    if name == "hotels":
        for path in own.glob("*.sql"):
            text = path.read_text()
            if _TIME not in text:
                raise ValueError(f"{path.name} has another time")
            path.write_text(text.replace(_TIME, _BLOCKS))
        spec = own / "source.toml"
        spec.write_text(spec.read_text().replace(_LAST_DAY, "last_day = 2018-11-12"))
    return own


def young(name: str, datasets: Path, folder: Path) -> tuple[Chain, list[date]]:
    """A warehouse with the days of a log ingested, by Spark, and these days."""
    folder.mkdir(parents=True, exist_ok=True)
    own = source_of(name, folder)
    chain = Chain(folder / "warehouse", datasets, (f"source.name={str(own)!r}",))
    days = Source.load(own, datasets).days("impressions")
    called = chain.call(
        "ingest_logs", "--source", str(own), "--start", str(days[0]), "--end", str(days[-1])
    )
    if called.code:
        raise RuntimeError(called.err)
    return chain, days
