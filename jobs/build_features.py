"""Hash the sampled impressions into packed rows, in training order.

Grain: sampled impression. Only the sample is hashed and stored; natural traffic is hashed and
scored in one pass elsewhere, by the same assembling.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from jobs.runtime.inputs import assembler, read_strengths
from jobs.runtime.job import job_main
from jobs.runtime.step import DayRecord, Outcome, Step
from pipelines.features.frames_spark import (
    assemble_listings,
    build_features,
    context_frame,
    listing_frame,
    name_features,
)


def run(step: Step) -> Outcome:
    """Build the features of all days of the step in one go."""
    days = list(step.days)
    made = assembler(step.config, read_strengths(step.tables, days))
    history = step.tables.read("entity_history", days)
    listings = listing_frame(step.tables.read("listings", days), history)
    samples = step.tables.read("training_samples", days)
    features = build_features(samples, assemble_listings(listings, made), history, made)
    step.tables.write("features", features, days)
    names = name_features(listings, made, "listing").unionByName(
        name_features(context_frame(samples, history), made, "context")
    )
    step.tables.write("feature_names", names.coalesce(2), days)
    return {day: DayRecord() for day in days}


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr build_features``."""
    return job_main("build_features", argv)


if __name__ == "__main__":
    sys.exit(main())
