"""Assembling: the one way from columns to hashed rows, for training, back-test and scoring.

Listing scope is assembled once per listing and day, context scope once per impression; pair scope
joins the two on hashes of words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.features.batch import Batch
from pipelines.features.encodings import ENCODINGS
from pipelines.features.hashing import hash_strings
from pipelines.features.pairs import shared_words, word_count_slots
from pipelines.features.registry import MODELS, Namespace, check_registry, of_scope
from pipelines.features.rows import SlotRows
from pipelines.features.text_encodings import encode_unigrams, encode_words
from pipelines.features.tokens import Tokens, cross

Strengths = Mapping[tuple[int, str, str], float]

# Words are matched by hash: of a listing's words and of a query's, under one name.
WORDS = "shared_words"


@dataclass(frozen=True)
class Assembler:
    """A checked registry, and how strongly each kind of entity is smoothed each day.

    Raises
    ------
    ValueError
        As of `check_registry`.
    """

    namespaces: tuple[Namespace, ...]
    strengths: Strengths

    def __post_init__(self) -> None:
        check_registry(self.namespaces)

    @property
    def has_pairs(self) -> bool:
        """Whether anything is learnt from words that query and listing share."""
        return bool(of_scope(self.namespaces, "pair"))

    def tokens(self, columns: pa.RecordBatch, scope: str) -> dict[str, Tokens]:
        """The feature values of a batch, by namespace of a scope (listing or context)."""
        batch = Batch(columns, self.strengths)
        tokens: dict[str, Tokens] = {}
        for namespace in of_scope(self.namespaces, scope):
            if namespace.encoding == "cross":
                tokens[namespace.name] = cross([tokens[n] for n in namespace.inputs])
            else:
                encode = ENCODINGS[namespace.encoding]
                tokens[namespace.name] = encode(batch, namespace.inputs)
        return tokens

    def rows(self, tokens: Mapping[str, Tokens], scope: str) -> dict[str, SlotRows]:
        """Hashed rows per model; namespaces in registered order."""
        hashed = {name: values.slots(name) for name, values in tokens.items()}
        return {
            model: SlotRows.concatenate(
                [hashed[n.name] for n in of_scope(self.namespaces, scope, model)]
            )
            for model in MODELS
        }

    def word_rows(self, columns: pa.RecordBatch, *inputs: str) -> SlotRows:
        """Hashes of a batch's words: of title and tags, or of the query alone."""
        batch = Batch(columns, {})
        encode = encode_words if len(inputs) > 1 else encode_unigrams
        return encode(batch, inputs).slots(WORDS)

    def pair_rows(self, query_words: SlotRows, listing_words: SlotRows) -> dict[str, SlotRows]:
        """Hashed rows of pair scope per model, from the words of query and listing."""
        hashed: dict[str, SlotRows] = {}
        shared = shared_words(query_words, listing_words)
        for namespace in of_scope(self.namespaces, "pair"):
            if namespace.encoding == "shared_words":
                hashed[namespace.name] = shared
            else:
                hashed[namespace.name] = word_count_slots(namespace.name, shared, query_words)
        return {
            model: SlotRows.concatenate(
                [hashed[n.name] for n in of_scope(self.namespaces, "pair", model)]
            )
            if of_scope(self.namespaces, "pair", model)
            else SlotRows(np.zeros(len(shared) + 1, np.int64), np.empty(0, np.int32))
            for model in MODELS
        }


def names_batch(
    tokens: Mapping[str, Tokens], days: npt.NDArray[np.int32]
) -> Iterator[pa.RecordBatch]:
    """Distinct values of a batch per namespace and day, with how often each occurs.

    Yields
    ------
    pyarrow.RecordBatch
        ds, slot, namespace, value, rows.
    """
    kinds, day_of_row = np.unique(days, return_inverse=True)
    for namespace, values in tokens.items():
        if len(values.labels) == 0:
            continue
        slots = values.slots(namespace)
        row_of_code = np.repeat(np.arange(len(days)), slots.lengths)
        codes = values.codes if values.valid is None else values.codes[values.valid]
        keys = day_of_row[row_of_code] * len(values.labels) + codes
        counts = np.bincount(keys, minlength=len(kinds) * len(values.labels))
        used = np.flatnonzero(counts)
        which_day, label = np.divmod(used, len(values.labels))
        hashed = hash_strings(namespace, values.labels)
        yield pa.RecordBatch.from_arrays(
            [
                pa.array(kinds[which_day].astype(np.int32)).cast(pa.date32()),
                pa.array(hashed[label]),
                pa.array([namespace] * len(used), pa.string()),
                values.labels.take(pa.array(label)),
                pa.array(counts[used].astype(np.int64)),
            ],
            names=["ds", "slot", "namespace", "value", "rows"],
        )


def explain_listing(
    namespaces: Sequence[Namespace], row: pa.RecordBatch, strengths: Strengths
) -> list[tuple[str, str, str, int]]:
    """The hashed features of one listing by name.

    Parameters
    ----------
    row : pyarrow.RecordBatch
        One row with the columns of a listing day: the listing, its window sums, ds.

    Returns
    -------
    list of (model, namespace, value, slot)
        In registered order; slot is the full-width hash.
    """
    assembler = Assembler(tuple(namespaces), strengths)
    features: list[tuple[str, str, str, int]] = []
    tokens = assembler.tokens(row, "listing")
    for namespace in of_scope(assembler.namespaces, "listing"):
        values = tokens[namespace.name]
        slots = values.slots(namespace.name).slots.tolist()
        codes = values.codes if values.valid is None else values.codes[values.valid]
        labels = [values.labels[int(code)].as_py() for code in codes]
        features += [
            (model, namespace.name, label, slot)
            for model in MODELS
            if namespace.serves(model)
            for label, slot in zip(labels, slots, strict=True)
        ]
    return features
