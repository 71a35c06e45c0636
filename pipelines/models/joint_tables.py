"""The joint model's state as rows of its tables, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.models.content_variances import content_variances
from pipelines.models.contents import Contents
from pipelines.models.joint_state import JointSpec, JointState, Posterior
from pipelines.models.usual_values import PairCounts

Floats = npt.NDArray[np.float64]

ROW, CONTENT = "row", "content"


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


def state_tables(spec: JointSpec, state: JointState) -> dict[str, pa.Table]:
    """Rows of `joint_state`, `joint_contents`, `joint_holdings` and `joint_pairs`, without ds."""
    names = pa.array([row.name for row in spec.rows], pa.string())
    kinds = pa.array([kind.name for kind in spec.kinds], pa.string())
    return {
        "joint_state": pa.table(
            {
                "namespace": names.take(pa.array(state.namespace)),
                "id": state.ids,
                "b": _by_scale([p.b for p in state.posteriors]),
                "g": _by_scale([p.g for p in state.posteriors]),
                "prior_mean": _by_scale([p.prior_mean for p in state.posteriors]),
            }
        ),
        "joint_contents": pa.table(
            {
                "kind": kinds.take(pa.array(state.content_kind)),
                "id": state.content_ids,
                "weight": _by_scale([p.beta for p in state.posteriors]),
            }
        ),
        "joint_holdings": pa.concat_tables(
            _holdings(name, held) for name, held in state.contents.items()
        )
        if state.contents
        else _holdings("", Contents.none()),
        "joint_pairs": pa.table(
            {
                "entity": state.pairs.entity,
                "value": state.pairs.value,
                "branch": state.pairs.branch,
                "impressions": state.pairs.count,
            }
        ),
    }


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


def weight_table(spec: JointSpec, state: JointState, served: Sequence[str]) -> pa.Table:
    """Rows of `joint_weights`, without ds, at the chosen scale.

    Parameters
    ----------
    served : sequence of str
        Namespaces of rows whose weights scoring needs.
    """
    posterior = state.posteriors[state.chosen]
    wanted = np.flatnonzero(np.isin(state.namespace, [spec.row_number(n) for n in served]))
    names = pa.array([row.name for row in spec.rows], pa.string())
    kinds = pa.array([kind.name for kind in spec.kinds], pa.string())
    number = state.namespace[wanted]
    precision = 1.0 / posterior.variance[number]
    variance = 1.0 / (posterior.g[wanted] + precision)
    mean = (posterior.b[wanted] + precision * posterior.prior_mean[wanted]) * variance
    rows = pa.table(
        {
            "level": pa.repeat(pa.scalar(ROW), len(wanted)),
            "namespace": names.take(pa.array(number)),
            "id": state.ids[wanted],
            "weight": mean,
            "variance": variance,
            "information": posterior.g[wanted],
        }
    )
    contents = pa.table(
        {
            "level": pa.repeat(pa.scalar(CONTENT), len(state.content_ids)),
            "namespace": kinds.take(pa.array(state.content_kind)),
            "id": state.content_ids,
            "weight": posterior.beta,
            "variance": content_variances(spec, state, state.chosen),
            "information": np.zeros(len(state.content_ids)),
        }
    )
    return pa.concat_tables([rows, contents])


def from_tables(
    spec: JointSpec,
    *,
    joint_runs: pa.Table,
    joint_priors: pa.Table,
    joint_state: pa.Table,
    joint_contents: pa.Table,
    joint_holdings: pa.Table,
    joint_pairs: pa.Table,
) -> JointState:
    """The state of a day from the rows of its tables.

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

    state = joint_state.append_column(
        "number", pc.index_in(joint_state["namespace"], pa.array(row_names, pa.string()))
    ).sort_by([("number", "ascending"), ("id", "ascending")])
    contents = joint_contents.append_column(
        "number", pc.index_in(joint_contents["kind"], pa.array(kind_names, pa.string()))
    ).sort_by([("number", "ascending"), ("id", "ascending")])
    columns = {name: _matrix(state[name], len(spec.scales)) for name in ("b", "g", "prior_mean")}
    beta = _matrix(contents["weight"], len(spec.scales))
    posteriors = []
    for number, scale in enumerate(spec.scales):
        run = scales[scale]
        posteriors.append(
            Posterior(
                columns["b"][number],
                columns["g"][number],
                columns["prior_mean"][number],
                variance_of(scale, ROW, row_names),
                beta[number],
                variance_of(scale, CONTENT, kind_names),
                run["log_loss"],
                run["gain"],
                run["gain_squares"],
            )
        )
    first = next(iter(scales.values()))
    return JointState(
        state["id"].combine_chunks().to_numpy(),
        state["number"].combine_chunks().to_numpy().astype(np.int16),
        contents["id"].combine_chunks().to_numpy(),
        contents["number"].combine_chunks().to_numpy().astype(np.int16),
        tuple(posteriors),
        {name: to_contents(joint_holdings, name) for name in spec.entities},
        first["days"],
        first["rows"],
        first["clicks"],
        _pairs(joint_pairs),
    )


def _pairs(table: pa.Table) -> PairCounts:
    rows = table.sort_by([("entity", "ascending"), ("value", "ascending")]).combine_chunks()
    names = ("entity", "value", "branch", "impressions")
    return PairCounts(*(rows[name].to_numpy() for name in names))


def _by_scale(columns: Sequence[Floats]) -> pa.ListArray:
    """One list a row with an entry for each scale."""
    flat = np.stack(columns, axis=1).ravel()
    offsets = np.arange(len(columns[0]) + 1, dtype=np.int32) * np.int32(len(columns))
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat))


def _matrix(lists: pa.ChunkedArray, scales: int) -> list[Floats]:
    """The entries of each scale, shape (n,) each."""
    flat = pc.list_flatten(lists).to_numpy().reshape(len(lists), scales)
    return [np.ascontiguousarray(flat[:, scale]) for scale in range(scales)]
