"""Balanced sampling: all clicks, and non-clicks by a stable hash."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.features.xxhash import xxhash64
from schemas.samples import TRAINING_SAMPLES


def non_click_rate(impressions: int, clicks: int, *, ratio: float) -> float:
    """Share of the non-clicks to keep: `ratio` of them per click, at most all.

    A day without clicks is sampled as if it had one.

    >>> non_click_rate(1100, 100, ratio=1.0)
    0.1
    """
    non_clicks = impressions - clicks
    return min(1.0, ratio * max(clicks, 1) / non_clicks) if non_clicks > 0 else 1.0


def uniform_hash(ids: pa.ChunkedArray, salt: str) -> npt.NDArray[np.float64]:
    """A stable number in [0, 1) for each id, shape (n,)."""
    return (xxhash64(ids, salt).view(np.uint64) >> np.uint64(11)) / float(2**53)


def order_key(impression_ids: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """The training order within a day: a stable hash of the impression id, shape (n,)."""
    return xxhash64(impression_ids, "order")


def sample_training(labeled: pa.Table, rates: Mapping[str, float], *, salt: str) -> pa.Table:
    """Draw the training sample of impressions of a day.

    Parameters
    ----------
    labeled : pyarrow.Table
        Columns of `labeled_impressions`.
    rates : mapping
        Share of the non-clicks to keep, by surface; a surface without one is left out.

    Returns
    -------
    pyarrow.Table
        Columns of `training_samples`.
    """
    known = pc.is_in(labeled["surface"], pa.array(sorted(rates), pa.string()))
    valid = labeled.filter(pc.and_(labeled["is_valid_traffic"], known))
    surfaces = valid["surface"].combine_chunks().dictionary_encode()
    rate_of = np.array([rates[surface] for surface in surfaces.dictionary.to_pylist()])
    rate = rate_of[surfaces.indices.to_numpy()] if len(valid) else np.zeros(0)
    kept = np.asarray(valid["clicked"]) | (uniform_hash(valid["impression_id"], salt) < rate)
    sample = valid.append_column("sampling_rate", pa.array(rate)).filter(pa.array(kept))
    keyed = sample.append_column("order_key", pa.array(order_key(sample["impression_id"])))
    return keyed.select(list(TRAINING_SAMPLES.column_names))
