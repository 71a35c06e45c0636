"""A clean marketplace, faults done to its last day, and what the checks find."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from jobs import FLOW
from jobs.planning.checks import check, listed_causes
from jobs.setup.environment import conf_directory
from jobs.setup.exits import QualityStop
from jobs.storage.tables import Tables
from pipelines.quality.findings import Finding, findings
from pipelines.quality.gates import GATE_MARK
from pipelines.quality.results import QualityResult
from tests.support.chain import Chain
from tests.support.faults import Fault
from tests.support.world import World, day, tiny

MARKET = {
    "search_impressions_per_day": 12_000, "promoted_impressions_per_day": 12_000,
    "listings": 600, "users": 3_000, "queries": 300, "shops": 60,
    "promoted_click_rate": 0.06, "cold_click_rate": 0.04, "search_click_rate": 0.08,
}  # fmt: skip
"""Some 700 clicks a day on promoted listings: a small shop's day, at a high click rate."""
MODELS = (
    "text_svd.rank=8", "training.historical.bits=16", "training.content.bits=16",
)  # fmt: skip
"""Windows and gates are those of the shipped configuration."""


@dataclass(frozen=True)
class Campaign:
    """A marketplace made up to the day before the last, which is still to be made."""

    chain: Chain
    clean_days: int

    @classmethod
    def make(
        cls, folder: Path, seed: int, clean_days: int, settings: tuple[str, ...] = MODELS
    ) -> Campaign:
        """Simulate and make all days but the last; what is there already is kept."""
        world = World.make(folder, tiny(clean_days + 2, seed=seed, **MARKET))
        chain = Chain(folder / "warehouse", world.landing, settings=settings)
        # The first days are refused: no model has been judged on them yet.
        with contextlib.suppress(QualityStop):
            chain.make("publish_scores", *(day(n + 1) for n in range(clean_days)))
        return cls(chain, clean_days)

    @property
    def last(self) -> date:
        """The day that faults are done to."""
        return day(self.clean_days + 1)

    def clean_findings(self, first: int) -> list[Finding]:
        """What checks and gates find from the n-th day on, where nothing is wrong.

        Stored days are checked again, by the rules of now.
        """
        tables, config = self.chain.tables, self.chain.config
        names = [table for job in FLOW for table in job.writes]
        days = [day(n) for n in range(1, self.clean_days + 1)]
        judged = [r for r in newest_results(tables, days) if r.check.startswith(GATE_MARK)]
        judged += check(tables, config, "again", names, days)
        judged = [r for r in judged if r.ds >= day(first)]
        return findings(judged, listed_causes(conf_directory()))

    def findings_of(self, fault: Fault | None, until: str = "publish_scores") -> list[Finding]:
        """What the checks find on the last day, with a fault or none, made up to a job."""
        with tempfile.TemporaryDirectory() as folder:
            chain = self.chain.duplicate(Path(folder))
            if fault is not None:
                fault.land(chain.landing, self.last)
            working = fault.at_work() if fault else contextlib.nullcontext()
            with working, contextlib.suppress(QualityStop):
                chain.make(until, self.last)
            causes = listed_causes(conf_directory())
            return findings(newest_results(chain.tables, [self.last]), causes)


def newest_results(tables: Tables, days: Iterable[date]) -> list[QualityResult]:
    """The newest result of every check of some days."""
    rows = tables.read_arrow("quality_results", list(days)).sort_by("checked_at").to_pylist()
    newest = {(r["table"], r["check"], r["slice"], r["ds"]): r for r in rows}
    return [QualityResult(**row) for row in newest.values()]
