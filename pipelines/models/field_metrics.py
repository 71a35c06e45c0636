"""Judging a day by field value: the calibration ratio of each, with clicks expected and seen."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipelines.models.calibration_metrics import calibration_ratio
from pipelines.models.clumps import clumps_by_value
from pipelines.models.fields import Coded
from pipelines.models.intervals import TAIL
from pipelines.models.judged import (
    CALIBRATION_RATIO,
    EXPECTED_CLICKS,
    FIELD_MARK,
    Judged,
    MetricRow,
)
from pipelines.models.metrics import LIMITS

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

POOLED = "other"


def evaluate_fields(
    day: Judged, model: str, fields: Mapping[str, Coded], *, min_expected: float
) -> list[MetricRow]:
    """Judge one model of a day in every value of every field.

    Two rows per value, of segment ``<field>=<value>``: the calibration ratio as in `evaluate` and
    the expected clicks, the sum of p, that it rests on. The intervals hold together: all of a
    day's at once in 95 % of days (Bonferroni), so that many values are no more likely to be taken
    for wrong by chance than one.

    Parameters
    ----------
    day : Judged
        The day's impressions.
    model : str
        Whose probabilities are judged.
    fields : mapping
        Name to numbers, shape (rows,), and names of the values; unknown is the empty name.
    min_expected : float
        Values with fewer expected clicks are judged together as ``<field>=other``, with a value
        of that name.

    Returns
    -------
    list of MetricRow
        By field in the given order, then by value; none of a model whose probabilities are not
        all numbers from 0 to 1, which `evaluate` tells.

    Notes
    -----
    One sort of the rows by user and value per field, all else linear.
    """
    probabilities = day.probabilities[model]
    if not ((probabilities >= 0.0) & (probabilities <= 1.0)).all():
        return []
    p = np.clip(probabilities, *LIMITS)
    user = np.unique(day.user, return_inverse=True)[1].astype(np.int64)
    pooled = {field: _pooled(coded, p, min_expected) for field, coded in fields.items()}
    values = sum(len(names) for _, names in pooled.values())
    rows: list[MetricRow] = []
    for field, (codes, names) in pooled.items():
        segments = [f"{field}{FIELD_MARK}{name}" for name in names]
        rows += _judge(day.clicked, user, p, codes, segments, model, TAIL / max(1, values))
    return rows


def _pooled(coded: Coded, p: FloatArray, min_expected: float) -> tuple[IntArray, list[str]]:
    """The values that occur, in order of their names, with the rare ones as one."""
    codes, labels = coded
    expected = np.bincount(codes, p, minlength=len(labels))
    names = [
        POOLED if total < min_expected else label
        for label, total in zip(labels, expected.tolist(), strict=True)
    ]
    kept = sorted({names[code] for code in np.unique(codes).tolist()})
    place = {name: number for number, name in enumerate(kept)}
    return np.array([place.get(name, -1) for name in names], dtype=np.int64)[codes], kept


def _judge(
    clicked: npt.NDArray[np.bool_],
    user: IntArray,
    p: FloatArray,
    codes: IntArray,
    segments: Sequence[str],
    model: str,
    tail: float,
) -> list[MetricRow]:
    values = len(segments)
    impressions = np.bincount(codes, minlength=values)
    expected = np.bincount(codes, p, minlength=values)
    clicks = np.bincount(codes[clicked], minlength=values)
    clumps = clumps_by_value(p, clicked, user, codes, clicks / expected)
    rows: list[MetricRow] = []
    for k, segment in enumerate(segments):
        total, seen = float(expected[k]), (int(impressions[k]), int(clicks[k]))
        ratio, (low, high) = calibration_ratio(total, seen[1], clumps[k], tail=tail)
        why = "no clicks" if ratio is None else None
        rows += [
            MetricRow(model, segment, CALIBRATION_RATIO, ratio, low, high, *seen, reason=why),
            MetricRow(model, segment, EXPECTED_CLICKS, total, None, None, *seen),
        ]
    return rows
