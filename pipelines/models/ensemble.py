"""The ensemble: one logistic regression over the parts of the historical and content logits.

Trust moves from content to history as evidence grows, because the listing parts are multiplied
with the listing's impressions; the context parts have constant weights, so that a listing's
score for the day and the request's own context still add up to one logit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

INTERCEPT = "intercept"
LEVEL = "level"
CONSTANTS = (INTERCEPT, LEVEL)
COLD_THRESHOLD = "cold_threshold"
LISTING_PARTS = ("historical_listing", "content_listing")
CONTEXT_PARTS = ("historical_context", "content_context")
EVIDENCE = ("is_cold", "log1p_impressions", "log1p_shop_impressions", "log1p_age_days")
_SEPARATOR = ":"

# Products with the other evidence cost 4 % of the excess log loss in the cold segment: there are
# too few cold clicks in a week to learn slopes of their own from (docs/studies.md).
PRODUCTS = tuple(f"{part}{_SEPARATOR}log1p_impressions" for part in LISTING_PARTS)
FULL_TERMS = (*LISTING_PARTS, *CONTEXT_PARTS, *EVIDENCE, *PRODUCTS)
_KNOWN_TERMS = (*CONSTANTS, *FULL_TERMS)


@dataclass(frozen=True)
class EnsembleInputs:
    """What the ensemble knows of each row, as float64 arrays of one shape (rows,).

    The parts are in logits; ``is_cold`` is 0 or 1; the evidence is the log1p of the window's
    impressions of the listing and of its shop, and of the listing's age in days. The context
    parts (pair parts included) may be left out where only listings are scored.
    """

    historical_listing: FloatArray
    content_listing: FloatArray
    is_cold: FloatArray
    log1p_impressions: FloatArray
    log1p_shop_impressions: FloatArray
    log1p_age_days: FloatArray
    historical_context: FloatArray | None = None
    content_context: FloatArray | None = None

    def __post_init__(self) -> None:
        rows = np.shape(self.historical_listing)
        for name in (*LISTING_PARTS, *EVIDENCE, *CONTEXT_PARTS):
            column = getattr(self, name)
            if column is None:
                continue
            values = np.asarray(column, dtype=np.float64)
            if values.shape != rows or values.ndim != 1:
                raise ValueError(f"{name} has shape {values.shape}, historical_listing {rows}")
            if not np.isfinite(values).all():
                raise ValueError(f"{name} holds a value that is not finite")
            object.__setattr__(self, name, values)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.historical_listing)

    def term(self, name: str) -> FloatArray:
        """Value of one term (the intercept aside), shape (rows,)."""
        part, _, evidence = name.partition(_SEPARATOR)
        values: FloatArray | None = getattr(self, part)
        if values is None:
            raise ValueError(f"{part} is needed and was not given")
        return values * self.term(evidence) if evidence else values


class EnsembleRow(NamedTuple):
    """One row of the table `ensemble_weights`."""

    term: str
    weight: float
    form: str
    reason: str | None
    rows: int
    clicks: int


@dataclass(frozen=True)
class Ensemble:
    """Learnt weights on the raw scale of the terms: logit = sum weight * term.

    ``weights`` holds the constants and every term of the form; ``form`` says which form was
    fitted and ``reason`` why not the full one. Of the two constants the intercept is fitted;
    ``level`` takes back what of it is taken for chance (`fit_ensemble`).
    """

    weights: Mapping[str, float]
    form: str
    reason: str | None
    rows: int
    clicks: int
    cold_threshold: int | None = None

    @property
    def level(self) -> float:
        """What is added to the fitted logit, see `fit_ensemble`; 0 where nothing is known of it."""
        return self.weights.get(LEVEL, 0.0)

    def fitted_logit(self, inputs: EnsembleInputs) -> FloatArray:
        """The logit without the level: of the rows fitted on, it sums to their clicks."""
        return self.logit(inputs) - self.level

    def listing_logit(self, inputs: EnsembleInputs) -> FloatArray:
        """Part of the logit that is the listing's own, constants included, shape (rows,)."""
        logit = np.full(inputs.rows, self.weights[INTERCEPT] + self.level)
        for name in FULL_TERMS:
            if name in self.weights and name not in CONTEXT_PARTS:
                logit += self.weights[name] * inputs.term(name)
        return logit

    def context_logit(
        self, historical_context: npt.ArrayLike, content_context: npt.ArrayLike
    ) -> FloatArray:
        """Part of the logit that the request brings, from the models' context and pair parts."""
        historical, content = (self.weights.get(name, 0.0) for name in CONTEXT_PARTS)
        logit: FloatArray = historical * np.asarray(historical_context, dtype=np.float64)
        return logit + content * np.asarray(content_context, dtype=np.float64)

    def logit(self, inputs: EnsembleInputs) -> FloatArray:
        """Whole logit of each impression: listing part + context part, shape (rows,)."""
        context = self.context_logit(*(inputs.term(name) for name in CONTEXT_PARTS))
        return self.listing_logit(inputs) + context

    def to_rows(self) -> list[EnsembleRow]:
        """Give the rows of the table `ensemble_weights`, one per term and the cold threshold."""
        weights = dict(self.weights)
        if self.cold_threshold is not None:
            weights[COLD_THRESHOLD] = float(self.cold_threshold)
        return [
            EnsembleRow(term, weight, self.form, self.reason, self.rows, self.clicks)
            for term, weight in weights.items()
        ]

    @classmethod
    def from_rows(cls, rows: Iterable[EnsembleRow]) -> "Ensemble":
        """Rebuild what `to_rows` gave, whatever the order of the rows.

        Raises
        ------
        ValueError
            No rows, an unknown or repeated term, no intercept, or rows of several fits.
        """
        typed = [EnsembleRow(*row) for row in rows]
        weights = {row.term: row.weight for row in typed}
        fits = {row[2:] for row in typed}
        unknown = weights.keys() - {*_KNOWN_TERMS, COLD_THRESHOLD}
        if unknown or len(weights) != len(typed) or len(fits) != 1 or INTERCEPT not in weights:
            raise ValueError(
                f"not the rows of one ensemble: {len(typed)} rows, {len(fits)} fits, "
                f"unknown terms {sorted(unknown)}"
            )
        threshold = weights.pop(COLD_THRESHOLD, None)
        return cls(
            {term: weights[term] for term in _KNOWN_TERMS if term in weights},
            *fits.pop(),
            cold_threshold=None if threshold is None else int(threshold),
        )
