"""Blocks of listings as packed term counts: the unit of work of the text SVD's passes.

A block numbers its own terms, so that it can be made before the vocabulary is known and its
products hold only the terms it has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.features.randomized_svd import normal_product
from pipelines.features.text import documents
from pipelines.features.tfidf import TermCounts, count_terms, tfidf_weights

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TermBlock:
    """Term counts of some listings over the terms that occur in them.

    Attributes
    ----------
    terms : pyarrow.StringArray
        Distinct terms, in order of their first occurrence.
    document_frequency : pyarrow.Int64Array
        The block's listings that hold the term.
    rows : TermCounts
        Listings in order of their ids; term numbers are positions in ``terms``.
    """

    terms: pa.StringArray
    document_frequency: pa.Int64Array
    rows: TermCounts

    @classmethod
    def from_documents(cls, words: pa.ListArray) -> TermBlock:
        """Count the words of each listing."""
        terms = pc.unique(pc.list_flatten(words))
        rows = count_terms(words, terms)
        frequency = np.bincount(rows.terms, minlength=len(terms))
        return cls(terms, pa.array(frequency, pa.int64()), rows)

    @property
    def documents(self) -> int:
        """Listings of the block, those without a word included."""
        return len(self.rows.indptr) - 1

    def to_binary(self) -> pa.BinaryArray:
        """Pack into one binary value: an Arrow stream of one row of lists."""
        row = pa.RecordBatch.from_pydict(
            {
                "terms": _as_list(self.terms),
                "document_frequency": _as_list(self.document_frequency),
                "indptr": _as_list(pa.array(self.rows.indptr)),
                "entry_terms": _as_list(pa.array(self.rows.terms)),
                "entry_counts": _as_list(pa.array(self.rows.counts)),
            }
        )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, row.schema) as stream:
            stream.write_batch(row)
        return as_binary(sink.getvalue())

    @classmethod
    def from_binary(cls, packed: pa.BinaryScalar) -> TermBlock:
        """Unpack what ``to_binary`` packed."""
        row = pa.ipc.open_stream(packed.as_buffer()).read_next_batch()
        names = ("indptr", "entry_terms", "entry_counts")
        rows = TermCounts(*(row[name].values.to_numpy() for name in names))
        return cls(row["terms"].values, row["document_frequency"].values, rows)

    def normal_product(
        self, vocabulary: pa.StringArray, idf: Floats, basis: Floats
    ) -> tuple[npt.NDArray[np.int32], Floats]:
        """Compute the block's part of A'(A basis), A being the TF-IDF matrix.

        Parameters
        ----------
        vocabulary : pyarrow.StringArray, length V
            Terms that count.
        idf : numpy.ndarray of float64, shape (V,)
            Their inverse document frequencies.
        basis : numpy.ndarray of float64, shape (V, width)
            What to multiply.

        Returns
        -------
        numbers : numpy.ndarray of int32
            Vocabulary numbers of the block's terms.
        sums : numpy.ndarray of float64, shape (len(numbers), width)
            Their rows of the product; all others are zero.
        """
        places = pc.index_in(self.terms, value_set=vocabulary)
        is_known = pc.is_valid(places).to_numpy(zero_copy_only=False)
        numbers = places.drop_null().to_numpy()
        block_idf = np.zeros(len(places))
        block_idf[is_known] = idf[numbers]
        block_basis = np.zeros((len(places), basis.shape[1]))
        block_basis[is_known] = basis[numbers]
        weights = tfidf_weights(self.rows, block_idf)
        sums = normal_product(self.rows.indptr, self.rows.terms, weights, block_basis)
        return numbers, sums[is_known]


def count_block(listings: pa.Table) -> pa.BinaryArray:
    """Pack the term counts of the listings of one block.

    Parameters
    ----------
    listings : pyarrow.Table
        listing_id, title, tags; at least one row, in any order.

    Returns
    -------
    pyarrow.BinaryArray, of one value
        A TermBlock.

    Raises
    ------
    ValueError
        A listing id is null or comes twice: the order of its rows would not be defined.
    """
    listings = listings.sort_by("listing_id")
    ids, title, tags = (
        pa.concat_arrays(listings[name].chunks) for name in ("listing_id", "title", "tags")
    )
    if ids.null_count or pc.any(pc.equal(ids[1:], ids[:-1])).as_py():
        raise ValueError("every listing needs a listing_id of its own")
    return TermBlock.from_documents(documents(title, tags)).to_binary()


def as_binary(data: Any) -> pa.BinaryArray:
    """Wrap anything with a buffer as a binary column of one row, without a copy."""
    buffer = pa.py_buffer(data)
    offsets = pa.py_buffer(np.array([0, buffer.size], dtype=np.int32))
    return pa.BinaryArray.from_buffers(pa.binary(), 1, [None, offsets, buffer])


def _as_list(values: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
