"""Fit the text basis on Spark: the rows stay in blocks, the driver holds terms x components.

The basis has the same bits under any partitioning: every listing belongs to one of a fixed number
of blocks by a hash of its id, a block is sorted by id, its sums are made by one task in row order,
and the driver adds the blocks' sums in block order.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyspark import Broadcast
from pyspark.sql import DataFrame, SparkSession

from pipelines.features.hashing import hash_strings
from pipelines.features.linear_algebra import orthonormalise
from pipelines.features.randomized_svd import random_start, truncate
from pipelines.features.term_blocks import TermBlock, as_binary, count_block
from pipelines.features.text_basis import TextBasis
from pipelines.features.tfidf import inverse_document_frequency
from pipelines.features.xxhash import xxhash64
from pipelines.units_spark import Batches, map_units

Floats = npt.NDArray[np.float64]
Vocabulary = tuple[pa.StringArray, Floats]
"""Terms and their inverse document frequencies."""

# The blocks' sums of one job must fit in the driver (spark.driver.maxResultSize is 1 GiB at first).
_RESULT_BYTES = 2**28

# No tokeniser gives the empty word; every listing counts as holding it, so that the number of
# listings comes with the document frequencies, without a job of its own.
_EVERY_LISTING = ""


def fit_text_basis(
    spark: SparkSession,
    read: Callable[[], pa.Table],
    *,
    rank: int = 64,
    oversampling: int = 16,
    iterations: int = 2,
    min_document_frequency: int = 2,
    max_terms: int = 200_000,
    seed: int = 42,
    blocks: int = 16,
) -> TextBasis:
    """Truncated SVD of the listings' TF-IDF matrix, by randomized range finding on Spark.

    Runs one job for the document frequencies and ``iterations + 1`` for the products A'(A Q), more
    where terms x blocks are so many that the products travel in groups of columns.

    Parameters
    ----------
    read : callable
        Gives the listings, in a task: listing_id (string, unique), title (string), tags (list of
        string), in any order.
    rank : int
        Components, k.
    oversampling : int
        Further columns of the random start; what raises accuracy most cheaply.
    iterations : int
        Power iterations, q of Halko et al. 2011.
    min_document_frequency : int
        Rarer terms are left out.
    max_terms : int
        Most terms to keep: the most frequent, of equally frequent ones the first in byte order.
    seed : int
        Of the random start.
    blocks : int
        Row blocks: the unit of work in a pass and the order of summation, so that another number
        gives other last bits. A block's text must fit in a task.

    Returns
    -------
    TextBasis
        Of rank ``rank``; with less text than that the last components are zero and
        ``effective_rank`` says how many are not. Without listings it has no terms.

    Raises
    ------
    ValueError
        A parameter is out of range.
    pyspark.errors.PythonException
        A listing id is null or comes twice.
    """
    for name, value in (("rank", rank), ("blocks", blocks), ("max_terms", max_terms)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if oversampling < 0 or iterations < 0:
        raise ValueError("oversampling and iterations must not be negative")
    with ExitStack() as cleanup:
        # Read by every pass; tokenising again would cost more than all the products.
        counted = _count_blocks(spark, read, blocks).persist()
        cleanup.callback(counted.unpersist)
        terms, document_frequency, total = _vocabulary(counted, min_document_frequency, max_terms)
        idf = inverse_document_frequency(document_frequency, total)
        vocabulary = spark.sparkContext.broadcast((terms, idf))
        cleanup.callback(vocabulary.destroy)
        width = min(rank + oversampling, len(terms))
        basis = random_start(hash_strings("term", terms), width=width, seed=seed)
        basis = orthonormalise(basis)
        product = _multiply(counted, vocabulary, basis, blocks)
        for _ in range(iterations):
            basis = orthonormalise(product)
            product = _multiply(counted, vocabulary, basis, blocks)
    singular_values, loadings = truncate(basis, product, rank=rank)
    return TextBasis(
        terms=terms,
        document_frequency=document_frequency,
        idf=idf,
        loadings=loadings,
        singular_values=singular_values,
        documents=total,
    )


def _count_blocks(spark: SparkSession, read: Callable[[], pa.Table], blocks: int) -> DataFrame:
    """One row a block that has listings: its number and its term counts, packed."""

    def count(number: int) -> Batches:
        listings = read()
        if listings["listing_id"].null_count:
            raise ValueError("every listing needs a listing_id of its own")
        is_in_block = np.mod(xxhash64(listings["listing_id"]), blocks) == number
        if is_in_block.any():
            packed = count_block(listings.filter(pa.array(is_in_block)))
            yield pa.RecordBatch.from_pydict({"block": pa.array([number]), "packed": packed})

    return map_units(spark, blocks, count, "block long, packed binary")


def _vocabulary(
    counted: DataFrame, min_document_frequency: int, max_terms: int
) -> tuple[pa.StringArray, npt.NDArray[np.int64], int]:
    """Terms in byte order with their document frequencies, and the number of listings."""
    parts = counted.mapInArrow(_document_frequencies, "term string, frequency long").toArrow()
    summed = parts.group_by("term", use_threads=False).aggregate([("frequency", "sum")])
    is_every = pc.equal(summed["term"], _EVERY_LISTING)
    is_kept = pc.greater_equal(summed["frequency_sum"], min_document_frequency)
    kept = (
        summed.filter(pc.or_(is_every, is_kept))
        .sort_by([("frequency_sum", "descending"), ("term", "ascending")])
        .slice(0, max_terms + 1)
        .sort_by("term")
        .combine_chunks()
    )
    if len(kept) == 0:
        return pa.array([], pa.string()), np.zeros(0, dtype=np.int64), 0
    terms, frequency = kept["term"].combine_chunks(), kept["frequency_sum"].to_numpy()
    return terms[1:], frequency[1:], int(frequency[0])


def _document_frequencies(batches: Batches) -> Batches:
    for batch in batches:
        for packed in batch["packed"]:
            block = TermBlock.from_binary(packed)
            listings = pa.array([block.documents], pa.int64())
            yield pa.RecordBatch.from_pydict(
                {
                    "term": pa.concat_arrays([pa.array([_EVERY_LISTING]), block.terms]),
                    "frequency": pa.concat_arrays([listings, block.document_frequency]),
                }
            )


def _multiply(
    counted: DataFrame, vocabulary: Broadcast[Vocabulary], basis: Floats, blocks: int
) -> Floats:
    """Compute A'(A basis) over the blocks, adding their parts in block order."""
    product = np.zeros(basis.shape, dtype=np.float64)
    if basis.size == 0:
        return product
    step = max(1, _RESULT_BYTES // (basis.itemsize * blocks * len(basis)))
    for start in range(0, basis.shape[1], step):
        columns = slice(start, start + step)
        shared = counted.sparkSession.sparkContext.broadcast(
            np.ascontiguousarray(basis[:, columns])
        )
        parts = counted.mapInArrow(
            _block_products(vocabulary, shared), "block long, terms binary, sums binary"
        ).toArrow()
        shared.destroy()
        parts = parts.sort_by("block")
        for terms, sums in zip(parts["terms"], parts["sums"], strict=True):
            known = np.frombuffer(terms.as_buffer(), dtype=np.int32)
            part = np.frombuffer(sums.as_buffer(), dtype=np.float64)
            product[known, columns] += part.reshape(len(known), product[:, columns].shape[1])
    return product


def _block_products(
    vocabulary: Broadcast[Vocabulary], basis: Broadcast[Floats]
) -> Callable[[Batches], Batches]:
    def multiply_blocks(batches: Batches) -> Batches:
        terms, idf = vocabulary.value
        for batch in batches:
            for number, packed in zip(batch["block"], batch["packed"], strict=True):
                block = TermBlock.from_binary(packed)
                known, sums = block.normal_product(terms, idf, basis.value)
                yield pa.RecordBatch.from_pydict(
                    {
                        "block": pa.array([number.as_py()], pa.int64()),
                        "terms": as_binary(known),
                        "sums": as_binary(sums),
                    }
                )

    return multiply_blocks
