"""One listing's score with all that it was made from, read back from the tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from jobs.planning.inputs import (
    assembler,
    read_models,
    read_stack,
    request_names,
    strengths_of,
    windows,
)
from jobs.planning.joint_inputs import (
    day_registry,
    held_days,
    read_joint_weights,
    read_namespaces,
)
from jobs.setup.config import Config
from jobs.setup.exits import InputMissing
from jobs.storage.published import ScoresOf
from jobs.storage.reading import Row, read_where
from jobs.storage.tables import Tables
from pipelines.features.feature_rows import LISTING_ENTITIES, one_batch, with_history
from pipelines.features.history import COUNT_COLUMNS, SUMS, window_to
from pipelines.features.joint_inputs import with_relative_price, with_shows_per_day
from pipelines.features.joint_reference import reference_ids, reference_values
from pipelines.features.joint_rows import JointAssembler
from pipelines.features.prior_strengths import moments
from pipelines.scores.explain import Explanation, explain
from pipelines.scores.joint_names import JointNames, joint_names
from pipelines.scores.joint_scoring import JointListings, score_joint_listings
from pipelines.scores.live_listings import as_of
from pipelines.scores.reference import Reference


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
    row, prior = _listing_day(tables, config, listing, ds)
    models = read_models(tables, [ds])[ds]
    stack = read_stack(tables, ds)
    named = None if stack.correction is None else _joint(tables, config, listing, row, ds)
    joint, names = named or (None, None)
    explanation = explain(row, assembler(config, prior), models, stack, reference, joint, names)
    values: Row = row.to_pylist()[0]
    sums = {name: value for name, value in values.items() if name.endswith(SUMS)}
    return ListingScore(
        stored[0], listing.to_pylist()[0], sums, dict(reference.values), explanation
    )


def _joint(
    tables: Tables, config: Config, listing: pa.Table, row: pa.RecordBatch, ds: date
) -> tuple[JointListings, JointNames]:
    """The joint model's part of the listing's score, and the names of its values."""
    registry = day_registry(config, read_namespaces(tables, ds))
    served = ds + timedelta(days=1)
    snapshot = with_relative_price(as_of(tables.read_arrow("listings", [ds]), served))
    own = snapshot.filter(pc.equal(snapshot["listing_id"], listing["listing_id"][0]))
    history = pa.table(
        {
            "entity_type": ["listing"],
            "entity_id": row.column("listing_id"),
            **{
                f"{surface}_impressions": row.column(f"listing_{surface}_impressions")
                for surface in ("search", "promoted")
            },
        }
    )
    search_days, promoted_days = held_days(config, tables.days("entity_counts"), ds)
    shown = with_shows_per_day(own, history, search_days=search_days, promoted_days=promoted_days)
    request = (registry, request_names(tables, config, ds), config.scoring.reference, served)
    batch, weights = one_batch(shown), read_joint_weights(tables, ds)
    part = score_joint_listings(batch, JointAssembler(registry), weights, reference_ids(*request))
    return part, joint_names(batch, registry, weights, reference_values(*request))


def _listing_day(
    tables: Tables, config: Config, listing: pa.Table, ds: date
) -> tuple[pa.RecordBatch, dict[tuple[int, str, str], float]]:
    """The listing with its window sums, and the prior strengths, as of the end of `ds`."""
    counted = tables.days("entity_counts")
    if ds not in counted:
        raise InputMissing(f"no counts for the windows to {ds}")
    read = tables.day_reader("entity_counts", [*windows(config).before(ds), ds], COUNT_COLUMNS)
    every = window_to(ds, counted, read, windows(config), LISTING_ENTITIES)
    served = ds + timedelta(days=1)
    rows = with_history(as_of(listing, served), every, LISTING_ENTITIES)
    return one_batch(rows), strengths_of(config, served, moments(every))
