"""The rows that features are assembled from, and assembling them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.days import day_numbers
from pipelines.features.assemble import Assembler, names_batch
from pipelines.features.history import SUMS, of_type
from pipelines.features.keys import id_keys
from pipelines.features.rows import SlotRows
from pipelines.features.tokens import Tokens
from schemas.features import FEATURE_NAMES, FEATURES

LISTING_ENTITIES = {"listing": "listing_id", "shop": "shop_id", "category": "category"}
CONTEXT_ENTITIES = {"query": "query", "user": "user_id"}

_BATCH_ROWS = 65_536


def with_history(rows: pa.Table, history: pa.Table, entities: Mapping[str, str]) -> pa.Table:
    """Add the window sums of entities as ``<entity>_<surface>_<what>``; null where unseen.

    Parameters
    ----------
    rows : pyarrow.Table
        Of one day, with the id columns.
    history : pyarrow.Table
        entity_type, entity_id and `SUMS` of that day, unique.
    entities : mapping
        Entity type to the id column of `rows`.
    """
    for entity, key in entities.items():
        of_entity = of_type(history, entity)
        places = pc.index_in(rows[key], of_entity["entity_id"].combine_chunks())
        for name in SUMS:
            rows = rows.append_column(
                f"{entity}_{name}", of_entity[name].combine_chunks().take(places)
            )
    return rows


def context_entity_ids(contexts: pa.Table) -> pa.ChunkedArray:
    """The ids of all entities whose history rows of context want, repeated or not."""
    return _ids(contexts, CONTEXT_ENTITIES)


def listing_entity_ids(listings: pa.Table) -> pa.ChunkedArray:
    """The ids of all entities whose history listings want, repeated or not."""
    return _ids(listings, LISTING_ENTITIES)


def _ids(rows: pa.Table, entities: Mapping[str, str]) -> pa.ChunkedArray:
    chunks = [c for key in entities.values() for c in rows[key].chunks]
    return pa.chunked_array(chunks, pa.string())


def batches_of(rows: pa.Table) -> Iterator[pa.RecordBatch]:
    """The rows in batches whose buffers begin with their first row."""
    for start in range(0, len(rows), _BATCH_ROWS):
        part = rows.take(pa.array(np.arange(start, min(start + _BATCH_ROWS, len(rows)))))
        yield from part.combine_chunks().to_batches()


def even_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of one size, so that it does not matter how they were cut."""
    kept: list[pa.RecordBatch] = []
    for batch in batches:
        if not kept and batch.num_rows == _BATCH_ROWS:
            yield batch
            continue
        kept.append(batch)
        rows = sum(one.num_rows for one in kept)
        if rows >= _BATCH_ROWS:
            table, whole = pa.Table.from_batches(kept), rows // _BATCH_ROWS * _BATCH_ROWS
            yield from batches_of(table.slice(0, whole))
            kept = table.slice(whole).to_batches()
    if len(kept) == 1 and kept[0].column(0).offset == 0:
        yield kept[0]
    elif kept:
        yield from batches_of(pa.Table.from_batches(kept))


def one_batch(table: pa.Table) -> pa.RecordBatch:
    """All rows in one batch, which may be empty."""
    whole = table.combine_chunks()
    return pa.RecordBatch.from_arrays(
        [
            column.chunk(0) if column.num_chunks else pa.array([], column.type)
            for column in whole.columns
        ],
        schema=whole.schema,
    )


class Names:
    """The distinct values behind the hashes of a day."""

    def __init__(self) -> None:
        self._batches: list[pa.RecordBatch] = []

    def add(self, tokens: Mapping[str, Tokens], batch: pa.RecordBatch) -> None:
        """Add the feature values of a batch."""
        self._batches += names_batch(tokens, day_numbers(batch.column("ds")))

    def table(self) -> pa.Table:
        """Columns of `feature_names`; each value once."""
        kinds = [("slot", pa.int32()), ("namespace", pa.string()), ("value", pa.string())]
        schema = pa.schema([("ds", pa.date32()), *kinds, ("rows", pa.int64())])
        return added_names(pa.Table.from_batches(self._batches, schema))


