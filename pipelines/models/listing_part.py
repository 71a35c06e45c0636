"""The listing part of the two logits: what a listing brings whatever the request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.features.assemble import Assembler
from pipelines.features.dense import dense_inputs
from pipelines.features.number_encodings import age_days
from pipelines.features.rates import Rates, column
from pipelines.features.registry import MODELS
from pipelines.features.rows import SlotRows
from pipelines.features.text_basis import TextBasis
from pipelines.models.linear import dense_logits, logit_variance, logits
from pipelines.models.weights import Weights

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Models:
    """The two models of one day and the basis that their dense weights belong to.

    Attributes
    ----------
    reference : mapping of str to float
        Logit of the reference context by model. FTRL-Proximal leaves it to chance which features
        of a row hold how much of the intercept, and another first day of the window deals it anew.
        The ensemble, which gives listing and context weights of their own, therefore sees the
        listing part at the reference context, and of the context what differs from it: neither
        moves when weight goes from all listings to all contexts.
    """

    historical: Weights
    content: Weights
    basis: TextBasis | None
    reference: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(MODELS, 0.0))

    def of(self, model: str) -> Weights:
        """Weights by model name."""
        return self.historical if model == "historical" else self.content


@dataclass(frozen=True)
class ListingPart:
    """Listing parts of n listings.

    Attributes
    ----------
    historical, content : numpy.ndarray of float64, shape (n,)
        Listing parts of the logits.
    rows : dict
        Hashed rows per model, for what else is to be known of them.
    """

    historical: Floats
    content: Floats
    rows: Mapping[str, SlotRows]


def listing_part(assembler: Assembler, batch: pa.RecordBatch, models: Models) -> ListingPart:
    """Score the listing scope of a batch of listing days."""
    rows = assembler.rows(assembler.tokens(batch, "listing"), "listing")
    historical = logits(models.historical.table, rows["historical"])
    content = logits(models.content.table, rows["content"])
    if models.content.dense:
        dense = dense_inputs(batch, models.basis, models.content.dense)
        content = content + dense_logits(models.content.dense_weights, dense)
    return ListingPart(historical, content, rows)


def variances(part: ListingPart, models: Models, prior: float) -> tuple[Floats, Floats]:
    """Variance of the hashed listing part of each logit, (historical, content)."""
    return (
        logit_variance(models.historical.information, part.rows["historical"], prior=prior),
        logit_variance(models.content.information, part.rows["content"], prior=prior),
    )


def evidence(assembler: Assembler, batch: pa.RecordBatch) -> dict[str, pa.Array]:
    """What the ensemble knows of each listing besides the logits.

    Returns
    -------
    dict
        window_impressions, shop_window_impressions (int64), age_days (float64, null where the
        time of creation is unknown), listing_ratio as of `smoothed_ratio`.
    """
    age = age_days(batch.column("created_ts"), batch.column("ds"))
    return {
        "window_impressions": pa.array(_both(batch, "listing")),
        "shop_window_impressions": pa.array(_both(batch, "shop")),
        "age_days": pa.array(np.maximum(age, 0.0), mask=np.isnan(age)),
        "listing_ratio": pa.array(smoothed_ratio(assembler, batch)),
    }


def _both(batch: pa.RecordBatch, entity: str) -> npt.NDArray[np.int64]:
    return column(batch, f"{entity}_search_impressions") + column(
        batch, f"{entity}_promoted_impressions"
    )


def smoothed_ratio(assembler: Assembler, batch: pa.RecordBatch) -> Floats:
    """The listing's promoted clicks over expected clicks, smoothed to 1: the plain baseline."""
    rates = Rates(batch, assembler.strengths)
    clicks = rates.sums("listing", "promoted", "clicks")
    expected = rates.sums("listing", "promoted", "expected_micro") / 1e6
    strength = rates.strength("listing", "promoted")
    return (clicks + strength) / (expected + strength)
