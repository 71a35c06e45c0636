"""Fit the text basis on refit days and fold every listing of the day in.

Grain: term, and listing. Between refit days the basis is that of the last one, so a day's vectors
depend on two snapshots at most. A model's dense weights only ever meet vectors of its own basis.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial

import pyarrow as pa

from jobs.commands.job import job_main
from jobs.planning.planner import refit_day
from jobs.setup.exits import leave
from jobs.step import DayRecord, Outcome, Step
from pipelines.days import with_day
from pipelines.features.dense import dense_inputs, image_width
from pipelines.features.text_basis import TextBasis
from pipelines.features.text_svd_spark import fit_text_basis


def run(step: Step) -> Outcome:
    """Fit once per refit day, fold once per day."""
    config = step.config.text_svd
    snapshots = step.available("listings")
    anchors = {day: refit_day(day, config.refit_every_days, snapshots) for day in step.days}
    bases = {anchor: _fit(step, anchor) for anchor in sorted(set(anchors.values()))}
    terms: list[pa.Table] = []
    vectors: list[pa.Table] = []
    outcome: Outcome = {}
    columns = ["listing_id", "title", "tags", "image_vector"]
    for day in step.days:
        basis = bases[anchors[day]]
        listings = step.tables.read_arrow("listings", [day], columns=columns).sort_by("listing_id")
        width = basis.rank + image_width(listings)
        dense = dense_inputs(listings, basis if len(basis.terms) else None, width)
        terms.append(with_day(basis.to_arrow(), day))
        offsets = pa.array(range(0, dense.size + 1, width), pa.int32())
        vector = pa.ListArray.from_arrays(offsets, pa.array(dense.reshape(-1)))
        rows = pa.table({"listing_id": listings["listing_id"], "vector": vector})
        vectors.append(with_day(rows, day))
        details: dict[str, object] = {
            "refit_day": str(anchors[day]),
            "singular_values": [round(float(value), 6) for value in basis.singular_values],
            "effective_rank": basis.effective_rank,
            "terms": len(basis.terms),
            "dense": width,
        }
        if basis.effective_rank < config.rank:
            details["degraded"] = [
                f"text basis has rank {basis.effective_rank} of {config.rank}: too little text"
            ]
        outcome[day] = DayRecord(rows_in=len(listings), details=details)
    step.tables.write_arrow("text_basis", pa.concat_tables(terms), step.days)
    step.tables.write_arrow("listing_vectors", pa.concat_tables(vectors), step.days)
    return outcome


def _fit(step: Step, day: date) -> TextBasis:
    config = step.config.text_svd
    read = step.tables.day_reader("listings", [day], ["listing_id", "title", "tags"])
    return fit_text_basis(
        step.spark,
        partial(read, day),
        rank=config.rank,
        oversampling=config.oversampling,
        iterations=config.iterations,
        min_document_frequency=config.min_document_frequency,
        max_terms=config.max_terms,
        seed=config.seed,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr fit_text_svd``."""
    return job_main("fit_text_svd", argv)


if __name__ == "__main__":
    leave(main())
