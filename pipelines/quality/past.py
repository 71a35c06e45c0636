"""What earlier checks measured: the memory of comparisons with other tables and other days."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

Kept = TypeVar("Kept")
Key = tuple[str, str, str]
"""Table, check and slice."""


@dataclass
class Past:
    """Recorded values by check and day; of several records of a day the last one added counts.

    Attributes
    ----------
    values : dict
        Observed values.
    anomalies : dict
        Days on which the check did not pass.
    states : dict
        What the check kept of a day, as JSON.
    """

    values: dict[Key, dict[date, float]] = field(default_factory=dict)
    anomalies: dict[Key, set[date]] = field(default_factory=dict)
    states: dict[Key, dict[date, str]] = field(default_factory=dict)

    def add(
        self, key: Key, day: date, status: str, observed: float | None, state: str | None = None
    ) -> None:
        """Remember a result."""
        values = self.values.setdefault(key, {})
        days = self.anomalies.setdefault(key, set())
        values.pop(day, None)
        days.discard(day)
        states = self.states.setdefault(key, {})
        states.pop(day, None)
        if state is not None:
            states[day] = state
        if observed is not None:
            values[day] = observed
        if status in ("WARN", "FAIL"):
            days.add(day)

    def value(self, key: Key, day: date) -> float | None:
        """Give the value of a day; None where none was measured."""
        return self.values.get(key, {}).get(day)

    def since(self, first: date, tables: Collection[str]) -> Past:
        """Keep some tables, from a first day on."""
        return Past(
            {k: _since(first, days) for k, days in self.values.items() if k[0] in tables},
            {
                k: {day for day in days if day >= first}
                for k, days in self.anomalies.items()
                if k[0] in tables
            },
            {k: _since(first, days) for k, days in self.states.items() if k[0] in tables},
        )


def _since(first: date, days: Mapping[date, Kept]) -> dict[date, Kept]:
    return {day: value for day, value in days.items() if day >= first}
