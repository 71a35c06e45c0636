"""Feature values of rows: distinct values once, and per row the numbers of its values.

Hashing and naming then touch every distinct value once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.features.hashing import hash_strings
from pipelines.features.rows import SlotRows

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tokens:
    """Feature values of n rows.

    Attributes
    ----------
    labels : pyarrow.StringArray
        The distinct values.
    codes : numpy.ndarray of int64
        Numbers into `labels`, all rows in order.
    offsets : numpy.ndarray of int64, shape (n + 1,), or None
        Row i holds ``codes[offsets[i]:offsets[i + 1]]``; None means one value a row.
    valid : numpy.ndarray of bool, shape (n,), or None
        With one value a row: which rows have it; None means all.
    """

    labels: pa.StringArray
    codes: Ints
    offsets: Ints | None = None
    valid: npt.NDArray[np.bool_] | None = None

    def slots(self, namespace: str) -> SlotRows:
        """Hash the values under a namespace."""
        if len(self.labels) == 0:
            rows = len(self.offsets) - 1 if self.offsets is not None else len(self.codes)
            return SlotRows(np.zeros(rows + 1, dtype=np.int64), np.empty(0, dtype=np.int32))
        hashed = hash_strings(namespace, self.labels)[self.codes]
        if self.offsets is not None:
            return SlotRows.from_lists(self.offsets, hashed)
        return SlotRows.from_column(hashed, self.valid)

    def counts(self) -> Ints:
        """How often each distinct value occurs, shape (len(labels),)."""
        codes = self.codes if self.valid is None else self.codes[self.valid]
        return np.bincount(codes, minlength=len(self.labels)).astype(np.int64)


def integers(values: Ints, valid: npt.NDArray[np.bool_] | None = None) -> Tokens:
    """One integer a row."""
    kinds, codes = np.unique(values, return_inverse=True)
    labels = pa.array([str(kind) for kind in kinds.tolist()], pa.string())
    return Tokens(labels, codes.astype(np.int64), None, valid)


def strings(values: pa.Array) -> Tokens:
    """One string a row; null has none."""
    encoded = values.cast(pa.string()).dictionary_encode()
    valid = None if values.null_count == 0 else ~np.asarray(values.is_null())
    codes = encoded.indices.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return Tokens(encoded.dictionary, codes, None, valid)


def recoded(tokens: Tokens, labels: pa.StringArray) -> Tokens:
    """One value a row by another name each; where that is null, the row has none.

    Parameters
    ----------
    labels : pyarrow.StringArray
        One for each of the tokens' own labels; several may be equal.
    """
    encoded = labels.dictionary_encode()
    has_name = ~np.asarray(labels.is_null())
    codes = encoded.indices.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    if len(labels) == 0:
        return Tokens(encoded.dictionary, tokens.codes, None, tokens.valid)
    valid = has_name[tokens.codes]
    if tokens.valid is not None:
        valid = valid & tokens.valid
    return Tokens(encoded.dictionary, codes[tokens.codes], None, valid)


def each_of(tokens: Tokens, lists_of_labels: Tokens) -> Tokens:
    """Any number of values a row: those of the list that stands for its one value.

    Parameters
    ----------
    lists_of_labels : Tokens
        As of `lists`: a list for each of the tokens' own labels.
    """
    ends = lists_of_labels.offsets
    if ends is None or len(tokens.labels) == 0:
        none = np.zeros(len(tokens.codes) + 1, dtype=np.int64)
        return Tokens(lists_of_labels.labels, tokens.codes[:0], none)
    lengths = np.diff(ends)[tokens.codes]
    if tokens.valid is not None:
        lengths = np.where(tokens.valid, lengths, 0)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    starts = ends[:-1][tokens.codes]
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    return Tokens(
        lists_of_labels.labels, lists_of_labels.codes[np.repeat(starts, lengths) + within], offsets
    )


def lists(values: pa.ListArray) -> Tokens:
    """Any number of strings a row; null rows and null entries have none."""
    if values.null_count or values.values.null_count:
        kept = pc.list_flatten(values)
        parents = pc.list_parent_indices(values)
        good = kept.is_valid()
        kept, parents = kept.filter(good), parents.filter(good).to_numpy()
        offsets = np.searchsorted(parents, np.arange(len(values) + 1))
        encoded = kept.cast(pa.string()).dictionary_encode()
        codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        return Tokens(encoded.dictionary, codes, offsets.astype(np.int64))
    flat = values.flatten()
    offsets = values.offsets.to_numpy().astype(np.int64)
    encoded = flat.cast(pa.string()).dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return Tokens(encoded.dictionary, codes, offsets - offsets[0])


def cross(parts: list[Tokens]) -> Tokens:
    """Values of several one-value namespaces together, joined by `|`.

    Raises
    ------
    ValueError
        A part holds lists.
    """
    if any(part.offsets is not None for part in parts):
        raise ValueError("a cross takes namespaces of one value a row")
    combined = np.zeros(len(parts[0].codes), dtype=np.int64)
    for part in parts:
        combined = combined * max(len(part.labels), 1) + part.codes
    kinds, codes = np.unique(combined, return_inverse=True)
    columns: list[list[str]] = []
    rest = kinds
    for part in reversed(parts):
        size = max(len(part.labels), 1)
        names = np.array([*part.labels.to_pylist(), ""], dtype=object)
        columns.insert(0, names[rest % size].tolist())
        rest = rest // size
    labels = pa.array(["|".join(values) for values in zip(*columns, strict=True)], pa.string())
    masks = [part.valid for part in parts if part.valid is not None]
    valid = np.logical_and.reduce(masks) if masks else None
    return Tokens(labels, codes.astype(np.int64), None, valid)
