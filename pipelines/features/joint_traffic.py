"""A day of traffic as rows of the joint model, and the day's entities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.features.feature_rows import batches_of, one_batch
from pipelines.features.id_rows import packed
from pipelines.features.joint_reference import reference_rows
from pipelines.features.joint_rows import JointAssembler
from pipelines.samples.balanced import non_click_rate, order_key, uniform_hash

_PROMOTED = "promoted"
_SALT = "joint"


@dataclass(frozen=True)
class LearntShare:
    """How much of a day is learnt: all of it, or all clicks and a hash share of the non-clicks.

    Attributes
    ----------
    whole_rows : int
        A day of so many rows is learnt whole, and of a larger one about as many.
    ratio : float
        Non-clicks a click that are learnt in any case.
    """

    whole_rows: int
    ratio: float

    def with_rates(self, traffic: pa.Table) -> pa.Table:
        """Rows of a day that are learnt or, as promoted ones are, predicted.

        Returns
        -------
        pyarrow.Table
            The rows and `sampling_rate`, by which the non-clicks were drawn; null in rows that
            are predicted only.
        """
        clicked = np.asarray(traffic["clicked"])
        count, clicks = len(clicked), int(np.count_nonzero(clicked))
        ratio = max(self.ratio, self.whole_rows / max(clicks, 1) - 1.0)
        rate = non_click_rate(count, clicks, ratio=ratio)
        if rate == 1.0:
            return traffic.append_column("sampling_rate", pa.array(np.ones(count)))
        learnt = clicked | (uniform_hash(traffic["impression_id"], _SALT) < rate)
        rates = pa.array(np.full(count, rate), mask=~learnt)
        kept = learnt | np.asarray(pc.equal(traffic["surface"], _PROMOTED))
        return traffic.append_column("sampling_rate", rates).filter(pa.array(kept))


def build_joint_day(
    traffic: pa.Table,
    snapshot: pa.Table,
    assembler: JointAssembler,
    reference: Mapping[str, int],
    share: LearntShare,
) -> Iterator[tuple[str, pa.Table]]:
    """Rows and entities of a day, by its own registry.

    Parameters
    ----------
    traffic : pyarrow.Table
        Valid rows of `labeled_impressions` of the day.
    snapshot : pyarrow.Table
        All listings of the day, with the columns of `joint_inputs`.
    reference : mapping of str to int
        As of `reference_ids`.
    share : LearntShare

    Yields
    ------
    (str, pyarrow.Table)
        Rows of `joint_rows`, in learning order, and of `joint_entities`.
    """
    registry = assembler.registry
    listed = snapshot.sort_by("listing_id").combine_chunks()
    batch = one_batch(listed)
    listings = assembler.listings(batch)
    kept = share.with_rates(traffic)
    key = pa.array(order_key(kept["impression_id"]))
    ordered = kept.append_column("order_key", key).sort_by("order_key").combine_chunks()
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
                "sampling_rate": part.column("sampling_rate"),
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
