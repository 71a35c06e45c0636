"""What a day is judged by, and the rows that come out."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

AUC = "auc"
LOG_LOSS = "log_loss"
NORMALIZED_ENTROPY = "normalized_entropy"
CALIBRATION_RATIO = "calibration_ratio"
EXPECTED_CLICKS = "expected_clicks"
COMPARED = (AUC, LOG_LOSS, NORMALIZED_ENTROPY)
DIFFERENCE = "_difference"
# Segments of a field's value are named `field=value`.
FIELD_MARK = "="


@dataclass(frozen=True)
class Judged:
    """A day's impressions with the probabilities of each model, as arrays of shape (rows,).

    ``user`` holds int64 hashes; ``baseline`` names the model that differences are taken to.
    """

    clicked: BoolArray
    user: npt.NDArray[np.int64]
    is_cold: BoolArray
    probabilities: Mapping[str, FloatArray]
    baseline: str | None = None

    def __post_init__(self) -> None:
        rows = np.shape(self.clicked)
        object.__setattr__(self, "clicked", np.asarray(self.clicked).astype(bool))
        object.__setattr__(self, "is_cold", np.asarray(self.is_cold).astype(bool))
        object.__setattr__(self, "user", np.asarray(self.user, dtype=np.int64))
        probabilities = {m: np.asarray(p, dtype=np.float64) for m, p in self.probabilities.items()}
        object.__setattr__(self, "probabilities", probabilities)
        arrays = {"user": self.user, "is_cold": self.is_cold, **probabilities}
        for name, values in arrays.items():
            if values.shape != rows or len(rows) != 1:
                raise ValueError(f"{name} has shape {values.shape}, clicked {rows}")
        if self.baseline is not None and self.baseline not in probabilities:
            raise ValueError(f"no probabilities of the baseline {self.baseline}")


@dataclass(frozen=True)
class MetricRow:
    """One row of `model_metrics`, in the table's own scale; ``reason`` says why no value."""

    model: str
    segment: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    rows: int
    clicks: int
    baseline: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class ReliabilityRow:
    """One row of the table `reliability`."""

    model: str
    segment: str
    bin: int
    expected: float
    observed: float
    low: float
    high: float
    rows: int
