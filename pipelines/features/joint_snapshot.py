"""What listings have only among all others of their day, counted slice by slice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipelines.features.joint_dense import Lengths, add_lengths, usual_length, vector_lengths
from pipelines.features.joint_inputs import Prices, add_prices, category_prices
from pipelines.features.joint_namespace import DENSE
from pipelines.features.joint_registry import JointRegistry


@dataclass(frozen=True)
class SnapshotFacts:
    """What is known of all listings of a day.

    Attributes
    ----------
    prices : mapping of str to (int, int)
        As of `category_prices`.
    lengths : mapping of str to mapping
        `vector_lengths` by dense namespace.
    """

    prices: Prices
    lengths: Mapping[str, Lengths]

    @property
    def usual_lengths(self) -> dict[str, int]:
        """The length that counts, by dense namespace."""
        return {name: usual_length(own) for name, own in self.lengths.items()}


def snapshot_columns(registry: JointRegistry) -> list[str]:
    """Columns of `listings` that `count_snapshot` reads."""
    return sorted({"category", "price", *_dense_inputs(registry).values()})


def count_snapshot(registry: JointRegistry, listings: pa.Table) -> dict[str, Any]:
    """Count listings of a day, for `add_snapshots`; it can be told as JSON."""
    dense = _dense_inputs(registry)
    return {
        "prices": category_prices(listings),
        "lengths": {name: vector_lengths(listings[column]) for name, column in dense.items()},
    }


def add_snapshots(registry: JointRegistry, counted: Iterable[Mapping[str, Any]]) -> SnapshotFacts:
    """What is known of all listings of a day from the `count_snapshot` of its slices."""
    found = list(counted)
    return SnapshotFacts(
        add_prices(one["prices"] for one in found),
        {
            name: add_lengths(
                {int(length): rows for length, rows in one["lengths"][name].items()}
                for one in found
            )
            for name in _dense_inputs(registry)
        },
    )


def _dense_inputs(registry: JointRegistry) -> dict[str, str]:
    """The column of `listings` of each dense namespace."""
    return {n.name: n.inputs[0] for n in registry.namespaces if n.encoding == DENSE}
