"""The calibration map: from a model's logit to the probability that is published."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.models.elementary import log_losses, probabilities

FloatArray = npt.NDArray[np.float64]

SHIFT = "shift"
PLATT = "platt"
BETA = "beta"
ISOTONIC = "isotonic"
KINDS = (SHIFT, PLATT, BETA, ISOTONIC)

# Logits are clipped here: a probability below 2e-9 or above 1 - 2e-9 is no estimate of a click.
LOGIT_LIMIT = 20.0
# Keep p inside (0, 1) for any map: below, p would underflow; above, 1 - p would round to 0.
_LOWEST, _HIGHEST = -700.0, 30.0
# No map is flatter than this, so that the order of the scores survives calibration.
MIN_SLOPE = 0.01

_ROW_KIND = "map"
_PARAMETERS = ("a", "b", "c")
_KNOT = "knot"


class CalibrationRow(NamedTuple):
    """One row of the table `calibration_maps`."""

    kind: str
    name: str
    value: str | None
    x: float
    y: float


@dataclass(frozen=True)
class CalibrationMap:
    """A strictly increasing map of logits.

    With the logit l clipped to [-20, 20] and p its probability, the calibrated logit is

    - ``shift``, ``platt``, ``beta``: a ln p - b ln(1 - p) + c (a = b = 1 for the shift, a = b for
      Platt's map);
    - ``isotonic``: linear between the knots (x, y), with slope 1 beyond the first and the last.
    """

    kind: str
    parameters: tuple[float, float, float] | None = None
    knots: tuple[tuple[float, float], ...] = ()
    rows: int = field(default=0, compare=False)
    clicks: int = field(default=0, compare=False)
    clipped: int = field(default=0, compare=False)
    candidates: Mapping[str, float] = field(default_factory=dict, compare=False)

    def calibrated_logit(self, logit: npt.ArrayLike) -> FloatArray:
        """Calibrated logit of each logit, shape (rows,).

        Raises
        ------
        ValueError
            A logit is not a number (infinite ones are clipped).
        """
        logits = np.asarray(logit, dtype=np.float64)
        if np.isnan(logits).any():
            raise ValueError("a logit is not a number")
        clipped = np.clip(logits, -LOGIT_LIMIT, LOGIT_LIMIT)
        if self.parameters is not None:
            a, b, c = self.parameters
            log_p, minus_log_rest = beta_terms(clipped)
            result: FloatArray = a * log_p + b * minus_log_rest + c
            return result
        x, y = np.array(self.knots).T
        slope = np.concatenate([[1.0], np.diff(y) / np.diff(x), [1.0]])
        interval = np.searchsorted(x, clipped, side="right")
        left = np.maximum(interval - 1, 0)
        result = y[left] + slope[interval] * (clipped - x[left])
        return result

    def apply(self, logit: npt.ArrayLike) -> FloatArray:
        """Calibrated probability of each logit, shape (rows,), inside (0, 1)."""
        calibrated = self.calibrated_logit(logit)
        return probabilities(np.clip(calibrated, _LOWEST, _HIGHEST))

    def to_rows(self) -> list[CalibrationRow]:
        """Give the curve's rows of the table `calibration_maps`: parameters at x = 0, or knots."""
        if self.parameters is not None:
            named = zip(_PARAMETERS, self.parameters, strict=True)
            return [
                CalibrationRow(_ROW_KIND, f"{self.kind}.{name}", None, 0.0, value)
                for name, value in named
            ]
        name = f"{self.kind}.{_KNOT}"
        return [CalibrationRow(_ROW_KIND, name, None, x, y) for x, y in self.knots]

    @classmethod
    def from_rows(cls, rows: Iterable[CalibrationRow]) -> "CalibrationMap":
        """Rebuild what `to_rows` gave; rows of other kinds (factors) are passed over.

        Raises
        ------
        ValueError
            The rows are not those of exactly one map.
        """
        curve = [row for row in (CalibrationRow(*row) for row in rows) if row.kind == _ROW_KIND]
        names = [row.name.partition(".")[::2] for row in curve]
        kinds = {kind for kind, _ in names}
        if len(kinds) != 1 or not kinds <= set(KINDS):
            raise ValueError(f"not the rows of one calibration map: kinds {sorted(kinds)}")
        kind = kinds.pop()
        if kind == ISOTONIC:
            knots = sorted((row.x, row.y) for row in curve)
            if len({x for x, _ in knots}) != len(knots):
                raise ValueError("two knots of the calibration map share an x")
            return cls(kind, knots=tuple(knots))
        values = {name: row.y for (_, name), row in zip(names, curve, strict=True)}
        if sorted(values) != sorted(_PARAMETERS) or len(curve) != len(_PARAMETERS):
            raise ValueError(f"a {kind} map needs a, b and c once, got {sorted(values)}")
        return cls(kind, (values["a"], values["b"], values["c"]))


def beta_terms(logit: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Terms of beta calibration, ln p and -ln(1 - p), of each logit."""
    ones = np.ones(len(logit), dtype=np.uint8)
    return -log_losses(logit, ones), log_losses(logit, np.zeros_like(ones))
