"""Fit the warm/cold ensemble, then the calibration map and the field factors.

Grain: term, and knot or factor. Learnt from out-of-time predictions of the last days' natural
promoted traffic; never from the rows that the base models have learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.commands.job import job_main
from jobs.planning.inputs import read_position_rates, read_predictions
from jobs.setup.exits import leave
from jobs.step import DayRecord, Outcome, Step
from pipelines.days import day_number, day_numbers
from pipelines.models.calibration import fit_calibration
from pipelines.models.correction import RATES, STEPS, CorrectionRow, at_own_level, fit_correction
from pipelines.models.ensemble_fit import fit_ensemble
from pipelines.models.field_factors import fit_field_factors
from pipelines.models.gain import gain_over_rates
from pipelines.models.proven_calibration import fit_proven_calibration
from pipelines.models.segments import cold_threshold
from pipelines.models.stack import fields_of, is_cold, stack_inputs, whole
from pipelines.models.step_down import at_rates, step_down


def run(step: Step) -> Outcome:
    """Fit every day of the step; all are written at once."""
    rows: dict[str, list[dict[str, object]]] = {name: [] for name in MADE}
    outcome: Outcome = {}
    for day in step.days:
        window = [day - timedelta(days=back) for back in range(step.config.ensemble.days)]
        fitted = _Fitted.on(
            read_predictions(step.tables, window, step.config.ensemble.max_rows), step, day
        )
        for name, own in fitted.rows.items():
            rows[name] += [row | {"ds": day} for row in own]
        outcome[day] = DayRecord(rows_in=fitted.count, details=fitted.details)
    for name, own in rows.items():
        step.tables.write_rows(name, own, step.days)
    return outcome


MADE = ("ensemble_weights", "calibration_maps", "stack_weights")


@dataclass(frozen=True)
class _Fitted:
    """Rows of the tables for a day, and what is to be said of them."""

    rows: dict[str, list[dict[str, object]]]
    details: dict[str, object]
    count: int

    @classmethod
    def on(cls, rows: pa.Table, step: Step, day: date) -> _Fitted:
        """Fit on out-of-time predictions, what is published last."""
        config = step.config
        threshold = cold_threshold(whole(rows, "window_impressions"), config.ensemble.cold_share)
        cold = is_cold(rows, threshold)
        clicked = np.asarray(rows["clicked"].to_numpy(zero_copy_only=False), dtype=bool)
        user = whole(rows, "user_key")
        inputs = stack_inputs(rows, threshold)
        ensemble = fit_ensemble(
            inputs.pair, clicked, l2=config.ensemble.l2, cold_threshold=threshold
        )
        fields = fields_of(rows, config.calibration.fields, cold)
        folds = config.calibration.folds
        correction: list[CorrectionRow] = []
        extra: dict[str, object] = {}
        if config.ensemble.published == "joint":
            days, ahead = day_numbers(rows["ds"]), day_number(day) + 1
            own = config.ensemble.correction
            made = fit_correction(
                inputs, clicked, user, days, ahead, own.level, l2=own.l2,
                min_clicks=own.min_clicks,
            )  # fmt: skip
            over_rates = gain_over_rates(inputs.joint, rows, clicked, user)
            made = step_down(made, over_rates, inputs, rows, clicked, user, days)
            if made.form == RATES:
                ahead_of = day + timedelta(days=1)
                rates = read_position_rates(step.tables, config, [ahead_of])[ahead_of]
                made, proven = at_rates(made, rates)
            else:
                logit = at_own_level(made.logit(inputs), clicked)
                proven = fit_proven_calibration(logit, clicked, user, days, fields, folds=folds)
            curve, factors = proven.map, proven.factors
            correction = made.to_rows()
            extra = {
                "stack": made.form,
                "gain_over_rates": str(over_rates),
                "is_proven_over_rates": over_rates.is_proven,
                "stack_reason": made.reason,
                "stack_level": made.level,
                "correction_gain": str(made.gain),
                "map_gain": str(proven.map_gain),
                "factors_gain": str(proven.factors_gain),
            }
        else:
            logit = ensemble.fitted_logit(inputs.pair)
            curve = fit_calibration(logit, clicked, user, folds=folds)
            factors = fit_field_factors(curve.apply(logit), clicked, fields)
        days_held = len(pc.unique(rows["ds"]))
        degraded = [ensemble.reason] if ensemble.reason else []
        if extra.get("stack") in STEPS:
            degraded.append(_stepped_down(str(extra["stack_reason"]), str(extra["stack"])))
        elif extra and not extra["is_proven_over_rates"]:
            degraded.append(_unproven(str(extra["gain_over_rates"]), days_held, int(clicked.sum())))
        if days_held < config.ensemble.days:
            degraded.append(
                f"ensemble and calibration rest on {days_held} of {config.ensemble.days} days"
            )
        details = {
            "form": ensemble.form,
            "level": ensemble.level,
            "calibration": curve.kind,
            "candidates": dict(curve.candidates),
            "cold_threshold": threshold,
            "cold_share": float(np.mean(cold)) if len(cold) else None,
            "days": days_held,
            "rows": len(rows),
            "clicks": int(clicked.sum()),
            "clipped_logits": curve.clipped,
        }
        made_rows = {
            "ensemble_weights": [row._asdict() for row in ensemble.to_rows()],
            "calibration_maps": [r._asdict() for r in [*curve.to_rows(), *factors.to_rows()]],
            "stack_weights": [row._asdict() for row in correction],
        }
        return cls(
            made_rows, details | extra | ({"degraded": degraded} if degraded else {}), len(rows)
        )


def _stepped_down(reason: str, form: str) -> str:
    """What is said of what has taken the joint model's place."""
    what = "these rates are" if form == RATES else "the content model alone is"
    return f"{reason}; {what} published in its place (docs/quality.md, The first days)"


def _unproven(gain: str, days: int, clicks: int) -> str:
    """What is said of a joint model that may be no better than rates by position."""
    if not days:
        return "the joint model is not proven: no day of promoted traffic has judged it yet"
    return (
        f"the joint model is not proven better than click rates by position: over {days} "
        f"judged days and {clicks} clicks it gains {gain}, and more than two standard errors "
        "above 0 are proof (docs/quality.md, The first days)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr fit_ensemble``."""
    return job_main("fit_ensemble", argv)


if __name__ == "__main__":
    leave(main())
