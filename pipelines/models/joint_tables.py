"""The joint model's state as rows of its tables, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.models.content_variances import content_variances
from pipelines.models.contents import Contents
from pipelines.models.joint_state import JointSpec, JointState, Posterior
from pipelines.models.usual_values import PairCounts

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

ROW, CONTENT = "row", "content"

# Coordinates that are made rows of tables at a time: 100 MB.
_LINES = 2**19


def to_contents(table: pa.Table, entity: str) -> Contents:
    """Contents of an entity from entity, id, parts, kinds and values; the first of equal ids."""
    own = table.filter(pc.equal(table["entity"], entity)).combine_chunks()
    _, first = np.unique(own["id"].to_numpy(), return_index=True)
    own = own.take(pa.array(first)).combine_chunks()
    if not len(own):
        return Contents.none()
    parts, kinds, values = (own[name].combine_chunks() for name in ("parts", "kinds", "values"))
    offsets = parts.offsets.to_numpy().astype(np.int64)
    return Contents(
        own["id"].to_numpy(),
        offsets - offsets[0],
        parts.flatten().to_numpy().astype(np.int64),
        kinds.flatten().to_numpy().astype(np.int16),
        values.flatten().to_numpy().astype(np.float64),
    )


def state_rows(spec: JointSpec, state: JointState) -> Iterator[pa.Table]:
    """Rows of `joint_state`, without ds, some at a time."""
    names = pa.array([row.name for row in spec.rows], pa.string())
    scales = range(len(spec.scales))
    for first in range(0, len(state.ids), _LINES):
        own = slice(first, min(first + _LINES, len(state.ids)))
        yield pa.table(
            {
                "namespace": names.take(pa.array(state.namespace[own])),
                "id": state.ids[own],
                "b": _by_scale([state.b(scale)[own] for scale in scales]),
                "g": _by_scale([state.g(scale)[own] for scale in scales]),
                "prior_mean": _by_scale(
                    [state.prior_mean(scale, own.start, own.stop) for scale in scales]
                ),
            }
        )


def state_tables(spec: JointSpec, state: JointState) -> Iterator[tuple[str, pa.Table]]:
    """Rows of `joint_state`, some at a time, `joint_contents`, `joint_holdings`, `joint_pairs`.

    Without ds.
    """
    for rows in state_rows(spec, state):
        yield "joint_state", rows
    kinds = pa.array([kind.name for kind in spec.kinds], pa.string())
    weights = {
        "kind": kinds.take(pa.array(state.content_kind)),
        "id": state.content_ids,
        "weight": _by_scale([p.beta for p in state.posteriors]),
    }
    yield "joint_contents", pa.table(weights)
    held = [_holdings(name, held) for name, held in state.contents.items()]
    yield "joint_holdings", pa.concat_tables(held or [_holdings("", Contents.none())])
    pairs = {
        "entity": state.pairs.entity,
        "value": state.pairs.value,
        "branch": state.pairs.branch,
        "impressions": state.pairs.count,
    }
    yield "joint_pairs", pa.table(pairs)


def _holdings(entity: str, held: Contents) -> pa.Table:
    offsets = pa.array(held.offsets.astype(np.int32))
    return pa.table(
        {
            "entity": pa.repeat(pa.scalar(entity), len(held)),
            "id": held.ids,
            "parts": pa.ListArray.from_arrays(offsets, pa.array(held.parts)),
            "kinds": pa.ListArray.from_arrays(offsets, pa.array(held.kinds.astype(np.int32))),
            "values": pa.ListArray.from_arrays(offsets, pa.array(held.values.astype(np.float32))),
        }
    )


def run_rows(spec: JointSpec, state: JointState) -> list[dict[str, object]]:
    """Rows of `joint_runs`, without ds."""
    return [
        {
            "scale": scale,
            "is_chosen": number == state.chosen,
            "days": state.days,
            "rows": state.rows,
            "clicks": state.clicks,
            "coordinates": len(state.ids),
            "log_loss": posterior.log_loss,
            "gain": posterior.gain,
            "gain_squares": posterior.gain_squares,
        }
        for number, (scale, posterior) in enumerate(zip(spec.scales, state.posteriors, strict=True))
    ]


def prior_rows(spec: JointSpec, state: JointState) -> list[dict[str, object]]:
    """Rows of `joint_priors`, without ds."""
    rows: list[dict[str, object]] = []
    row_names, kind_names = [r.name for r in spec.rows], [k.name for k in spec.kinds]
    coordinates = np.bincount(state.namespace, minlength=len(spec.rows))
    contents = np.bincount(state.content_kind, minlength=len(spec.kinds))
    for scale, posterior in zip(spec.scales, state.posteriors, strict=True):
        for level, names, variance, first, counts in (
            (ROW, row_names, posterior.variance, spec.first_variance(scale), coordinates),
            (
                CONTENT,
                kind_names,
                posterior.content_variance,
                spec.first_content_variance(scale),
                contents,
            ),
        ):
            rows += [
                {
                    "scale": scale,
                    "level": level,
                    "namespace": name,
                    "variance": float(variance[number]),
                    "registered": float(first[number]) ** 0.5,
                    "coordinates": int(counts[number]),
                }
                for number, name in enumerate(names)
            ]
    return rows


def weight_rows(spec: JointSpec, state: JointState, served: Sequence[str]) -> Iterator[pa.Table]:
    """Rows of `joint_weights`, without ds, at the chosen scale, some at a time.

    Parameters
    ----------
    served : sequence of str
        Namespaces of rows whose weights scoring needs.
    """
    scale = state.chosen
    posterior = state.posteriors[scale]
    wanted = [spec.row_number(name) for name in served]
    names = pa.array([row.name for row in spec.rows], pa.string())
    kinds = pa.array([kind.name for kind in spec.kinds], pa.string())
    for first in range(0, len(state.ids), _LINES):
        last = min(first + _LINES, len(state.ids))
        own = np.flatnonzero(np.isin(state.namespace[first:last], wanted))
        number = state.namespace[first:last][own]
        b, g = (of[first:last][own] for of in (state.b(scale), state.g(scale)))
        precision = 1.0 / posterior.variance[number]
        variance = 1.0 / (g + precision)
        mean = (b + precision * state.prior_mean(scale, first, last)[own]) * variance
        yield pa.table(
            {
                "level": pa.repeat(pa.scalar(ROW), len(own)),
                "namespace": names.take(pa.array(number)),
                "id": state.ids[first:last][own],
                "weight": mean,
                "variance": variance,
                "information": g,
            }
        )
    yield pa.table(
        {
            "level": pa.repeat(pa.scalar(CONTENT), len(state.content_ids)),
            "namespace": kinds.take(pa.array(state.content_kind)),
            "id": state.content_ids,
            "weight": posterior.beta,
            "variance": content_variances(spec, state, scale, state.g(scale)),
            "information": np.zeros(len(state.content_ids)),
        }
    )


def weight_table(spec: JointSpec, state: JointState, served: Sequence[str]) -> pa.Table:
    """All rows of `weight_rows`."""
    return pa.concat_tables(weight_rows(spec, state, served))


def from_tables(
    spec: JointSpec,
    *,
    joint_runs: pa.Table,
    joint_priors: pa.Table,
    joint_state: Iterable[pa.RecordBatch],
    joint_contents: pa.Table,
    joint_holdings: pa.Table,
    joint_pairs: pa.Table,
) -> JointState:
    """The state of a day from the rows of its tables; those of `joint_state` some at a time.

    Raises
    ------
    ValueError
        The tables are of another registry or of other scales.
    """
    row_names = [row.name for row in spec.rows]
    kind_names = [kind.name for kind in spec.kinds]
    scales = {row["scale"]: row for row in joint_runs.to_pylist()}
    variances = {
        (row["scale"], row["level"], row["namespace"]): row["variance"]
        for row in joint_priors.to_pylist()
    }
    wanted = {
        (scale, level, name)
        for scale in spec.scales
        for level, names in ((ROW, row_names), (CONTENT, kind_names))
        for name in names
    }
    if set(scales) != set(spec.scales) or set(variances) != wanted:
        raise ValueError("the joint model's state is of another registry")

    def variance_of(scale: float, level: str, names: Sequence[str]) -> Floats:
        return np.array([variances[scale, level, name] for name in names], dtype=np.float64)

    contents = joint_contents.append_column(
        "number", pc.index_in(joint_contents["kind"], pa.array(kind_names, pa.string()))
    ).sort_by([("number", "ascending"), ("id", "ascending")])
    ids, namespace, evidence, expected, prior_means = _coordinates(
        row_names, len(spec.scales), joint_state, next(iter(scales.values()))["coordinates"]
    )
    beta = _matrix(contents["weight"], len(spec.scales))
    posteriors = []
    for number, scale in enumerate(spec.scales):
        run = scales[scale]
        posteriors.append(
            Posterior(
                np.ascontiguousarray(prior_means[:, number]),
                variance_of(scale, ROW, row_names),
                np.ascontiguousarray(beta[:, number]),
                variance_of(scale, CONTENT, kind_names),
                run["log_loss"],
                run["gain"],
                run["gain_squares"],
            )
        )
    first = next(iter(scales.values()))
    return JointState(
        ids,
        namespace,
        evidence,
        expected,
        contents["id"].combine_chunks().to_numpy(),
        contents["number"].combine_chunks().to_numpy().astype(np.int16),
        tuple(posteriors),
        {name: to_contents(joint_holdings, name) for name in spec.entities},
        first["days"],
        first["rows"],
        first["clicks"],
        _pairs(joint_pairs),
    )


def _coordinates(
    names: Sequence[str], scales: int, batches: Iterable[pa.RecordBatch], count: int
) -> tuple[Ids, npt.NDArray[np.int16], Floats, Ids, Floats]:
    """All but the variances of `joint_state`: ids, namespaces, evidence, what is expected where."""
    ids, namespace = np.empty(count, np.int64), np.empty(count, np.int16)
    evidence, done = np.empty((count, 2 * scales)), 0
    expected, means = [np.empty(0, np.int64)], [np.empty((0, scales))]
    for batch in batches:
        own = slice(done, done + len(batch))
        done = own.stop
        ids[own] = batch.column("id").to_numpy()
        namespace[own] = pc.index_in(batch.column("namespace"), pa.array(names, pa.string()))
        evidence[own, ::2] = _matrix(batch.column("b"), scales)
        evidence[own, 1::2] = _matrix(batch.column("g"), scales)
        mean = _matrix(batch.column("prior_mean"), scales)
        lines = np.flatnonzero(mean.any(axis=1))
        expected.append(own.start + lines)
        means.append(mean[lines])
    lines, mean = np.concatenate(expected), np.concatenate(means)
    step = np.diff(namespace)
    if np.any(step < 0) or np.any((step == 0) & (ids[1:] < ids[:-1])):
        order = np.lexsort((ids, namespace))
        place = np.empty(count, np.int64)
        place[order] = np.arange(count)
        by_line = np.argsort(place[lines])
        lines, mean = place[lines][by_line], mean[by_line]
        ids, namespace, evidence = ids[order], namespace[order], evidence[order]
    return ids, namespace, evidence, lines, mean


def _pairs(table: pa.Table) -> PairCounts:
    rows = table.sort_by([("entity", "ascending"), ("value", "ascending")]).combine_chunks()
    names = ("entity", "value", "branch", "impressions")
    return PairCounts(*(rows[name].to_numpy() for name in names))


def _by_scale(columns: Sequence[Floats]) -> pa.ListArray:
    """One list a row with an entry for each scale."""
    flat = np.stack(columns, axis=1).ravel()
    offsets = np.arange(len(columns[0]) + 1, dtype=np.int32) * np.int32(len(columns))
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat))


def _matrix(lists: pa.ListArray | pa.ChunkedArray, scales: int) -> Floats:
    """The entries of each scale, shape (n, scales)."""
    return np.asarray(pc.list_flatten(lists)).reshape(len(lists), scales)
