"""Fit the warm/cold ensemble, then the calibration map and the field factors.

Grain: term, and knot or factor. Learnt from out-of-time predictions of the last days' natural
promoted traffic; never from the rows that the base models have learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.commands.job import job_main
from jobs.setup.exits import leave
from jobs.step import DayRecord, Outcome, Step
from pipelines.models.calibration import fit_calibration
from pipelines.models.ensemble_fit import fit_ensemble
from pipelines.models.field_factors import fit_field_factors
from pipelines.models.segments import cold_threshold
from pipelines.models.stack import ensemble_inputs, fields_of, is_cold, whole


def run(step: Step) -> Outcome:
    """Fit every day of the step; all are written at once."""
    config = step.config
    terms: list[dict[str, object]] = []
    curve: list[dict[str, object]] = []
    outcome: Outcome = {}
    for day in step.days:
        window = [day - timedelta(days=back) for back in range(config.ensemble.days)]
        rows = read_predictions(step, window)
        threshold = cold_threshold(whole(rows, "window_impressions"), config.ensemble.cold_share)
        cold = is_cold(rows, threshold)
        clicked = np.asarray(rows["clicked"].to_numpy(zero_copy_only=False), dtype=bool)
        inputs = ensemble_inputs(rows, threshold)
        ensemble = fit_ensemble(inputs, clicked, l2=config.ensemble.l2, cold_threshold=threshold)
        logit = ensemble.fitted_logit(inputs)
        curve_map = fit_calibration(
            logit, clicked, whole(rows, "user_key"), folds=config.calibration.folds
        )
        factors = fit_field_factors(
            curve_map.apply(logit), clicked, fields_of(rows, config.calibration.fields, cold)
        )
        ds = {"ds": day}
        terms += [row._asdict() | ds for row in ensemble.to_rows()]
        curve += [row._asdict() | ds for row in [*curve_map.to_rows(), *factors.to_rows()]]
        days_held = len(pc.unique(rows["ds"]))
        degraded = [ensemble.reason] if ensemble.reason else []
        if days_held < config.ensemble.days:
            degraded.append(
                f"ensemble and calibration rest on {days_held} of {config.ensemble.days} days"
            )
        details = {
            "form": ensemble.form,
            "level": ensemble.level,
            "calibration": curve_map.kind,
            "candidates": dict(curve_map.candidates),
            "cold_threshold": threshold,
            "cold_share": float(np.mean(cold)) if len(cold) else None,
            "days": days_held,
            "rows": len(rows),
            "clicks": int(clicked.sum()),
            "clipped_logits": curve_map.clipped,
        }
        outcome[day] = DayRecord(
            rows_in=len(rows), details=details | ({"degraded": degraded} if degraded else {})
        )
    step.tables.write_rows("ensemble_weights", terms, step.days)
    step.tables.write_rows("calibration_maps", curve, step.days)
    return outcome


def read_predictions(step: Step, days: Sequence[date]) -> pa.Table:
    """Predictions of days, in a fixed order; a hash sample of them where they are too many."""
    rows = step.tables.row_counts("predictions", days)
    total = sum(rows.values())
    share = min(1.0, step.config.ensemble.max_rows / total) if total else 1.0
    # The order key is a hash: its lower end is a stable sample.
    in_sample = None if share == 1.0 else pc.field("order_key") < int((share - 0.5) * 2**64)
    table = step.tables.read_arrow("predictions", days, condition=in_sample)
    return table.sort_by([("ds", "ascending"), ("order_key", "ascending")]).combine_chunks()


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr fit_ensemble``."""
    return job_main("fit_ensemble", argv)


if __name__ == "__main__":
    leave(main())
