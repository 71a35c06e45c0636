"""Judging a day: every metric of every model in the mixed, cold and warm segments."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import logit as logit_of

from pipelines.models.auc import auc
from pipelines.models.calibration_map import LOGIT_LIMIT
from pipelines.models.calibration_metrics import calibration_line, calibration_ratio
from pipelines.models.clumps import clumps_of
from pipelines.models.elementary import log_losses, probabilities
from pipelines.models.entropy import (
    Influenced,
    mean_loss,
    miscalibration_and_discrimination,
    normalized_entropy,
)
from pipelines.models.intervals import Users, of_unseen_click
from pipelines.models.judged import (
    AUC,
    CALIBRATION_RATIO,
    COMPARED,
    DIFFERENCE,
    EXPECTED_CLICKS,
    LOG_LOSS,
    NORMALIZED_ENTROPY,
    Judged,
    MetricRow,
    ReliabilityRow,
)
from pipelines.models.logistic import FitError
from pipelines.models.ranks import Ranks, dense_ranks
from pipelines.models.reliability import ReliabilityBin, calibration_error, reliability_bins
from pipelines.models.segments import SEGMENTS, segment_masks

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

__all__ = ["METRICS", "Judged", "MetricRow", "ReliabilityRow", "evaluate", "reliability_table"]

METRICS = (
    *COMPARED,
    "miscalibration",
    "discrimination",
    EXPECTED_CLICKS,
    CALIBRATION_RATIO,
    "calibration_intercept",
    "calibration_slope",
    "calibration_error",
    "brier",
    "clipped",
)
# Where probabilities are clipped, so that their logits stay finite.
LIMITS = probabilities(np.array([-LOGIT_LIMIT, LOGIT_LIMIT]))


@dataclass(frozen=True)
class _Estimate:
    value: float | None = None
    low: float | None = None
    high: float | None = None
    influence: FloatArray | None = None
    of_click: FloatArray | None = None
    reason: str | None = None


@dataclass(frozen=True)
class _Model:
    """A model's probabilities on the whole day, ready to be sliced."""

    p: FloatArray
    logit: FloatArray
    losses: FloatArray
    if_clicked: FloatArray
    rank: npt.NDArray[np.int64]
    is_clipped: BoolArray
    reason: str | None

    @classmethod
    def of(cls, p: FloatArray, clicked: BoolArray) -> "_Model":
        wrong = int(np.count_nonzero(~((p >= 0.0) & (p <= 1.0))))
        reason = f"{wrong} probabilities are not numbers from 0 to 1" if wrong else None
        if wrong:
            p = np.full(len(p), 0.5)
        inside = np.clip(p, *LIMITS)
        logit = logit_of(inside)
        losses = log_losses(logit, clicked.view(np.uint8))
        if_clicked = log_losses(logit, np.ones(len(p), dtype=np.uint8))
        return cls(inside, logit, losses, if_clicked, dense_ranks(p), inside != p, reason)


