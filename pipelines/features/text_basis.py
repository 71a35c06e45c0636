"""The text basis: right singular vectors of the listing x term TF-IDF matrix, and folding in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.features.tfidf import count_terms, tfidf_weights
from pipelines.kernel import kernel, readonly

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TextBasis:
    """Terms with their weights and loadings: what folds a listing's words into a vector.

    Attributes
    ----------
    terms : pyarrow.StringArray, length V
        Distinct terms in ascending order of their UTF-8 bytes.
    document_frequency : numpy.ndarray of int64, shape (V,)
        Listings that hold the term.
    idf : numpy.ndarray of float64, shape (V,)
        Inverse document frequency.
    loadings : numpy.ndarray of float32, shape (V, k)
        Right singular vectors, one per column; the columns after ``effective_rank`` are zero.
    singular_values : numpy.ndarray of float64, shape (k,)
        Descending; zero after ``effective_rank``.
    documents : int
        Listings it was fitted on.
    """

    terms: pa.StringArray
    document_frequency: npt.NDArray[np.int64]
    idf: Floats
    loadings: Vectors
    singular_values: Floats
    documents: int

    def __post_init__(self) -> None:
        terms, rank = len(self.terms), len(self.singular_values)
        if self.loadings.shape != (terms, rank):
            raise ValueError(
                f"{terms} terms at rank {rank} need loadings of that shape,"
                f" got {self.loadings.shape}"
            )
        if not len(self.document_frequency) == len(self.idf) == terms:
            raise ValueError("terms, document frequencies and idf differ in length")

    @property
    def rank(self) -> int:
        """Length of a folded vector, k."""
        return len(self.singular_values)

    @property
    def effective_rank(self) -> int:
        """Components that carry anything; below ``rank`` when the matrix had no more."""
        return int(np.count_nonzero(self.singular_values))

    def fold(self, documents: pa.ListArray) -> Vectors:
        """Fold documents in: length-one TF-IDF rows times the loadings.

        For the listings of the fit these are the rows of U S.

        Parameters
        ----------
        documents : pyarrow.ListArray of string
            Words of each listing, as the tokeniser gives them; unknown words are ignored.

        Returns
        -------
        numpy.ndarray of float32, shape (len(documents), k)
            Vectors; zero for a listing without a known word. A row depends on nothing else in
            the batch.
        """
        rows = count_terms(documents, self.terms)
        vectors = np.empty((len(documents), self.rank), dtype=np.float32)
        _fold(
            readonly(rows.indptr, np.int64),
            readonly(rows.terms, np.int32),
            readonly(tfidf_weights(rows, self.idf), np.float64),
            readonly(self.loadings, np.float32),
            vectors,
        )
        return vectors

    def to_arrow(self) -> pa.Table:
        """One row a term: term, document_frequency, idf, loadings (list of float).

        ``singular_values`` and ``documents`` are not in it: keep them beside the table.
        """
        offsets = np.arange(len(self.terms) + 1, dtype=np.int32) * np.int32(self.rank)
        loadings = pa.ListArray.from_arrays(
            offsets, pa.array(self.loadings.reshape(-1)), type=_LOADINGS
        )
        return pa.table(
            {
                "term": self.terms,
                "document_frequency": self.document_frequency,
                "idf": self.idf,
                "loadings": loadings,
            }
        )

    @classmethod
    def from_arrow(
        cls, table: pa.Table, *, singular_values: npt.ArrayLike, documents: int
    ) -> TextBasis:
        """Build the basis from rows of ``to_arrow`` in any order.

        Raises
        ------
        ValueError
            A term is missing or comes twice, or loadings are not of the singular values' number.
        """
        table = table.sort_by("term").combine_chunks()
        terms = _one_array(table["term"]).cast(pa.string())
        if terms.null_count or pc.count_distinct(terms).as_py() != len(terms):
            raise ValueError("the basis has a null or repeated term")
        values = np.array(singular_values, dtype=np.float64)
        loadings = _one_array(table["loadings"])
        lengths = pc.list_value_length(loadings)
        if not pc.all(pc.equal(lengths, len(values)), skip_nulls=False, min_count=0).as_py():
            raise ValueError(f"every term needs {len(values)} loadings")
        flat = np.asarray(pc.list_flatten(loadings), dtype=np.float32)
        return cls(
            terms=terms,
            document_frequency=np.asarray(table["document_frequency"], dtype=np.int64),
            idf=np.asarray(table["idf"], dtype=np.float64),
            loadings=flat.reshape(len(terms), len(values)),
            singular_values=values,
            documents=documents,
        )


_LOADINGS = pa.list_(pa.field("element", pa.float32(), nullable=False))


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined.combine_chunks() if isinstance(combined, pa.ChunkedArray) else combined


@kernel
def _fold(indptr: Any, terms: Any, weights: Any, loadings: Any, vectors: Any) -> None:
    rank = loadings.shape[1]
    total = np.empty(rank, dtype=np.float64)
    for row in range(len(indptr) - 1):
        total[:] = 0.0
        for entry in range(indptr[row], indptr[row + 1]):
            for component in range(rank):
                total[component] += weights[entry] * loadings[terms[entry], component]
        for component in range(rank):
            vectors[row, component] = total[component]
