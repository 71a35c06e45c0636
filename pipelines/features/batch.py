"""The columns that encodings read, and what several of them share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.features.rates import Rates


@dataclass
class Batch:
    """The columns of a batch and what several encodings share of them."""

    columns: pa.RecordBatch
    strengths: Mapping[tuple[int, str, str], float]

    @cached_property
    def rates(self) -> Rates:
        """Smoothed ratios, each computed once."""
        return Rates(self.columns, self.strengths)

    def column(self, name: str) -> pa.Array:
        """A column, or the value of one attribute by ``attributes.<key>``."""
        if "." in name:
            holder, key = name.split(".", 1)
            return map_value(self.columns.column(holder), key)
        return self.columns.column(name)


def map_value(attributes: pa.Array, key: str) -> pa.Array:
    """The value of one key of a map column; null where it is not there."""
    if attributes.null_count == len(attributes):
        return pa.nulls(len(attributes), pa.string())
    return pc.map_lookup(attributes, pa.scalar(key), "first").cast(pa.string())
