"""Why a listing has its number: every step from its features to p_click, with its weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.features.assemble import Assembler, explain_listing
from pipelines.models.correction import INTERCEPT, LEVEL, StackInputs
from pipelines.models.elementary import probabilities
from pipelines.models.ensemble import CONSTANTS
from pipelines.models.listing_part import Models, evidence, listing_part
from pipelines.models.segments import COLD, WARM
from pipelines.models.stack import Stack, is_cold, stack_inputs
from pipelines.scores.joint_names import JointNames, NamedWeight
from pipelines.scores.joint_scoring import JointListings
from pipelines.scores.reference import Reference
from pipelines.scores.scoring import listing_fields


@dataclass(frozen=True)
class FeatureWeight:
    """One hashed feature of the listing and what it adds to a model's logit."""

    model: str
    namespace: str
    value: str
    slot: int
    weight: float


@dataclass(frozen=True)
class Term:
    """One term of the ensemble's logit: weight * value."""

    name: str
    value: float
    weight: float

    @property
    def product(self) -> float:
        """What the term adds to the logit."""
        return self.value * self.weight


@dataclass(frozen=True)
class Factor:
    """One field's factor on the calibrated probability; 1 where the value is unknown."""

    field: str
    value: str
    factor: float


@dataclass(frozen=True)
class Explanation:
    """The steps of one score.

    Attributes
    ----------
    joint : tuple of NamedWeight
        What each namespace adds to the joint logit at the reference context; the value is empty
        where only the id is known.
    joint_contents : tuple of NamedWeight
        What the listing is made of: what its own evidence starts from.
    hashed, dense : dict of str to float
        Listing part of each model's logit: of the hashed features, and of the dense inputs.
    reference : dict of str to float
        What the reference context adds to each model's logit.
    terms : tuple of Term
        The ensemble's listing terms at the reference context, constants first; then its context
        terms, of what differs from it.
    listing_logit, context_logit : float
        The stored logit, which is free of context, and what the reference context adds to it.
    calibrated : float
        After the calibration map, before the factors.
    recomputed : float
        p_click by these steps.
    """

    features: tuple[FeatureWeight, ...]
    joint: tuple[NamedWeight, ...]
    joint_contents: tuple[NamedWeight, ...]
    hashed: Mapping[str, float]
    dense: Mapping[str, float]
    reference: Mapping[str, float]
    terms: tuple[Term, ...]
    context_terms: tuple[Term, ...]
    listing_logit: float
    context_logit: float
    p_ensemble: float
    map_kind: str
    map_parameters: tuple[float, ...]
    calibrated: float
    factors: tuple[Factor, ...]
    recomputed: float
    segment: str

    @property
    def logit(self) -> float:
        """The whole logit at the reference context."""
        return self.listing_logit + self.context_logit


def explain(
    row: pa.RecordBatch,
    assembler: Assembler,
    models: Models,
    stack: Stack,
    reference: Reference,
    joint: JointListings | None = None,
    names: JointNames | None = None,
) -> Explanation:
    """Take one listing's score apart.

    Parameters
    ----------
    row : pyarrow.RecordBatch
        One listing day: columns of `listings` and ``<entity>_<surface>_<what>`` window sums.
    joint : JointListings, optional
        Of that listing; needed where the joint model is published.
    names : JointNames, optional
        Of that listing.
    """
    names = JointNames({}) if names is None else names
    joint = JointListings.none(1) if joint is None else joint
    part = listing_part(assembler, row, models)
    table = pa.table(
        {
            **evidence(assembler, row),
            "historical_listing": part.historical + reference.historical,
            "content_listing": part.content + reference.content,
            "historical_context": pa.array([0.0]),
            "content_context": pa.array([0.0]),
            "joint_listing": joint.logit,
            "joint_context": pa.array([0.0]),
        }
    )
    inputs = stack_inputs(table, stack.cold_threshold)
    cold = is_cold(table, stack.cold_threshold)
    terms = _published_terms(stack, inputs)
    context = tuple(term for term in terms if term.name.endswith("_context"))
    whole = float(stack.listing_logit(inputs)[0])
    context_logit = float(
        stack.context_logit([joint.request], [reference.historical], [reference.content])[0]
    )
    logit = np.array([whole])
    calibrated = stack.map.apply(logit)
    fields = listing_fields(stack.factors.factors, row, cold, reference)
    values = {name: labels[codes[0]] for name, (codes, labels) in fields.items()}
    features = _features(row, assembler, models)
    hashed = {
        m: math.fsum(f.weight for f in features if f.model == m) for m in ("historical", "content")
    }
    return Explanation(
        features=features,
        joint=tuple(
            NamedWeight(
                name, names.values.get(name, ""), float(weight[0]), math.sqrt(float(variance[0]))
            )
            for name, (weight, variance) in joint.parts.items()
            if weight[0] or variance[0]
        ),
        joint_contents=names.contents,
        hashed=hashed,
        dense={
            "historical": float(part.historical[0]) - hashed["historical"],
            "content": float(part.content[0]) - hashed["content"],
        },
        reference=reference.logits,
        terms=tuple(term for term in terms if term not in context),
        context_terms=context,
        listing_logit=whole - context_logit,
        context_logit=context_logit,
        p_ensemble=float(probabilities(logit)[0]),
        map_kind=stack.map.kind,
        map_parameters=stack.map.parameters or (),
        calibrated=float(calibrated[0]),
        factors=tuple(
            Factor(name, values[name], stack.factors.factors[name].get(values[name], 1.0))
            for name in sorted(values)
        ),
        recomputed=float(stack.factors.apply(calibrated, fields)[0]),
        segment=COLD if cold[0] else WARM,
    )


def _published_terms(stack: Stack, inputs: StackInputs) -> list[Term]:
    """Terms of the logit that is published, constants first."""
    if stack.correction is None:
        return [
            Term(name, 1.0 if name in CONSTANTS else float(inputs.pair.term(name)[0]), weight)
            for name, weight in stack.ensemble.weights.items()
        ]
    correction = stack.correction
    return [
        Term("joint", float(inputs.joint_listing[0]), 1.0),
        Term(LEVEL, 1.0, correction.level),
        *(
            Term(name, 1.0 if name == INTERCEPT else float(inputs.term(name)[0]), weight)
            for name, weight in correction.weights.items()
        ),
    ]


def _features(
    row: pa.RecordBatch, assembler: Assembler, models: Models
) -> tuple[FeatureWeight, ...]:
    named = explain_listing(assembler.namespaces, row, assembler.strengths)
    masks = {model: (1 << models.of(model).bits) - 1 for model in ("historical", "content")}
    return tuple(
        FeatureWeight(m, namespace, value, slot, float(models.of(m).table[slot & masks[m]]))
        for m, namespace, value, slot in named
    )
