"""Rows of the joint model: ids of values by namespace, and what entities are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.features.batch import Batch
from pipelines.features.encodings import ENCODINGS
from pipelines.features.feature_rows import batches_of
from pipelines.features.id_rows import packed, unpacked
from pipelines.features.ids import NONE, value_ids
from pipelines.features.joint_columns import stored_namespaces
from pipelines.features.joint_dense import dense_values
from pipelines.features.joint_namespace import DENSE, JointNamespace
from pipelines.features.joint_registry import JointRegistry
from pipelines.features.pairs import MAX_SHARED, shared_words
from pipelines.features.rows import SlotRows
from pipelines.features.text_encodings import encode_unigrams, encode_words
from pipelines.features.tokens import Tokens

Ids = npt.NDArray[np.int64]

WORDS = "shared_words"
_WORD_COLUMNS = ("title", "tags")
ValueCounts = dict[str, dict[str, int]]
"""Rows by namespace and value."""


def token_ids(namespace: str, tokens: Tokens) -> Ids:
    """Ids of one-value tokens, shape (n,); `NONE` where a row has none."""
    if len(tokens.labels) == 0:
        return np.full(len(tokens.codes), NONE, dtype=np.int64)
    ids: Ids = value_ids(namespace, tokens.labels)[tokens.codes]
    if tokens.valid is not None:
        ids[~tokens.valid] = NONE
    return ids


@dataclass(frozen=True)
class ListingIds:
    """Listing scope of m listings, once a day.

    Attributes
    ----------
    ids : mapping of str to numpy.ndarray of int64, shape (m,)
        By registered namespace of listing scope.
    words : SlotRows
        Hashes of their words, for what they share with a query.
    """

    ids: Mapping[str, Ids]
    words: SlotRows

    def columns(self) -> dict[str, pa.Array]:
        """Columns of `joint_listings`, by which `of_rows` makes them again."""
        return {
            "ids": packed(np.column_stack(list(self.ids.values()))),
            "words": self.words.to_binary(),
        }

    @classmethod
    def of_rows(cls, rows: pa.Table, namespaces: Sequence[str]) -> ListingIds:
        """Those of rows of `joint_listings`, whose namespaces of listings are named in order."""
        ids = unpacked(rows["ids"], len(namespaces))
        words = SlotRows.from_binary(rows["words"].combine_chunks())
        return cls({name: ids[:, k] for k, name in enumerate(namespaces)}, words)


@dataclass(frozen=True)
class JointAssembler:
    """From columns to rows of ids."""

    registry: JointRegistry
    lengths: Mapping[str, int] = field(default_factory=dict)
    """Of vectors that count, by dense namespace; where it is not named, the most frequent one."""

    def listings(self, batch: pa.RecordBatch) -> ListingIds:
        """Listing scope of a batch of listings with ds."""
        columns = Batch(batch, {})
        ids = {
            n.name: token_ids(n.name, ENCODINGS[n.encoding](columns, n.inputs))
            for n in self.registry.of_scope("listing")
        }
        words = encode_words(columns, _WORD_COLUMNS).slots(WORDS)
        return ListingIds(ids, words)

    @property
    def listing_namespaces(self) -> list[str]:
        """Names of the namespaces of `listings`."""
        return [n.name for n in self.registry.of_scope("listing")]

    def listing_ids(self, batch: pa.RecordBatch) -> dict[str, Ids]:
        """Ids of the listings themselves, and of what else may be as many, by namespace."""
        columns = Batch(batch, {})
        return {
            n.name: token_ids(n.name, ENCODINGS[n.encoding](columns, n.inputs))
            for n in self.registry.of_scope("listing")
            if n.is_id
        }

    def values(self, batch: pa.RecordBatch, listings: ListingIds, at: npt.NDArray[np.int64]) -> Ids:
        """Rows of impressions as they are stored.

        Parameters
        ----------
        batch : pyarrow.RecordBatch
            n impressions: `traffic_columns` of `labeled_impressions`.
        listings : ListingIds
        at : numpy.ndarray of int64, shape (n,)
            Number of each row's listing; -1 where it is in no snapshot: of such a listing only
            the id is known.

        Returns
        -------
        numpy.ndarray of int64, shape (n, S)
            One column for each of `stored_namespaces`.
        """
        columns = Batch(batch, {})
        stored = stored_namespaces(self.registry)
        rows = np.empty((batch.num_rows, len(stored)), dtype=np.int64)
        for number, namespace in enumerate(stored):
            if namespace.scope == "request":
                tokens = ENCODINGS[namespace.encoding](columns, namespace.inputs)
                rows[:, number] = token_ids(namespace.name, tokens)
            elif namespace.scope == "listing":
                rows[:, number] = self._of_listing(namespace, columns, listings, at)
            else:
                rows[:, number] = self._shared(namespace.name, columns, listings, at)
        return rows

    @property
    def traffic_columns(self) -> list[str]:
        """Columns of `labeled_impressions` that `values` reads."""
        named = {
            i for n in stored_namespaces(self.registry) if n.scope == "request" for i in n.inputs
        }
        return sorted({name.partition(".")[0] for name in named} | {"listing_id", "query"})

    @property
    def value_columns(self) -> list[str]:
        """Columns of `labeled_impressions` that `request_values` reads."""
        few = [n for n in self.registry.of_scope("request") if not n.is_id]
        return sorted({name.partition(".")[0] for n in few for name in n.inputs})

    def request_values(self, traffic: pa.Table) -> ValueCounts:
        """Values of every namespace of request scope that has few, with their rows.

        Parameters
        ----------
        traffic : pyarrow.Table
            Any impressions of a day.
        """
        counts: ValueCounts = {}
        for batch in batches_of(traffic):
            columns = Batch(batch, {})
            for namespace in self.registry.of_scope("request"):
                if namespace.is_id:
                    continue
                tokens = ENCODINGS[namespace.encoding](columns, namespace.inputs)
                own = counts.setdefault(namespace.name, {})
                for label, rows in zip(tokens.labels.to_pylist(), tokens.counts(), strict=True):
                    own[label] = own.get(label, 0) + int(rows)
        return counts

    def _of_listing(
        self,
        namespace: JointNamespace,
        columns: Batch,
        listings: ListingIds,
        at: npt.NDArray[np.int64],
    ) -> Ids:
        known = np.append(listings.ids[namespace.name], NONE)[at]
        if namespace.inputs == ("listing_id",):
            own = ENCODINGS[namespace.encoding](columns, namespace.inputs)
            return np.where(at < 0, token_ids(namespace.name, own), known)
        return known

    def _shared(
        self, name: str, columns: Batch, listings: ListingIds, at: npt.NDArray[np.int64]
    ) -> Ids:
        """How many words query and listing share, out of how many; none without a query."""
        query = encode_unigrams(columns, ("query",)).slots(WORDS)
        shared = shared_words(query, _taken(listings.words, at))
        of = np.minimum(query.lengths, MAX_SHARED)
        labels = [f"{f}/{n}" for n in range(MAX_SHARED + 1) for f in range(MAX_SHARED + 1)]
        ids = value_ids(name, pa.array(labels, pa.string()))
        found = ids[of * (MAX_SHARED + 1) + np.minimum(shared.lengths, of)]
        return np.where(of > 0, found, NONE)

    def contents(self, batch: pa.RecordBatch, entity: str) -> pa.Table:
        """What the entities of a batch are made of.

        Parameters
        ----------
        batch : pyarrow.RecordBatch
            Listings, or distinct queries, one row an entity.
        entity : str
            The row namespace of the entities.

        Returns
        -------
        pyarrow.Table
            entity, id, parts (list of int64), kinds (list of int32: numbers into the registry's
            contents) and values (list of float32), one row an entity.
        """
        columns = Batch(batch, {})
        own = self.registry.by_name[entity]
        ids = token_ids(entity, ENCODINGS[own.encoding](columns, own.inputs))
        held = [
            _held(content, number, columns, self.lengths.get(content.name))
            for number, content in enumerate(self.registry.contents)
            if content.of == entity
        ]
        part, owner, kind, value = (
            np.concatenate([getattr(one, name) for one in held])
            for name in ("parts", "owner", "kinds", "values")
        )
        order = np.argsort(owner, kind="stable")
        ends = np.searchsorted(owner[order], np.arange(batch.num_rows + 1)).astype(np.int32)
        lists = {
            name: pa.ListArray.from_arrays(pa.array(ends), pa.array(flat[order]))
            for name, flat in (("parts", part), ("kinds", kind), ("values", value))
        }
        of = pa.repeat(pa.scalar(entity), batch.num_rows)
        return pa.table({"entity": of, "id": pa.array(ids), **lists})


@dataclass(frozen=True)
class _Held:
    """What rows hold of a content, one entry for each row and part."""

    parts: Ids
    owner: Ids
    kinds: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]


def _held(content: JointNamespace, number: int, columns: Batch, length: int | None) -> _Held:
    if content.encoding == DENSE:
        dense = dense_values(content.name, columns.column(content.inputs[0]), length)
        rows = len(dense.values) // max(len(dense.ids), 1)
        parts, owner, values = np.tile(dense.ids, rows), dense.owner, dense.values
    else:
        tokens = ENCODINGS[content.encoding](columns, content.inputs)
        parts, owner = _flat(content.name, tokens, columns.columns.num_rows)
        values = np.ones(len(parts), dtype=np.float32)
    return _Held(parts, owner, np.full(len(parts), number, dtype=np.int32), values)


def _flat(namespace: str, tokens: Tokens, rows: int) -> tuple[Ids, npt.NDArray[np.int64]]:
    """Ids of all values, each once a row, and the row of each."""
    if tokens.offsets is None:
        ids = token_ids(namespace, tokens)
        owner = np.flatnonzero(ids != NONE)
        return ids[owner], owner
    ids = value_ids(namespace, tokens.labels)[tokens.codes] if len(tokens.labels) else tokens.codes
    owner = np.repeat(np.arange(rows), np.diff(tokens.offsets))
    ids = ids[tokens.offsets[0] : tokens.offsets[-1]]
    order = np.lexsort((ids, owner))
    ids, owner = ids[order], owner[order]
    first = np.ones(len(ids), dtype=np.bool_)
    first[1:] = (ids[1:] != ids[:-1]) | (owner[1:] != owner[:-1])
    return ids[first], owner[first]


def _taken(rows: SlotRows, at: npt.NDArray[np.int64]) -> SlotRows:
    """Rows by number; none for -1."""
    packed = rows.to_binary(large=True)
    taken = packed.take(pa.array(np.where(at < 0, 0, at), mask=at < 0))
    return SlotRows.from_binary(taken)
