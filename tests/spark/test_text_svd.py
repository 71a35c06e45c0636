"""The Spark fit of the text basis."""

import numpy as np
import pyarrow as pa
import pytest
import scipy.linalg
import scipy.sparse.linalg
from pyspark.errors import PythonException
from pyspark.ml.linalg import Vectors
from pyspark.mllib.linalg import Vectors as OldVectors
from pyspark.mllib.linalg.distributed import RowMatrix
from pyspark.sql import SparkSession
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer

from pipelines.features import text_svd_spark
from pipelines.features.text import documents
from pipelines.features.text_basis import TextBasis
from pipelines.features.text_svd_spark import fit_text_basis

RANK = 6
SCHEMA = pa.schema({"listing_id": pa.string(), "title": pa.string(), "tags": pa.list_(pa.string())})


def planted_listings(listings: int = 300, topics: int = RANK) -> pa.Table:
    """Listings of topics of falling size, so that the leading singular values stand apart.

    There are as many topics as components: behind them comes a gap, without which the leading
    sub-space would not be well defined.
    """
    random = np.random.default_rng(7)
    share = 0.7 ** np.arange(topics)
    topic = random.choice(topics, size=listings, p=share / share.sum())
    title = [
        " ".join(f"T{t}w{w}" for w in random.integers(0, 8, 6)) + f" any{random.integers(0, 40)}"
        for t in topic
    ]
    tags = [[f"t{t}w{w}" for w in random.integers(0, 8, 2)] for t in topic]
    ids = [f"listing-{number}" for number in range(listings)]
    return pa.table([ids, title, tags], schema=SCHEMA)


def words_of(listings: pa.Table) -> pa.ListArray:
    plain = listings.combine_chunks()
    return documents(plain["title"].chunk(0), plain["tags"].chunk(0))


def tfidf_matrix(listings: pa.Table, **options: int) -> tuple[csr_array, list[str]]:
    oracle = TfidfVectorizer(analyzer=lambda words: words, **options)
    matrix = oracle.fit_transform(words_of(listings).to_pylist())
    return csr_array(matrix), list(oracle.get_feature_names_out())


def some_listings(*rows: tuple[str | None, str, list[str]]) -> pa.Table:
    named = [dict(zip(SCHEMA.names, row, strict=True)) for row in rows]
    return pa.Table.from_pylist(named, schema=SCHEMA)


def fit(spark: SparkSession, listings: pa.Table, **options: int) -> TextBasis:
    return fit_text_basis(spark, lambda: listings, **options)


def bits(basis: TextBasis) -> tuple[bytes, bytes, list[str]]:
    return basis.loadings.tobytes(), basis.singular_values.tobytes(), basis.terms.to_pylist()


@pytest.fixture(scope="module")
def listings() -> pa.Table:
    return planted_listings()


@pytest.fixture(scope="module")
def basis(spark: SparkSession, listings: pa.Table) -> TextBasis:
    return fit(spark, listings, rank=RANK)


@pytest.fixture(scope="module")
def converged(spark: SparkSession, listings: pa.Table) -> TextBasis:
    return fit(spark, listings, rank=RANK, iterations=9)


def test_terms_and_weights_are_those_of_scikit_learn(basis: TextBasis, listings: pa.Table) -> None:
    matrix, terms = tfidf_matrix(listings, min_df=2)
    assert basis.terms.to_pylist() == terms
    assert basis.documents == len(listings)
    np.testing.assert_array_equal(basis.document_frequency, np.bincount(matrix.indices))


def largest_angle_deg(basis: TextBasis, matrix: csr_array) -> float:
    _, _, right = scipy.sparse.linalg.svds(matrix, k=RANK, random_state=0)
    return float(np.degrees(scipy.linalg.subspace_angles(right.T, basis.loadings)[0]))


def test_components_are_near_those_of_arpack(basis: TextBasis, listings: pa.Table) -> None:
    matrix, _ = tfidf_matrix(listings, min_df=2)
    values = scipy.sparse.linalg.svds(matrix, k=RANK, return_singular_vectors=False)
    np.testing.assert_allclose(basis.singular_values, np.sort(values)[::-1], rtol=0.01)
    assert largest_angle_deg(basis, matrix) < 5.0


def test_with_more_iterations_the_components_are_those_of_arpack(
    converged: TextBasis, listings: pa.Table
) -> None:
    assert largest_angle_deg(converged, tfidf_matrix(listings, min_df=2)[0]) < 0.01


