"""The 64-bit hash against Spark SQL's, and against the reference's test vectors."""

import random

import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from pipelines.features.xxhash import xxhash64


def test_it_is_the_hash_of_spark_for_every_length(spark):
    draw = random.Random(3)
    texts = [
        "".join(draw.choice("ab0 üλ😀") for _ in range(size)) for size in range(100) for _ in "12"
    ]
    frame = spark.createDataFrame([(text,) for text in texts], "text string")
    asked = [F.xxhash64("text"), F.xxhash64(F.lit("order"), "text"),
             F.xxhash64(F.lit("a" * 40), F.lit(""), "text")]  # fmt: skip
    columns = frame.select("text", *(c.alias(str(k)) for k, c in enumerate(asked))).toArrow()
    for k, prefix in enumerate([(), ("order",), ("a" * 40, "")]):
        assert xxhash64(columns["text"], *prefix).tolist() == columns[str(k)].to_pylist()


def test_slices_and_chunks_are_hashed_as_what_they_hold():
    texts = pa.array(["a", "bb", "ccc", "dddd"])
    whole = xxhash64(texts)
    chunked = pa.chunked_array([texts.slice(1, 2), texts.slice(3)])
    assert xxhash64(chunked).tolist() == whole[1:].tolist()
    assert len(xxhash64(texts.slice(0, 0))) == 0


def test_nulls_are_refused():
    with pytest.raises(ValueError, match="nulls"):
        xxhash64(pa.array(["a", None]))
