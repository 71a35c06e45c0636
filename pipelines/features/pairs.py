"""Pair features: what only the query and the listing together know, joined on hashes of words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.features.hashing import hash_strings
from pipelines.features.rows import SlotRows
from pipelines.kernel import kernel

MAX_SHARED = 3


def shared_words(query: SlotRows, listing: SlotRows) -> SlotRows:
    """The words of each row's query that its listing has too, each once.

    Parameters
    ----------
    query, listing : SlotRows
        Hashes of words under one name, of the same n rows.
    """
    slots = np.empty(len(query.slots), dtype=np.int32)
    offsets = np.zeros(len(query) + 1, dtype=np.int64)
    _intersect(query.offsets, query.slots, listing.offsets, listing.slots, offsets, slots)
    return SlotRows(offsets, slots[: offsets[-1]])


def word_count_slots(namespace: str, shared: SlotRows, query: SlotRows) -> SlotRows:
    """How many words are shared (at most 3) out of how many (at most 3); none without a query."""
    asked = np.minimum(query.lengths, MAX_SHARED)
    matched = np.minimum(shared.lengths, asked)
    labels = pa.array([f"{f}/{n}" for n in range(MAX_SHARED + 1) for f in range(MAX_SHARED + 1)])
    hashed = hash_strings(namespace, labels)[asked * (MAX_SHARED + 1) + matched]
    return SlotRows.from_column(hashed, query.lengths > 0)


@kernel
def _intersect(
    query_offsets: Any,
    query_slots: Any,
    listing_offsets: Any,
    listing_slots: Any,
    offsets: Any,
    slots: Any,
) -> None:
    kept = 0
    for row in range(len(query_offsets) - 1):
        first = kept
        for i in range(query_offsets[row], query_offsets[row + 1]):
            word = query_slots[i]
            new = True
            for j in range(first, kept):
                if slots[j] == word:
                    new = False
            if not new:
                continue
            for j in range(listing_offsets[row], listing_offsets[row + 1]):
                if listing_slots[j] == word:
                    slots[kept] = word
                    kept += 1
                    break
        offsets[row + 1] = kept
