"""Dense inputs of a listing: its folded text vector, then its image vector."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.features.text import documents
from pipelines.features.text_basis import TextBasis


def image_width(listings: pa.Table) -> int:
    """Length of the image vectors: the most frequent one, 0 where there are none."""
    lengths = pc.list_value_length(listings["image_vector"]).drop_null().to_numpy()
    lengths = lengths[lengths > 0]
    return int(np.bincount(lengths).argmax()) if len(lengths) else 0


def dense_inputs(
    listings: pa.RecordBatch | pa.Table, basis: TextBasis | None, width: int
) -> npt.NDArray[np.float32]:
    """Dense inputs of listings.

    Parameters
    ----------
    listings : pyarrow.RecordBatch or Table
        With title, tags and image_vector.
    basis : TextBasis or None
        None where there was no text to fit one on.
    width : int
        Length of the whole vector; what the basis does not fill is the image's.

    Returns
    -------
    numpy.ndarray of float32, shape (n, width)
        Zero where a listing has no known word, or no image of the right length.
    """
    rows = listings.num_rows
    result = np.zeros((rows, width), dtype=np.float32)
    rank = 0
    if basis is not None and len(basis.terms) and basis.rank <= width:
        rank = basis.rank
        title, tags = _one(listings.column("title")), _one(listings.column("tags"))
        result[:, :rank] = basis.fold(documents(title, tags))
    images = _one(listings.column("image_vector"))
    size = width - rank
    if size:
        fits = pc.fill_null(pc.equal(pc.list_value_length(images), size), False)
        flat = pc.fill_null(pc.list_flatten(images.filter(fits)), 0.0)
        values = flat.to_numpy(zero_copy_only=False).astype(np.float32)
        result[fits.to_numpy(zero_copy_only=False), rank:] = np.nan_to_num(
            values, nan=0.0, posinf=0.0, neginf=0.0
        ).reshape(-1, size)
    return result


def _one(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
