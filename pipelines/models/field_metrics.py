"""Judging a day by field value: the calibration ratio of each, with clicks expected and seen."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipelines.models.calibration_metrics import ratio_of_sums
from pipelines.models.fields import Coded
from pipelines.models.judged import (
    CALIBRATION_RATIO,
    EXPECTED_CLICKS,
    FIELD_MARK,
    Judged,
    MetricRow,
)
from pipelines.models.metrics import LIMITS
from pipelines.models.over_dispersion import over_dispersions

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

POOLED = "other"


def evaluate_fields(
    day: Judged, model: str, fields: Mapping[str, Coded], *, min_expected: float
) -> list[MetricRow]:
    """Judge one model of a day in every value of every field.

    Two rows per value, of segment ``<field>=<value>``: the calibration ratio as in `evaluate`, its
    95 % interval clustered by user, and the expected clicks, the sum of p, that it rests on.

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
    rows: list[MetricRow] = []
    for field, coded in fields.items():
        codes, names = _pooled(coded, p, min_expected)
        rows += _judge(
            day.clicked, user, p, codes, [f"{field}{FIELD_MARK}{n}" for n in names], model
        )
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
) -> list[MetricRow]:
    values = len(segments)
    impressions = np.bincount(codes, minlength=values)
    expected = np.bincount(codes, p, minlength=values)
    clicks = np.bincount(codes[clicked], minlength=values)
    spreads = over_dispersions(p, clicked, user, codes, clicks / expected)
    rows: list[MetricRow] = []
    for k, segment in enumerate(segments):
        total, seen = float(expected[k]), (int(impressions[k]), int(clicks[k]))
        ratio, (low, high) = ratio_of_sums(total, seen[1], float(spreads[k]))
        why = "no clicks" if ratio is None else None
        rows += [
            MetricRow(model, segment, CALIBRATION_RATIO, ratio, low, high, *seen, reason=why),
            MetricRow(model, segment, EXPECTED_CLICKS, total, None, None, *seen),
        ]
    return rows
