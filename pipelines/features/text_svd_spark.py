"""Fit the text basis on Spark: the rows stay in blocks, the driver holds terms x components.

The basis has the same bits under any partitioning: every listing belongs to one of a fixed number
of blocks by a hash of its id, a block is sorted by id, its sums are made by one task in row order,
and the driver adds the blocks' sums in block order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.broadcast import Broadcast
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.features.hashing import hash_strings
from pipelines.features.randomized_svd import (
    normal_product,
    orthonormalise,
    random_start,
    truncate,
)
from pipelines.features.text import documents
from pipelines.features.text_basis import (
    TermCounts,
    TextBasis,
    count_terms,
    inverse_document_frequency,
    tfidf_weights,
)

Floats = npt.NDArray[np.float64]
Batches = Iterator[pa.RecordBatch]

# The blocks' sums of one job must fit in the driver (spark.driver.maxResultSize is 1 GiB at first).
_RESULT_BYTES = 2**28

# No tokeniser gives the empty word; every listing counts as holding it, so that the number of
# listings comes with the document frequencies, without a job of its own.
_EVERY_LISTING = ""


def fit_text_basis(
    listings: DataFrame,
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
    listings : DataFrame
        listing_id (string, unique), title (string), tags (array of string).
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
    counted = _count_blocks(listings, blocks).persist()
    try:
        terms, document_frequency, total = _vocabulary(
            counted, min_document_frequency, max_terms
        )
        idf = inverse_document_frequency(document_frequency, total)
        multiply = _multiplier(counted, terms, idf, blocks)
        width = min(rank + oversampling, len(terms))
        keys = hash_strings("term", terms)
        basis = orthonormalise(random_start(keys, width=width, seed=seed))
        product = multiply(basis)
        for _ in range(iterations):
            basis = orthonormalise(product)
            product = multiply(basis)
    finally:
        counted.unpersist()
    singular_values, loadings = truncate(basis, product, rank=rank)
    return TextBasis(
        terms=terms,
        document_frequency=document_frequency,
        idf=idf,
        loadings=loadings,
        singular_values=singular_values,
        documents=total,
    )


def _count_blocks(listings: DataFrame, blocks: int) -> DataFrame:
    """One row a block: its number and its term counts, packed."""
    return (
        listings.select(
            F.pmod(F.xxhash64("listing_id"), F.lit(blocks)).alias("block"),
            "listing_id",
            "title",
            "tags",
        )
        .groupBy("block")
        .applyInArrow(_count_block, "block long, packed binary")
    )


def _count_block(listings: pa.Table) -> pa.Table:
    listings = listings.sort_by("listing_id").combine_chunks()
    ids = listings["listing_id"].combine_chunks()
    if ids.null_count or pc.any(pc.equal(ids[1:], ids[:-1])).as_py():
        raise ValueError("listing_id must be there and unique")
    words = documents(listings["title"].combine_chunks(), listings["tags"].combine_chunks())
    terms = pc.unique(words.values)
    rows = count_terms(words, terms)
    packed = {
        "terms": terms,
        "document_frequency": np.bincount(rows.terms, minlength=len(terms)),
        "indptr": rows.indptr,
        "entry_terms": rows.terms,
        "entry_counts": rows.counts,
    }
    row = pa.RecordBatch.from_pydict({name: _as_list(array) for name, array in packed.items()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, row.schema) as stream:
        stream.write_batch(row)
    return pa.table({"block": listings["block"][:1], "packed": _as_binary(sink.getvalue())})


def _as_list(array: Any) -> pa.ListArray:
    values = array if isinstance(array, pa.Array) else pa.array(array)
    return pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)


def _as_binary(data: Any) -> pa.BinaryArray:
    """Wrap a buffer as a column of one row, without copying it."""
    buffer = pa.py_buffer(data)
    offsets = pa.py_buffer(np.array([0, buffer.size], dtype=np.int32))
    return pa.BinaryArray.from_buffers(pa.binary(), 1, [None, offsets, buffer])


def _unpack(packed: pa.BinaryScalar) -> dict[str, pa.Array]:
    row = pa.ipc.open_stream(packed.as_buffer()).read_next_batch()
    return {name: row[name].values for name in row.schema.names}


def _vocabulary(
    counted: DataFrame, min_document_frequency: int, max_terms: int
) -> tuple[pa.StringArray, npt.NDArray[np.int64], int]:
    """Terms in byte order with their document frequencies, and the number of listings."""
    found = (
        counted.mapInArrow(_document_frequencies, "term string, document_frequency long")
        .groupBy("term")
        .agg(F.sum("document_frequency").alias("document_frequency"))
        .where(
            (F.col("term") == _EVERY_LISTING)
            | (F.col("document_frequency") >= min_document_frequency)
        )
        .orderBy(F.desc("document_frequency"), "term")
        .limit(max_terms + 1)
        .toArrow()
        .sort_by("term")
        .combine_chunks()
    )
    if len(found) == 0:
        return pa.array([], pa.string()), np.zeros(0, dtype=np.int64), 0
    document_frequency = found["document_frequency"].to_numpy()
    return found["term"].combine_chunks()[1:], document_frequency[1:], int(document_frequency[0])


def _document_frequencies(batches: Batches) -> Batches:
    for batch in batches:
        for packed in batch["packed"]:
            block = _unpack(packed)
            listings = pa.array([len(block["indptr"]) - 1], pa.int64())
            yield pa.RecordBatch.from_pydict(
                {
                    "term": pa.concat_arrays([pa.array([_EVERY_LISTING]), block["terms"]]),
                    "document_frequency": pa.concat_arrays(
                        [listings, block["document_frequency"]]
                    ),
                }
            )


def _multiplier(
    counted: DataFrame, terms: pa.StringArray, idf: Floats, blocks: int
) -> Callable[[Floats], Floats]:
    """Give the function that computes A'(A Q) over the blocks for a Q on the driver."""
    context = counted.sparkSession.sparkContext
    vocabulary = context.broadcast((terms, idf))

    def multiply(basis: Floats) -> Floats:
        product = np.zeros(basis.shape, dtype=np.float64)
        if basis.size == 0:
            return product
        step = max(1, _RESULT_BYTES // (8 * blocks * len(basis)))
        for start in range(0, basis.shape[1], step):
            columns = np.ascontiguousarray(basis[:, start : start + step])
            shared = context.broadcast(columns)
            sums = counted.mapInArrow(
                _block_products(vocabulary, shared), "block long, terms binary, sums binary"
            ).toArrow()
            for row in sums.sort_by("block").select(["terms", "sums"]).to_batches():
                for at, values in zip(row["terms"], row["sums"], strict=True):
                    known = np.frombuffer(at.as_buffer(), dtype=np.int32)
                    part = np.frombuffer(values.as_buffer(), dtype=np.float64)
                    product[known, start : start + step] += part.reshape(len(known), -1)
            shared.destroy()
        return product

    return multiply


def _block_products(
    vocabulary: Broadcast[tuple[pa.StringArray, Floats]], basis: Broadcast[Floats]
) -> Callable[[Batches], Batches]:
    def multiply_blocks(batches: Batches) -> Batches:
        terms, idf = vocabulary.value
        for batch in batches:
            for number, packed in zip(batch["block"], batch["packed"], strict=True):
                known, sums = _multiply_block(_unpack(packed), terms, idf, basis.value)
                yield pa.RecordBatch.from_pydict(
                    {
                        "block": pa.array([number.as_py()], pa.int64()),
                        "terms": _as_binary(known),
                        "sums": _as_binary(sums),
                    }
                )

    return multiply_blocks


def _multiply_block(
    block: dict[str, pa.Array], terms: pa.StringArray, idf: Floats, basis: Floats
) -> tuple[npt.NDArray[np.int32], Floats]:
    """Numbers of the block's terms in the vocabulary, and their rows of A'(A Q)."""
    found = pc.index_in(block["terms"], value_set=terms)
    is_known = pc.is_valid(found).to_numpy(zero_copy_only=False)
    known = found.drop_null().to_numpy()
    rows = TermCounts(
        *(block[name].to_numpy() for name in ("indptr", "entry_terms", "entry_counts"))
    )
    block_idf = np.zeros(len(found))
    block_idf[is_known] = idf[known]
    block_basis = np.zeros((len(found), basis.shape[1]))
    block_basis[is_known] = basis[known]
    weights = tfidf_weights(rows, block_idf)
    sums = normal_product(rows.indptr, rows.terms, weights, block_basis)
    return known, sums[is_known]
