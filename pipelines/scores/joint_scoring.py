"""The joint model's part of the scores: every listing at the reference context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.features.ids import NONE
from pipelines.features.joint_reference import reference_rows
from pipelines.features.joint_rows import JointAssembler
from pipelines.models.joint_tables import CONTENT, ROW, to_contents
from pipelines.models.numbering import Numbering

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class JointWeights:
    """What scoring needs of the joint model, from `joint_weights` and `joint_priors` of a day.

    Attributes
    ----------
    weights : pyarrow.Table
        Columns level, namespace, id, weight, variance.
    prior_variance : mapping of str to float
        Of namespaces of rows and kinds of contents: what is known of a value never seen.
    """

    weights: pa.Table
    prior_variance: Mapping[str, float]

    def values(self, level: str, namespace: str, ids: npt.NDArray[np.int64]) -> _Values:
        """Weights and variances of ids of a namespace; 0 and the prior's where never seen."""
        own = self._own(level, namespace)
        number = Numbering(own["id"].to_numpy()).find(ids)
        prior = self.prior_variance.get(namespace, 0.0)
        is_value = ids != NONE
        return _Values(
            np.append(own["weight"].to_numpy(), 0.0)[number],
            np.where(is_value, np.append(own["variance"].to_numpy(), prior)[number], 0.0),
            (number >= 0) & is_value,
        )

    def sorted_of(self, level: str, namespace: str) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
        """Ids of a namespace, ascending, and their weights and variances, shape (k,) each."""
        own = self._own(level, namespace)
        ids = own["id"].to_numpy()
        order = np.argsort(ids)
        return ids[order], own["weight"].to_numpy()[order], own["variance"].to_numpy()[order]

    def _own(self, level: str, namespace: str) -> pa.Table:
        table = self.weights
        return table.filter(
            pc.and_(pc.equal(table["level"], level), pc.equal(table["namespace"], namespace))
        ).combine_chunks()


@dataclass(frozen=True)
class _Values:
    weight: Floats
    variance: Floats
    is_known: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class JointListings:
    """The joint model's part of listings' scores.

    Attributes
    ----------
    logit : numpy.ndarray of float64, shape (m,)
        At the reference context.
    request : float
        What of it the reference context has whatever the listing.
    variance : numpy.ndarray of float64, shape (m,)
        Of what the listing brings, on the diagonal.
    parts : mapping of str to (numpy.ndarray, numpy.ndarray), shape (m,) each
        Weight and variance by namespace of rows: the logit is the sum of the weights.
    """

    logit: Floats
    request: float
    variance: Floats
    parts: Mapping[str, tuple[Floats, Floats]] = field(default_factory=dict)

    @classmethod
    def none(cls, listings: int) -> JointListings:
        """Where the joint model is not what is published."""
        return cls(np.zeros(listings), 0.0, np.zeros(listings))

    def slice(self, start: int, stop: int) -> JointListings:
        """Some of the listings, without their parts."""
        return JointListings(self.logit[start:stop], self.request, self.variance[start:stop])


def score_joint_listings(
    batch: pa.RecordBatch,
    assembler: JointAssembler,
    weights: JointWeights,
    reference: Mapping[str, int],
    listing: str = "listing",
) -> JointListings:
    """Score listings at the reference context.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        Listings with ds and the columns of `joint_inputs`.
    reference : mapping of str to int
        As of `reference_ids`.
    listing : str
        The namespace whose coordinates the listings have: what it has not learnt, content says.
    """
    registry = assembler.registry
    rows = reference_rows(registry, assembler.listings(batch), reference)
    content, content_variance = _content(batch, assembler, weights, listing)
    logit, variance = np.zeros(batch.num_rows), np.zeros(batch.num_rows)
    request = 0.0
    parts: dict[str, tuple[Floats, Floats]] = {}
    for number, column in enumerate(registry.columns):
        found = weights.values(ROW, column.name, np.ascontiguousarray(rows[:, number]))
        weight, spread = found.weight, found.variance
        if column.name == listing:
            weight = np.where(found.is_known, weight, content)
            # What its own evidence leaves to its content, content's own variance has a say in.
            spread = spread + (spread / weights.prior_variance[listing]) ** 2 * content_variance
        logit += weight
        parts[column.name] = (weight, spread)
        if column.scope == "request":
            request += float(weight[0]) if len(weight) else 0.0
        else:
            variance += spread
    return JointListings(logit, request, variance, parts)


def _content(
    batch: pa.RecordBatch, assembler: JointAssembler, weights: JointWeights, listing: str
) -> tuple[Floats, Floats]:
    """What its content says of each listing, and the variance of that, shape (m,) each."""
    if not assembler.registry.contents_of(listing):
        return np.zeros(batch.num_rows), np.zeros(batch.num_rows)
    table = assembler.contents(batch, listing)
    held = to_contents(table, listing)
    part_weights, part_variances = np.zeros((2, len(held.parts)))
    for number, kind in enumerate(assembler.registry.contents):
        own = held.kinds == number
        found = weights.values(CONTENT, kind.name, held.parts[own])
        part_weights[own], part_variances[own] = found.weight, found.variance
    at = np.searchsorted(held.ids, table["id"].to_numpy())
    value = held.sums(part_weights * held.values)
    return value[at], held.sums(part_variances * held.values**2)[at]
