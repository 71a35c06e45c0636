"""Encodings of texts, lists and paths: any number of values a row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.features.batch import Batch
from pipelines.features.text import documents, unigrams
from pipelines.features.tokens import Tokens, each_of, lists, recoded, strings


def encode_unigrams(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """The lower-case words of a text."""
    # Requests say the same words again and again: each text is split once.
    texts = strings(batch.column(inputs[0]))
    return each_of(texts, lists(unigrams(texts.labels)))


def encode_words(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """The words of a title and of its tags together: what a query is matched with."""
    return lists(documents(batch.column(inputs[0]), batch.column(inputs[1])))


def encode_list(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """The lower-case entries of a list."""
    entries = lists(batch.column(inputs[0]))
    lowered = pc.utf8_lower(entries.labels).dictionary_encode()
    codes = lowered.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return Tokens(lowered.dictionary, codes[entries.codes], entries.offsets)


def encode_path_levels(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """Every prefix of a path `a > b > c`: a, a > b, a > b > c."""
    paths = strings(batch.column(inputs[0]))
    levels: list[list[str]] = []
    for path in paths.labels.to_pylist():
        parts = [part.strip() for part in path.split(">") if part.strip()]
        levels.append([" > ".join(parts[: depth + 1]) for depth in range(len(parts))])
    return each_of(paths, lists(pa.array(levels, pa.list_(pa.string()))))


def _encode_path_level(batch: Batch, inputs: tuple[str, ...], level: int) -> Tokens:
    """The first levels of a path `a > b > c` together; a path of fewer has none."""
    paths = strings(batch.column(inputs[0]))
    labels: list[str | None] = []
    for path in paths.labels.to_pylist():
        parts = [part.strip() for part in path.split(">") if part.strip()]
        labels.append(" > ".join(parts[:level]) if len(parts) >= level else None)
    return recoded(paths, pa.array(labels, pa.string()))


def encode_path_level_1(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """The top of a path `a > b > c`: a."""
    return _encode_path_level(batch, inputs, 1)


def encode_path_level_2(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """The first two levels of a path `a > b > c`: a > b; a path of one has none."""
    return _encode_path_level(batch, inputs, 2)
