"""One listing's score with all that it was made from, read back from the tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from jobs.runtime.config import Config
from jobs.runtime.exits import InputMissing
from jobs.runtime.inputs import assembler, day_number, read_bases, read_stack, read_weights
from jobs.runtime.published import ScoresOf
from jobs.runtime.reading import Row, read_where
from jobs.runtime.tables import Tables
from pipelines.models.listing_part import Models
from pipelines.scores.explain import Explanation, explain
from pipelines.scores.reference import Reference
from pipelines.scores.window_sums import prior_strengths, window_sums
from schemas.features import ENTITY_HISTORY

# The ids that a listing's window sums are looked up by.
ENTITIES = {"listing": "listing_id", "shop": "shop_id", "category": "category"}
_SUM_NAMES = tuple(
    name for name in ENTITY_HISTORY.column_names if name.startswith(("search_", "promoted_"))
)


@dataclass(frozen=True)
class ListingScore:
    """A stored score, its listing, and the steps that lead to it."""

    score: Row
    listing: Row
    sums: Row
    reference: dict[str, str]
    explanation: Explanation


def read_listing_score(
    tables: Tables, config: Config, scores: ScoresOf, listing_id: str
) -> ListingScore:
    """Read one listing's score and take it apart.

    Raises
    ------
    InputMissing
        The listing has no score that day, or what it was made from is gone.
    """
    ds = scores.ds
    stored = scores.table.filter(pc.equal(scores.table["listing_id"], listing_id)).to_pylist()
    if not stored:
        raise InputMissing(f"listing {listing_id} has no score on {ds}: not live and promoted then")
    listing = read_where(tables, "listings", [ds], pc.field("listing_id") == listing_id)
    if listing is None or not listing.num_rows:
        raise InputMissing(f"listing {listing_id} is not in the listings of {ds}")
    wanted = ("score_listings", ds, "done")
    made = [r for r in scores.runs if (r["job"], r["ds"], r["status"]) == wanted]
    if not made:
        raise InputMissing(f"no record of how the scores of {ds} were made")
    details = made[-1]["details"]
    reference = Reference(
        dict(details["reference"]),
        details["reference_logit_historical"],
        details["reference_logit_content"],
    )
    row, strengths = _listing_day(tables, config, listing, ds)
    weights = read_weights(tables, [ds])
    bases = read_bases(tables, [ds])
    models = Models(weights[ds, "historical"], weights[ds, "content"], bases[ds])
    found = explain(row, assembler(config, strengths), models, read_stack(tables, ds), reference)
    values: Row = row.to_pylist()[0]
    sums = {name: value for name, value in values.items() if name.endswith(_SUM_NAMES)}
    return ListingScore(stored[0], listing.to_pylist()[0], sums, dict(reference.values), found)


def _listing_day(
    tables: Tables, config: Config, listing: pa.Table, ds: date
) -> tuple[pa.RecordBatch, dict[tuple[int, str, str], float]]:
    """The listing with its window sums, and the prior strengths, as of the end of `ds`."""
    history = config.history
    window = [ds - timedelta(days=back) for back in range(history.window_days)]
    wanted = pc.field("entity_type").isin(list(ENTITIES))
    counts = read_where(tables, "entity_counts", window, wanted)
    if counts is None:
        raise InputMissing(f"no counts for the windows to {ds}")
    every = window_sums(
        counts, ds, search_days=history.search_days, promoted_days=history.promoted_days
    )
    strengths = prior_strengths(
        every, min_strength=history.min_strength, max_strength=history.max_strength
    )
    own = listing.combine_chunks().to_batches()[0]
    for entity, key in ENTITIES.items():
        found = every.get((entity, own.column(key)[0].as_py()), {})
        for name in _SUM_NAMES:
            value = pa.array([found.get(name)], pa.int64())
            own = own.append_column(f"{entity}_{name}", value)
    keyed = {(day_number(ds), kind, surface): v for (kind, surface), v in strengths.items()}
    return own, keyed
