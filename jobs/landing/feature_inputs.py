"""What a user's own features read, and which of it a day's rows never hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from jobs.setup.config import Config, JointNamespaceConfig, NamespaceConfig
from schemas.logs import LOGS

_LOG_OF = {"listing": "listings", "context": "impressions", "request": "impressions"}
"""The log that a scope's inputs are in; what joins both has inputs of its own in neither."""


@dataclass(frozen=True)
class OwnInput:
    """An input of a feature that a user has registered.

    Attributes
    ----------
    column, key : str
        A column of the log; of `attributes` the key, else empty.
    """

    feature: str
    log: str
    column: str
    key: str

    @property
    def name(self) -> str:
        """As it is registered."""
        return f"{self.column}.{self.key}" if self.key else self.column

    @property
    def text(self) -> str:
        """What is to be said where it is always empty."""
        does = f"has {self.key!r}" if self.key else f"has a value of {self.column}"
        what = "attributes of no row" if self.key else "no row"
        return (
            f"feature {self.feature} learns nothing: {what} of {self.log} {does}; correct its "
            f"inputs, or have {self.log}.sql yield {self.name}"
        )


def own_inputs(config: Config) -> list[OwnInput]:
    """The inputs of all that is registered beside what comes with the project."""
    found: dict[OwnInput, None] = {}
    more: tuple[NamespaceConfig | JointNamespaceConfig, ...]
    more = (*config.features.more, *config.joint.more)
    for namespace in more:
        log = _LOG_OF.get(namespace.scope, "")
        columns = {column.name for column in LOGS[log]} if log else set()
        for name in namespace.inputs if namespace.encoding != "cross" else ():
            column, _, key = name.partition(".")
            if column in columns and "*" not in key:
                found[OwnInput(namespace.name, log, column, key)] = None
    return list(found)


def empty_inputs(wanted: Iterable[OwnInput], batches: Iterable[pa.RecordBatch]) -> list[OwnInput]:
    """Which inputs have no value in any row; stops reading once all have one.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
        Rows of the log that the inputs are of, with their columns.
    """
    missing = list(wanted)
    for batch in batches:
        missing = [one for one in missing if not pc.any(with_value(batch, one)).as_py()]
        if not missing:
            break
    return missing


def with_value(batch: pa.RecordBatch, wanted: OwnInput) -> pa.Array:
    """Which rows have a value of an input."""
    values = batch.column(wanted.column)
    if wanted.key:
        values = pc.map_lookup(values, pa.scalar(wanted.key), "first")
    if pa.types.is_string(values.type):
        return pc.fill_null(pc.greater(pc.binary_length(values), 0), False)
    return pc.is_valid(values)
