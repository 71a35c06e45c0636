"""Tables as they were when something was made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from jobs.storage.tables import Tables

if TYPE_CHECKING:
    from deltalake import DeltaTable


class TablesAsOf(Tables):
    """Tables read on the driver at the versions that are named; the others as they are.

    Nothing is written.
    """

    def __init__(self, tables: Tables, versions: Mapping[str, int]) -> None:
        super().__init__(tables.root)
        self._now, self._versions = tables, versions
        self._then: dict[str, DeltaTable] = {}

    def delta(self, name: str) -> DeltaTable:
        """The delta-rs handle of a table, at its version."""
        if name not in self._versions:
            return super().delta(name)
        if name not in self._then:
            self._then[name] = self._now.delta_at(name, self._versions[name])
        return self._then[name]

    def _commit(
        self, name: str, days: Sequence[date] | None, write: Callable[[DeltaTable], None]
    ) -> int:
        raise RuntimeError(f"{name} is read as it was, and not written")
