"""The stages between labels and features in one call, for tests that look at their ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from jobs.planning.inputs import registry
from jobs.setup.config import Config
from pipelines.features.assemble import Assembler
from pipelines.features.feature_rows import CONTEXT_ENTITIES, LISTING_ENTITIES, with_history
from pipelines.features.history import Windows, history_before
from pipelines.features.prior_strengths import moments, strengths
from pipelines.samples.balanced import sample_training
from tests.support.counting import count_days
from tests.support.rows import DAY, DAY_NUMBER, Row, arrow_rows


@dataclass(frozen=True)
class Stages:
    """Tables of DAY, in memory, and the assembler that its history gives."""

    labeled: pa.Table
    listings: pa.Table
    history: pa.Table
    samples: pa.Table
    assembler: Assembler

    @property
    def listing_rows(self) -> pa.Table:
        """Listings with their history."""
        return with_history(self.listings, self.history, LISTING_ENTITIES)

    def context_rows(self, rows: pa.Table) -> pa.Table:
        """Impressions or samples with the history of context."""
        return with_history(rows, self.history, CONTEXT_ENTITIES)

    @property
    def history_rows(self) -> list[Row]:
        """The history in one order."""
        ordered = self.history.sort_by([("entity_type", "ascending"), ("entity_id", "ascending")])
        rows: list[Row] = ordered.to_pylist()
        return rows


def history_of(counts: pa.Table, days: Sequence[date], windows: Windows) -> pa.Table:
    """`history_before` over counts in memory."""

    def read(day: date) -> pa.Table:
        return counts.filter(pc.equal(counts["ds"], day))

    counted = counts["ds"].unique().to_pylist()
    return pa.concat_tables(history_before(days, counted, read, windows))


def make_stages(config: Config, labeled: Sequence[Row], listings: Sequence[Row]) -> Stages:
    """Run counts, history, priors and a sample of everything."""
    counts = count_days(labeled, listings, strength=2.0)
    history = history_of(counts, [DAY], Windows(14, 30))
    priors = {
        (DAY_NUMBER, entity, surface): value.strength
        for entity, found in moments(history).items()
        for surface, value in strengths(found, min_strength=0.5, max_strength=200.0).items()
    }
    today = arrow_rows("labeled_impressions", [row for row in labeled if row["ds"] == DAY])
    return Stages(
        labeled=today,
        listings=arrow_rows("listings", [row for row in listings if row["ds"] == DAY]),
        history=history,
        samples=sample_training(today, {"search": 1.0, "promoted": 1.0}, salt="s"),
        assembler=Assembler(registry(config), priors),
    )