def added_names(names: pa.Table) -> pa.Table:
    """Columns of `feature_names`, each value once, from those of several parts of days."""
    return (
        names.group_by(["slot", "namespace", "value", "ds"], use_threads=False)
        .aggregate([("rows", "sum")])
        .rename_columns({"rows_sum": "rows"})
        .select(list(FEATURE_NAMES.column_names))
    )


def assemble_listings(rows: pa.Table, assembler: Assembler, names: Names | None = None) -> pa.Table:
    """Hash listing scope once per listing and day.

    Parameters
    ----------
    rows : pyarrow.Table
        Listings of a day with their history.
    names : Names, optional
        Is told all values.

    Returns
    -------
    pyarrow.Table
        Columns of `listing_features`.
    """
    kinds = [(name, pa.binary()) for name in ("historical_slots", "content_slots", "words")]
    schema = pa.schema([("listing_id", pa.string()), *kinds, ("ds", pa.date32())])
    made = [schema.empty_table()]
    for batch in batches_of(rows):
        tokens = assembler.tokens(batch, "listing")
        slots = assembler.rows(tokens, "listing")
        if names is not None:
            names.add(tokens, batch)
        columns = {
            "listing_id": batch.column("listing_id"),
            "historical_slots": slots["historical"].to_binary(),
            "content_slots": slots["content"].to_binary(),
            "words": listing_words(assembler, batch),
            "ds": batch.column("ds"),
        }
        made.append(pa.table(columns))
    return pa.concat_tables(made)


def listing_words(assembler: Assembler, batch: pa.RecordBatch) -> pa.Array:
    """Packed hashes of the words of each listing; null where no feature asks for them."""
    if not assembler.has_pairs:
        return pa.nulls(batch.num_rows, pa.binary())
    return assembler.word_rows(batch, "title", "tags").to_binary()


def batches_with_listings(rows: pa.Table, listings: pa.Table) -> Iterator[pa.RecordBatch]:
    """The rows in batches with the columns of their listings; null where in no snapshot."""
    places = pc.index_in(rows["listing_id"], listings["listing_id"].combine_chunks())
    columns = listings.drop_columns(["listing_id", "ds"]).combine_chunks()
    done = 0
    for batch in batches_of(rows):
        joined = columns.take(places.slice(done, batch.num_rows)).combine_chunks()
        for name in joined.column_names:
            batch = batch.append_column(name, joined[name].combine_chunks())
        done += batch.num_rows
        yield batch


def request_rows(
    assembler: Assembler, batch: pa.RecordBatch, names: Names | None = None
) -> dict[str, list[SlotRows]]:
    """Context and pair rows of a batch of impressions that carry their listing's `words`."""
    tokens = assembler.tokens(batch, "context")
    if names is not None:
        names.add(tokens, batch)
    parts = {model: [rows] for model, rows in assembler.rows(tokens, "context").items()}
    if assembler.has_pairs:
        query = assembler.word_rows(batch, "query")
        pairs = assembler.pair_rows(query, SlotRows.from_binary(batch.column("words")))
        for model, rows in pairs.items():
            parts[model].append(rows)
    return parts


def build_features(
    contexts: pa.Table, listing_rows: pa.Table, assembler: Assembler, names: Names | None = None
) -> pa.Table:
    """Hash sampled impressions of a day into packed rows, in training order.

    Parameters
    ----------
    contexts : pyarrow.Table
        Columns of `training_samples` with the history of context.
    listing_rows : pyarrow.Table
        As of `assemble_listings`, unique.
    names : Names, optional
        Is told all values of context.

    Returns
    -------
    pyarrow.Table
        Columns of `features`, sorted by order_key.
    """
    made = []
    for batch in batches_with_listings(contexts.sort_by("order_key"), listing_rows):
        columns = {name: batch.column(name) for name in batch.schema.names}
        for model, rows in request_rows(assembler, batch, names).items():
            of_listing = SlotRows.from_binary(batch.column(f"{model}_slots"))
            columns[f"{model}_slots"] = SlotRows.concatenate([of_listing, *rows]).to_binary()
        columns["listing_key"] = pa.array(id_keys(batch.column("listing_id")))
        made.append(pa.table({name: columns[name] for name in FEATURES.column_names}))
    return pa.concat_tables(made) if made else contexts.slice(0, 0).select([])
