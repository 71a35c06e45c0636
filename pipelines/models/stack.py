"""From stored predictions to a published probability: ensemble, calibration map, field factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.models.calibration_map import CalibrationMap, CalibrationRow
from pipelines.models.correction import Correction, CorrectionRow, StackInputs
from pipelines.models.ensemble import Ensemble, EnsembleInputs, EnsembleRow
from pipelines.models.field_factors import FieldFactors
from pipelines.models.fields import Coded, coded, segment_field

Floats = npt.NDArray[np.float64]


def number(table: pa.Table, name: str) -> Floats:
    """A column as float64, null as 0, shape (n,)."""
    values = pc.fill_null(table[name].cast(pa.float64()), 0.0)
    return np.asarray(values.to_numpy(), dtype=np.float64)


def whole(table: pa.Table, name: str) -> npt.NDArray[np.int64]:
    """A column as int64, shape (n,)."""
    return np.asarray(table[name].to_numpy(), dtype=np.int64)


def ensemble_inputs(
    table: pa.Table, cold_threshold: int, *, context: bool = True
) -> EnsembleInputs:
    """The ensemble's inputs from columns of `predictions` (or of listings to score)."""
    impressions = number(table, "window_impressions")
    return EnsembleInputs(
        historical_listing=number(table, "historical_listing"),
        content_listing=number(table, "content_listing"),
        is_cold=(impressions < cold_threshold).astype(np.float64),
        log1p_impressions=np.log1p(impressions),
        log1p_shop_impressions=np.log1p(number(table, "shop_window_impressions")),
        log1p_age_days=np.log1p(np.maximum(number(table, "age_days"), 0.0)),
        historical_context=number(table, "historical_context") if context else None,
        content_context=number(table, "content_context") if context else None,
    )


def stack_inputs(table: pa.Table, cold_threshold: int, *, context: bool = True) -> StackInputs:
    """The stack's inputs from columns of `predictions` (or of listings to score)."""
    return StackInputs(
        ensemble_inputs(table, cold_threshold, context=context),
        number(table, "joint_listing"),
        number(table, "joint_context") if context else None,
        np.log(np.asarray(pc.fill_null(table["listing_ratio"], 1.0).to_numpy(), np.float64)),
    )


def is_cold(table: pa.Table, cold_threshold: int) -> npt.NDArray[np.bool_]:
    """Whether each row's listing has fewer window impressions than the threshold."""
    return whole(table, "window_impressions") < cold_threshold


def fields_of(
    table: pa.Table, names: Sequence[str], cold: npt.NDArray[np.bool_]
) -> dict[str, Coded]:
    """Field values of each row, numbered."""
    return {
        name: segment_field(cold) if name == "segment" else coded(table[name]) for name in names
    }


@dataclass(frozen=True)
class Stack:
    """All that turns the parts of the models' logits into a published probability.

    Attributes
    ----------
    correction : Correction or None
        What is added to the joint model's logit; None where the ensemble of the two FTRL models is
        what is published.
    """

    ensemble: Ensemble
    map: CalibrationMap
    factors: FieldFactors
    correction: Correction | None = None

    @property
    def cold_threshold(self) -> int:
        """Window impressions below which a listing is cold."""
        return self.ensemble.cold_threshold or 1

    def listing_logit(self, inputs: StackInputs) -> Floats:
        """The listing's part of the published logit before calibration, shape (n,)."""
        if self.correction is None:
            return self.ensemble.listing_logit(inputs.pair)
        return self.correction.listing_logit(inputs)

    def context_logit(
        self, joint: npt.ArrayLike, historical: npt.ArrayLike, content: npt.ArrayLike
    ) -> Floats:
        """What a request's context parts of the models' logits add, shape (n,)."""
        if self.correction is None:
            return self.ensemble.context_logit(historical, content)
        return self.correction.context_logit(joint, historical, content)

    def logit(self, inputs: StackInputs) -> Floats:
        """The published logit before calibration of each impression, shape (n,)."""
        if self.correction is None:
            return self.ensemble.logit(inputs.pair)
        return self.correction.logit(inputs)

    @classmethod
    def from_rows(
        cls,
        ensemble: Sequence[Mapping[str, object]],
        calibration: Sequence[Mapping[str, object]],
        correction: Sequence[Mapping[str, object]] = (),
    ) -> Stack:
        """From rows of `ensemble_weights`, `calibration_maps` and `stack_weights` of one day."""
        terms = [EnsembleRow(*(row[f] for f in EnsembleRow._fields)) for row in ensemble]  # type: ignore[arg-type]
        curve = [
            CalibrationRow(*(row[f] for f in CalibrationRow._fields))  # type: ignore[arg-type]
            for row in calibration
        ]
        return cls(
            Ensemble.from_rows(terms),
            CalibrationMap.from_rows(curve),
            FieldFactors.from_rows(curve),
            Correction.from_rows(
                CorrectionRow(*(row[f] for f in CorrectionRow._fields))  # type: ignore[arg-type]
                for row in correction
            )
            if correction
            else None,
        )

    def publish(self, logit: Floats, fields: Mapping[str, Coded]) -> Floats:
        """Calibrated probability of logits, shape (n,)."""
        return self.factors.apply(self.map.apply(logit), fields)
