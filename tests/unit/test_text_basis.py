"""Folding listings into the text basis."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from pipelines.features.text_basis import TextBasis
from pipelines.features.tfidf import count_terms, inverse_document_frequency

DOCUMENTS = [["oak", "bowl", "oak"], ["mug", "clay"], [], ["bowl", "mug", "unknown", "mug"]]
WORDS = pa.array(DOCUMENTS)
TERMS = ["bowl", "clay", "mug", "oak"]


def make_basis() -> TextBasis:
    frequency = np.array([2, 1, 2, 1])
    return TextBasis(
        terms=pa.array(TERMS),
        document_frequency=frequency,
        idf=inverse_document_frequency(frequency, 4),
        loadings=np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32),
        singular_values=np.array([2.0, 1.0, 0.0]),
        documents=4,
    )


def test_fold_is_the_tfidf_row_of_scikit_learn_times_the_loadings() -> None:
    basis = make_basis()
    oracle = TfidfVectorizer(analyzer=lambda words: words, vocabulary=TERMS).fit(DOCUMENTS)
    expected = oracle.transform(DOCUMENTS) @ basis.loadings
    np.testing.assert_allclose(basis.fold(WORDS), expected, rtol=1e-6, atol=1e-7)


def test_a_listing_without_known_terms_gets_the_zero_vector() -> None:
    folded = make_basis().fold(pa.array([[], ["unknown", "words"], None], pa.list_(pa.string())))
    assert folded.dtype == np.float32
    np.testing.assert_array_equal(folded, np.zeros((3, 3)))


def test_unknown_terms_are_ignored() -> None:
    folded = make_basis().fold(pa.array([["mug", "unknown", "clay"], ["clay", "mug"]]))
    np.testing.assert_array_equal(folded[0], folded[1])


def test_a_vector_depends_on_nothing_else_in_the_batch() -> None:
    basis = make_basis()
    whole = basis.fold(WORDS)
    for row in range(len(WORDS)):
        assert basis.fold(WORDS[row : row + 1]).tobytes() == whole[row].tobytes()


def test_an_empty_batch_folds_to_no_rows() -> None:
    assert make_basis().fold(WORDS[:0]).shape == (0, 3)


def test_the_effective_rank_counts_the_components_that_carry_something() -> None:
    assert (make_basis().rank, make_basis().effective_rank) == (3, 2)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 0, 3, 1]])
def test_a_stored_basis_folds_as_before_whatever_the_order_of_its_rows(order: list[int]) -> None:
    basis = make_basis()
    stored = basis.to_arrow().take(order)
    loaded = TextBasis.from_arrow(
        stored, singular_values=list(basis.singular_values), documents=basis.documents
    )
    assert loaded.to_arrow() == basis.to_arrow()
    assert loaded.fold(WORDS).tobytes() == basis.fold(WORDS).tobytes()


def test_a_basis_without_terms_can_be_stored_and_gives_zero_vectors() -> None:
    stored = make_basis().to_arrow()[:0]
    basis = TextBasis.from_arrow(stored, singular_values=[0.0, 0.0], documents=0)
    np.testing.assert_array_equal(basis.fold(WORDS), np.zeros((4, 2)))


def test_a_repeated_term_is_refused() -> None:
    with pytest.raises(ValueError, match="repeated"):
        TextBasis.from_arrow(
            make_basis().to_arrow().take([0, 0]), singular_values=[1, 1, 1], documents=4
        )


def test_loadings_of_another_rank_are_refused() -> None:
    with pytest.raises(ValueError, match="needs 2 loadings"):
        TextBasis.from_arrow(make_basis().to_arrow(), singular_values=[1, 1], documents=4)


def test_counts_are_per_document_and_in_order_of_the_terms() -> None:
    rows = count_terms(pa.array([["oak"], ["mug", "bowl", "mug"], None])[1:], pa.array(TERMS))
    assert rows.indptr.tolist() == [0, 2, 2]
    assert rows.terms.tolist() == [0, 2]
    assert rows.counts.tolist() == [1, 2]
