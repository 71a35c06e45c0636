"""A day of traffic as rows of the joint model, and the day's entities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.features.feature_rows import batches_of, one_batch
from pipelines.features.id_rows import packed
from pipelines.features.joint_reference import reference_rows
from pipelines.features.joint_rows import JointAssembler
from pipelines.samples.balanced import order_key


def build_joint_day(
    traffic: pa.Table,
    snapshot: pa.Table,
    assembler: JointAssembler,
    reference: Mapping[str, int],
) -> Iterator[tuple[str, pa.Table]]:
    """Rows and entities of a day.

    Parameters
    ----------
    traffic : pyarrow.Table
        Valid rows of `labeled_impressions` of the day.
    snapshot : pyarrow.Table
        All listings of the day, with the columns of `joint_inputs`.
    reference : mapping of str to int
        As of `reference_ids`.

    Yields
    ------
    (str, pyarrow.Table)
        Rows of `joint_rows`, in learning order, and of `joint_entities`.
    """
    registry = assembler.registry
    listed = snapshot.sort_by("listing_id").combine_chunks()
    batch = one_batch(listed)
    listings = assembler.listings(batch)
    key = pa.array(order_key(traffic["impression_id"]))
    ordered = traffic.append_column("order_key", key).sort_by("order_key").combine_chunks()
    at = pc.fill_null(pc.index_in(ordered["listing_id"], listed["listing_id"].combine_chunks()), -1)
    places = at.combine_chunks().to_numpy().astype(np.int64)
    done = 0
    made_rows: list[pa.Table] = []
    for part in batches_of(ordered):
        own = places[done : done + part.num_rows]
        done += part.num_rows
        part_rows = pa.table(
            {
                "order_key": part.column("order_key"),
                "surface": part.column("surface"),
                "clicked": part.column("clicked"),
                "sampling_rate": np.ones(part.num_rows),
                "ids": packed(assembler.rows(part, listings, own)),
                "ds": part.column("ds"),
            }
        )
        made_rows.append(part_rows)
    # In one piece, which makes one file of the day: the learner reads it in its order.
    if made_rows:
        yield "joint_rows", pa.concat_tables(made_rows)
    day = pa.scalar(ordered["ds"][0] if len(ordered) else listed["ds"][0])
    for entity in dict.fromkeys(content.of for content in registry.contents):
        namespace = registry.by_name[entity]
        if namespace.scope == "listing":
            made = assembler.contents(batch, entity)
            at_reference = packed(reference_rows(registry, listings, reference))
        else:
            name = namespace.inputs[0]
            distinct = pc.unique(ordered[name]).drop_null().sort()
            made = assembler.contents(pa.RecordBatch.from_pydict({name: distinct}), entity)
            at_reference = pa.nulls(len(made), pa.list_(pa.int64()))
        made = made.append_column("reference_ids", at_reference)
        yield "joint_entities", made.append_column("ds", pa.repeat(day, len(made)))
