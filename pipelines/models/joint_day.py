"""The end of a day of the joint model: walks, the content of entities, variances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pipelines.models import joint_kernels as kernels
from pipelines.models.contents import Contents
from pipelines.models.joint_content import (
    Design,
    Ridge,
    learn_content_priors,
    random_signs,
    units,
)
from pipelines.models.joint_state import JointSpec, JointState, Posterior
from pipelines.models.numbering import Numbering
from pipelines.models.sorted_ids import held_by, pair_order

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Entities:
    """Entities of one namespace that have evidence, and where everything of them is.

    Attributes
    ----------
    number : int
        Of the row namespace.
    lines : numpy.ndarray
        Their coordinates.
    content : numpy.ndarray
        The contents that they can hold.
    design : Design
        Columns count within `content`.
    unit : numpy.ndarray of float64
        What each content's weight is for, as of `units`.
    """

    number: int
    lines: npt.NDArray[np.int64]
    content: npt.NDArray[np.int64]
    design: Design
    unit: Floats


def settled_order(
    table: Floats, namespace: npt.NDArray[np.int16], ids: Ids, carried: int, most: int
) -> Ids:
    """Which coordinates have evidence and stay, by namespace and id.

    Parameters
    ----------
    table : numpy.ndarray of float64, shape (d, 2 S)
        Evidence, in the order of the coordinates' numbers.
    namespace, ids : numpy.ndarray, shape (d,)
    carried : int
        So many at the start are in order.
    most : int
        As of `JointSpec.most`.
    """
    seen = np.zeros(len(table), dtype=np.bool_)
    for g in table[:, 1::2].T:
        seen |= g > 0.0
    kept = np.flatnonzero(seen)
    if 0 < most < len(kept):
        kept = most_known(kept, table[:, 1], namespace, ids, most)
    in_order = int(np.searchsorted(kept, carried))
    return np.asarray(kept[pair_order(namespace[kept], ids[kept], in_order)])


def end_day(
    spec: JointSpec,
    before: JointState,
    ids: Ids,
    namespace: npt.NDArray[np.int16],
    evidence: Floats,
    contents: Mapping[str, Contents],
    log_loss: Sequence[float],
    rows: int,
    clicks: int,
    day: int,
) -> JointState:
    """Settle what the rows of a day have taught, but for the model's levels.

    Parameters
    ----------
    before : JointState
        As of the end of the day before; its evidence is not looked at.
    ids, namespace : numpy.ndarray, shape (d,)
        Coordinates with evidence, by namespace and id.
    evidence : numpy.ndarray of float64, shape (d, 2 S)
        As of `JointState.evidence`; becomes the new state's.
    contents : mapping of str to Contents
        Of all entities, by entity namespace.
    day : int
        Days since 1970; seeds what is drawn.
    """
    starts = np.searchsorted(namespace, np.arange(len(spec.rows) + 1))
    held = {}
    for name, known in contents.items():
        number = spec.row_number(name)
        own = ids[starts[number] : starts[number + 1]]
        held[name] = known.take(np.flatnonzero(held_by(known.ids, own)))
    content_ids, content_kind = _all_contents(held)
    entities = [
        found
        for name, own in held.items()
        if (found := _entities(spec, name, own, ids, starts, content_ids, content_kind))
    ]
    base = np.arange(starts[spec.base], starts[spec.base + 1] if spec.base >= 0 else 0)
    expected = np.sort(np.concatenate([base, *(group.lines for group in entities)]))
    days = before.days + 1
    learns_content = days > spec.content_days and days % spec.content_every == 0
    stored_content = Numbering(before.content_ids).find(content_ids)
    posteriors = []
    for scale, stored in enumerate(before.posteriors):
        first = spec.first_variance(spec.scales[scale])
        first_content = spec.first_content_variance(spec.scales[scale])
        variance = _row_variances(spec, evidence, scale, starts, stored.variance, first)
        content_variance = stored.content_variance
        beta = np.where(stored_content >= 0, np.append(stored.beta, 0.0)[stored_content], 0.0)
        prior_mean = np.zeros(len(expected))
        at_base = np.isin(expected, base)
        prior_mean[at_base] = _known_means(before, scale, spec.base, ids[base])
        for group in entities:
            kind = content_kind[group.content].astype(np.int32)
            ridge = Ridge(
                group.design,
                evidence[group.lines, 2 * scale],
                evidence[group.lines, 2 * scale + 1],
                group.unit**2 / content_variance[kind],
                float(variance[group.number]),
            )
            solved = ridge.solve(beta[group.content])
            beta[group.content] = solved
            prior_mean[np.searchsorted(expected, group.lines)] = group.design.times(solved)
            if learns_content:
                content_variance, variance[group.number] = learn_content_priors(
                    ridge, solved, random_signs(day, group.number, ridge), kind, group.unit,
                    content_variance, first_content, float(first[group.number]),
                    strength=spec.strength, smallest=spec.smallest, largest=spec.largest,
                )  # fmt: skip
        gain = log_loss[0] - log_loss[scale]
        posteriors.append(
            Posterior(
                prior_mean,
                variance,
                beta,
                content_variance,
                log_loss[scale] / rows if rows else 0.0,
                stored.gain + gain,
                stored.gain_squares + gain**2,
            )
        )
    is_told = np.any([own.prior_mean != 0.0 for own in posteriors], axis=0)
    return JointState(
        ids,
        namespace,
        evidence,
        expected[is_told],
        content_ids,
        content_kind,
        tuple(replace(own, prior_mean=own.prior_mean[is_told]) for own in posteriors),
        held,
        days,
        before.rows + rows,
        before.clicks + clicks,
    )


def _known_means(before: JointState, scale: int, namespace: int, ids: Ids) -> Floats:
    """Prior means of coordinates of one namespace as of the day before, 0 of new ones."""
    first, last = np.searchsorted(before.namespace, [namespace, namespace + 1])
    place = Numbering(before.ids[first:last]).find(ids)
    return np.append(before.prior_mean(scale, int(first), int(last)), 0.0)[place]


def most_known(
    numbers: npt.NDArray[np.int64],
    evidence: Floats,
    namespace: npt.NDArray[np.int16],
    ids: Ids,
    most: int,
) -> npt.NDArray[np.int64]:
    """The coordinates with most evidence, ascending; of equals the first by namespace and id."""
    own = evidence[numbers]
    least = np.partition(own, len(own) - most)[len(own) - most]
    is_above = own > least
    equal = numbers[own == least]
    by_name = equal[np.lexsort((ids[equal], namespace[equal]))]
    taken = by_name[: most - np.count_nonzero(is_above)]
    return np.sort(np.concatenate([numbers[is_above], taken]))


def _all_contents(held: Mapping[str, Contents]) -> tuple[Ids, npt.NDArray[np.int16]]:
    """All contents of entities with evidence, by kind and id."""
    parts = np.concatenate([np.empty(0, np.int64), *(own.parts for own in held.values())])
    kinds = np.concatenate([np.empty(0, np.int16), *(own.kinds for own in held.values())])
    numbers = Numbering(np.empty(0, np.int64))
    number = numbers.add(parts)
    ids = numbers.ids
    kind = np.empty(len(ids), dtype=np.int16)
    kind[number] = kinds
    order = np.lexsort((ids, kind))
    return ids[order], kind[order]


def _entities(
    spec: JointSpec,
    name: str,
    held: Contents,
    ids: Ids,
    starts: npt.NDArray[np.intp],
    content_ids: Ids,
    content_kind: npt.NDArray[np.int16],
) -> _Entities | None:
    """Where the entities of a namespace are; None where none of them has content."""
    number = spec.row_number(name)
    kinds = [k for k, kind in enumerate(spec.kinds) if kind.entity == name]
    content = np.flatnonzero(np.isin(content_kind, kinds))
    if not len(content):
        return None
    own = ids[starts[number] : starts[number + 1]]
    lines = starts[number] + np.searchsorted(own, held.ids)
    columns = Numbering(content_ids[content]).find(held.parts)
    design = Design(held.offsets, columns, held.values)
    is_dense = np.array([kind.is_dense for kind in spec.kinds])[content_kind[content]]
    return _Entities(number, lines, content, design, units(design, is_dense))


def _row_variances(
    spec: JointSpec,
    evidence: Floats,
    scale: int,
    starts: npt.NDArray[np.intp],
    variance: Floats,
    first: Floats,
) -> Floats:
    """Walk, and read the variances of row namespaces off their coordinates."""
    updated = variance.copy()
    for number, row in enumerate(spec.rows):
        part = evidence[starts[number] : starts[number + 1]]
        if row.walk > 0.0:
            kernels.walk(part, scale, 1.0 / variance[number], row.walk)
        if row.is_learnt and row.name not in spec.entities:
            above, below = kernels.fisher_sums(part, scale, variance[number])
            above += spec.strength / first[number]
            below += spec.strength / first[number] ** 2
            largest = min(4.0 * variance[number], spec.largest**2)
            smallest = max(variance[number] / 4.0, spec.smallest**2)
            updated[number] = min(max(above / below, smallest), largest)
    return updated