def test_singular_values_agree_with_spark_mllib(
    spark: SparkSession, basis: TextBasis, listings: pa.Table
) -> None:
    matrix, _ = tfidf_matrix(listings, min_df=2)
    rows = [OldVectors.fromML(Vectors.dense(row)) for row in matrix.toarray()]
    oracle = RowMatrix(spark.sparkContext.parallelize(rows, 1)).computeSVD(RANK)
    np.testing.assert_allclose(basis.singular_values, oracle.s.toArray(), rtol=0.01)


def test_folding_the_fitted_listings_gives_the_rows_of_u_s(
    converged: TextBasis, listings: pa.Table
) -> None:
    matrix, _ = tfidf_matrix(listings, min_df=2)
    folded = converged.fold(words_of(listings))
    left, values, _ = np.linalg.svd(matrix.toarray(), full_matrices=False)
    scores = left[:, :RANK] * values[:RANK]
    signs = np.sign(np.sum(scores * folded, axis=0))
    np.testing.assert_allclose(folded, scores * signs, atol=1e-4)


def test_the_largest_loading_of_every_component_is_positive(basis: TextBasis) -> None:
    largest = np.abs(basis.loadings).argmax(axis=0)
    assert (basis.loadings[largest, np.arange(RANK)] > 0).all()


def test_the_order_of_rows_does_not_change_a_bit(
    spark: SparkSession, basis: TextBasis, listings: pa.Table
) -> None:
    for seed in (1, 2):
        order = np.random.default_rng(seed).permutation(len(listings))
        assert bits(fit(spark, listings.take(order), rank=RANK)) == bits(basis)


def test_products_that_travel_in_column_groups_give_the_same_bits(
    spark: SparkSession,
    basis: TextBasis,
    listings: pa.Table,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ten_columns = 10 * 8 * 16 * len(basis.terms)
    monkeypatch.setattr(text_svd_spark, "_RESULT_BYTES", ten_columns)
    assert bits(fit(spark, listings, rank=RANK)) == bits(basis)


def test_the_most_frequent_terms_are_kept_and_ties_go_to_the_first(spark: SparkSession) -> None:
    frame = some_listings(("1", "b c d", []), ("2", "a b", ["c"]), ("3", "A d rare", ["a b"]))
    basis = fit(spark, frame, rank=2, max_terms=3)
    # a in two, b in three, c and d in two each: three places for b, a, c.
    assert basis.terms.to_pylist() == ["a", "b", "c"]
    assert basis.document_frequency.tolist() == [2, 3, 2]


def test_a_small_matrix_gives_its_own_rank_padded_with_zeros(spark: SparkSession) -> None:
    frame = some_listings(("1", "oak bowl", []), ("2", "clay mug", ["oak"]), ("3", "", []))
    basis = fit(spark, frame, rank=4, min_document_frequency=1)
    assert (basis.documents, basis.rank, basis.effective_rank) == (3, 4, 2)
    assert basis.loadings.shape == (4, 4)
    assert not basis.loadings[:, 2:].any()
    np.testing.assert_array_equal(basis.fold(pa.array([[""]])), np.zeros((1, 4)))


def test_one_listing_whose_words_are_too_rare_gives_no_terms(spark: SparkSession) -> None:
    basis = fit(spark, some_listings(("1", "oak bowl", [])), rank=3)
    assert (len(basis.terms), basis.documents, basis.effective_rank) == (0, 1, 0)


def test_no_listings_give_a_basis_without_terms(spark: SparkSession) -> None:
    basis = fit(spark, some_listings(), rank=3)
    assert (len(basis.terms), basis.documents, basis.effective_rank) == (0, 0, 0)
    np.testing.assert_array_equal(basis.fold(pa.array([["oak"]])), np.zeros((1, 3)))


@pytest.mark.parametrize("second", ["1", None])
def test_a_repeated_or_missing_listing_id_is_refused(
    spark: SparkSession, second: str | None
) -> None:
    frame = some_listings(("1", "oak", []), (second, "bowl", []))
    with pytest.raises(PythonException, match="listing_id of its own"):
        fit(spark, frame)


def test_a_rank_below_one_is_refused(spark: SparkSession) -> None:
    with pytest.raises(ValueError, match="rank must be at least 1"):
        fit(spark, some_listings(), rank=0)