class _Slice:
    """The rows of one segment."""

    def __init__(self, day: Judged, segment: str, mask: BoolArray) -> None:
        self.segment = segment
        self.index = np.flatnonzero(mask)
        self.clicked = day.clicked[self.index]
        self.rows = len(self.index)
        self.clicks = int(np.count_nonzero(self.clicked))
        self.users = Users(day.user[self.index], self.clicked)
        self.no_rows = None if self.rows else "no impressions"
        self.one_class = self.no_rows
        if self.rows and not 0 < self.clicks < self.rows:
            self.one_class = "no clicks" if not self.clicks else "clicks only"

    def judge(self, model: _Model) -> dict[str, _Estimate]:
        """Every metric of one model; the reason where one is undefined.

        What each row adds is kept of those that are compared.
        """
        if model.reason or self.no_rows:
            return dict.fromkeys(METRICS, _Estimate(reason=model.reason or self.no_rows))
        p, losses = model.p[self.index], model.losses[self.index]
        if_clicked = model.if_clicked[self.index]
        # Where clicks may come: as the model says, or anywhere.
        anywhere = (p, np.ones(self.rows))
        brier = mean_loss((p - self.clicked) ** 2, (1.0 - p) ** 2)
        expected = float(np.add.reduce(p))
        found = {
            LOG_LOSS: self._of_losses(mean_loss(losses, if_clicked), anywhere),
            "brier": self._of_losses(brier, anywhere),
            EXPECTED_CLICKS: _Estimate(expected),
            "clipped": _Estimate(float(np.count_nonzero(model.is_clipped[self.index]))),
        }
        clumps = clumps_of(p, self.clicked, self.users)
        ratio, (low, high) = calibration_ratio(expected, self.clicks, clumps)
        reason = "no clicks" if ratio is None else None
        found[CALIBRATION_RATIO] = _Estimate(ratio, low, high, reason=reason)
        if not self.one_class:
            ranks = Ranks.of(model.rank[self.index], self.clicked)
            found |= self._judge_both_classes(ranks, p, losses)
            entropy = normalized_entropy(losses, if_clicked, self.clicked)
            found[NORMALIZED_ENTROPY] = self._of_losses(entropy, anywhere)
            found |= self._line(model.logit[self.index])
        undefined = _Estimate(reason=self.one_class)
        made = {metric: found.get(metric, undefined) for metric in METRICS}
        for metric in (metric for metric in METRICS if metric not in COMPARED):
            made[metric] = replace(made[metric], influence=None, of_click=None)
        return made

    def _judge_both_classes(
        self, ranks: Ranks, p: FloatArray, losses: FloatArray
    ) -> dict[str, _Estimate]:
        area, influence = auc(ranks, self.clicked)
        low, high = self.users.share_interval(area, influence)
        loss = float(np.add.reduce(losses)) / self.rows
        miscalibration, discrimination = miscalibration_and_discrimination(loss, ranks)
        return {
            AUC: _Estimate(area, low, high, influence),
            "miscalibration": _Estimate(miscalibration),
            "discrimination": _Estimate(discrimination),
            "calibration_error": _Estimate(calibration_error(p, self.clicked, ranks)),
        }

    def _line(self, logit: FloatArray) -> dict[str, _Estimate]:
        names = ("calibration_intercept", "calibration_slope")
        if logit.min() == logit.max():
            return dict.fromkeys(names, _Estimate(reason="all probabilities are equal"))
        try:
            line = calibration_line(logit, self.clicked)
        except FitError as error:
            return dict.fromkeys(names, _Estimate(reason=str(error)))
        return {name: self._estimate(*part) for name, part in zip(names, line, strict=True)}

    def difference(
        self, of: _Estimate, to: _Estimate, expected: tuple[FloatArray, FloatArray]
    ) -> _Estimate:
        """Paired difference of two models, whose probabilities are given, on the same rows."""
        if of.value is None or to.value is None or of.influence is None or to.influence is None:
            return _Estimate(reason=of.reason or to.reason)
        value, influence = of.value - to.value, of.influence - to.influence
        if of.of_click is None or to.of_click is None:
            return self._estimate(value, influence)
        found = Influenced(value, influence, of.of_click - to.of_click)
        return self._of_losses(found, [p[self.index] for p in expected])

    def _estimate(self, value: float, influence: FloatArray) -> _Estimate:
        low, high = self.users.interval(value, influence)
        return _Estimate(value, low, high, influence)

    def _of_losses(self, found: Influenced, expected: Sequence[FloatArray]) -> _Estimate:
        """Estimate of which it is known what a click would do, and where clicks may come."""
        unseen = of_unseen_click(found.of_click, expected)
        low, high = self.users.interval(found.value, found.influence, unseen)
        return _Estimate(found.value, low, high, found.influence, found.of_click)

    def row(
        self, model: str, metric: str, found: _Estimate, baseline: str | None = None
    ) -> MetricRow:
        value, low, high = (
            None if part is None or not math.isfinite(part) else part
            for part in (found.value, found.low, found.high)
        )
        reason = found.reason
        if value is None and reason is None:
            reason = "not a finite number"
        return MetricRow(
            model, self.segment, metric, value, low, high, self.rows, self.clicks, baseline, reason
        )


def _slices(day: Judged) -> list[_Slice]:
    masks = segment_masks(day.is_cold)
    return [_Slice(day, segment, masks[segment]) for segment in SEGMENTS]


def evaluate(day: Judged) -> list[MetricRow]:
    """Judge each model of a day in each segment.

    Intervals are 95 % and clustered by user. Every (model, segment) has a row for each of
    `METRICS` and, but for the baseline, for each of `COMPARED` as ``<metric>_difference`` to the
    baseline on the same rows. What is undefined (no rows, one class, probabilities that are not
    numbers) has a row without a value and with the reason.

    Returns
    -------
    list of MetricRow
        AUC as a share, log loss in nats, calibration ratio = sum of p / clicks (above 1: too many
        clicks promised), calibration error in % of the click rate.
    """
    models = {name: _Model.of(p, day.clicked) for name, p in day.probabilities.items()}
    rows = []
    for part in _slices(day):
        base = part.judge(models[day.baseline]) if day.baseline is not None else {}
        # One after the other: what each row adds to each metric is as large as the day.
        for name, model in models.items():
            found = base if name == day.baseline else part.judge(model)
            rows += [part.row(name, metric, found[metric]) for metric in METRICS]
            if day.baseline is None or name == day.baseline:
                continue
            for metric in COMPARED:
                expected = (model.p, models[day.baseline].p)
                difference = part.difference(found[metric], base[metric], expected)
                rows.append(part.row(name, metric + DIFFERENCE, difference, day.baseline))
    return rows


def reliability_table(day: Judged) -> list[ReliabilityRow]:
    """Reliability bins of each model and segment; none where a segment has no rows."""
    models = {name: _Model.of(p, day.clicked) for name, p in day.probabilities.items()}
    rows = []
    for part in _slices(day):
        for name, model in models.items():
            if model.reason is None and part.rows:
                rows += [_reliability_row(name, part.segment, b) for b in _bins(part, model)]
    return rows


def _bins(part: _Slice, model: _Model) -> list[ReliabilityBin]:
    p = model.p[part.index]
    ranks = Ranks.of(model.rank[part.index], part.clicked)
    clumps = clumps_of(p, part.clicked, part.users)
    return reliability_bins(p, part.clicked, ranks, clumps.over_dispersion)


def _reliability_row(model: str, segment: str, b: ReliabilityBin) -> ReliabilityRow:
    return ReliabilityRow(model, segment, b.bin, b.expected, b.observed, b.low, b.high, b.rows)
