"""TF-IDF of documents as scikit-learn's ``TfidfVectorizer`` computes it with its defaults.

Raw term counts times ``idf = ln((1 + documents) / (1 + document_frequency)) + 1``, each document
scaled to length one over the terms that are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.kernel import kernel, readonly

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TermCounts:
    """Documents as compressed sparse rows of term counts.

    Attributes
    ----------
    indptr : numpy.ndarray of int64, shape (documents + 1,)
        Where each document's entries start.
    terms : numpy.ndarray of int32, shape (entries,)
        Term numbers, ascending within a document.
    counts : numpy.ndarray of int32, shape (entries,)
        Occurrences of the term in the document.
    """

    indptr: npt.NDArray[np.int64]
    terms: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int32]


def count_terms(documents: pa.ListArray, vocabulary: pa.Array) -> TermCounts:
    """Count the vocabulary's terms in every document; other words are ignored.

    Parameters
    ----------
    documents : pyarrow.ListArray of string
        Words of each document.
    vocabulary : pyarrow.Array of string
        Distinct terms; their positions are the term numbers.
    """
    numbers = pc.index_in(pc.list_flatten(documents), value_set=vocabulary)
    known = pc.is_valid(numbers)
    rows = pc.list_parent_indices(documents).filter(known).to_numpy().astype(np.int64)
    width = max(len(vocabulary), 1)
    entries = rows * width + numbers.filter(known).to_numpy()
    entries, counts = np.unique(entries, return_counts=True)
    rows, terms = np.divmod(entries, width)
    indptr = np.searchsorted(rows, np.arange(len(documents) + 1))
    return TermCounts(indptr.astype(np.int64), terms.astype(np.int32), counts.astype(np.int32))


def inverse_document_frequency(document_frequency: npt.NDArray[np.int64], documents: int) -> Floats:
    """Smoothed inverse document frequency of each term: ``ln((1 + n) / (1 + df)) + 1``."""
    idf: Floats = np.log((1.0 + documents) / (1.0 + document_frequency)) + 1.0
    return idf


def tfidf_weights(rows: TermCounts, idf: Floats) -> Floats:
    """TF-IDF of every entry, each document scaled to length one.

    Parameters
    ----------
    rows : TermCounts
        Documents.
    idf : numpy.ndarray of float64, shape (terms,)
        Inverse document frequencies; a term with 0 counts for nothing.

    Returns
    -------
    numpy.ndarray of float64, shape (entries,)
        Weights; all zero in a document without a term of positive idf.
    """
    weights = np.empty(len(rows.terms), dtype=np.float64)
    _weigh(
        readonly(rows.indptr, np.int64),
        readonly(rows.terms, np.int32),
        readonly(rows.counts, np.int32),
        readonly(idf, np.float64),
        weights,
    )
    return weights


@kernel
def _weigh(indptr: Any, terms: Any, counts: Any, idf: Any, weights: Any) -> None:
    for row in range(len(indptr) - 1):
        squares = 0.0
        for entry in range(indptr[row], indptr[row + 1]):
            weight = counts[entry] * idf[terms[entry]]
            weights[entry] = weight
            squares += weight * weight
        scale = 1.0 / np.sqrt(squares) if squares > 0.0 else 0.0
        for entry in range(indptr[row], indptr[row + 1]):
            weights[entry] *= scale
