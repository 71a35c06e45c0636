"""Encodings by name: from the columns of a batch to the feature values of its rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from pipelines.features.batch import Batch
from pipelines.features.number_encodings import (
    encode_age_band,
    encode_count_band,
    encode_hour,
    encode_log_band,
    encode_number,
    encode_rate_band,
    encode_weekday,
    encode_weekend,
)
from pipelines.features.text_encodings import (
    encode_list,
    encode_path_level_1,
    encode_path_level_2,
    encode_path_levels,
    encode_unigrams,
    encode_words,
)
from pipelines.features.tokens import Tokens, strings


def encode_constant(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """The same value in every row: the bias."""
    return Tokens(pa.array(["1"]), np.zeros(batch.columns.num_rows, dtype=np.int64))


def encode_identity(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """A column's own value."""
    return strings(batch.column(inputs[0]))


ENCODINGS: dict[str, Callable[[Batch, tuple[str, ...]], Tokens]] = {
    "constant": encode_constant,
    "identity": encode_identity,
    "unigrams": encode_unigrams,
    "words": encode_words,
    "list": encode_list,
    "path_levels": encode_path_levels,
    "path_level_1": encode_path_level_1,
    "path_level_2": encode_path_level_2,
    "log_band": encode_log_band,
    "number": encode_number,
    "age_band": encode_age_band,
    "rate_band": encode_rate_band,
    "count_band": encode_count_band,
    "weekday": encode_weekday,
    "weekend": encode_weekend,
    "hour": encode_hour,
}
"""Encodings of one namespace's own inputs; `cross` and the pair encodings read other namespaces."""

LIST_ENCODINGS = ("unigrams", "words", "list", "path_levels")
"""Encodings that give any number of values a row: no cross takes them."""

PAIR_ENCODINGS = ("shared_words", "shared_word_count")
ALL_ENCODINGS = (*ENCODINGS, "cross", *PAIR_ENCODINGS)
