"""What earlier checks measured: the memory of comparisons with other tables and other days."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

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

    def since(self, first: date) -> Past:
        """Keep the days from the first one on."""
        return Past(
            {
                key: {day: value for day, value in values.items() if day >= first}
                for key, values in self.values.items()
            },
            {key: {day for day in days if day >= first} for key, days in self.anomalies.items()},
            {
                key: {day: state for day, state in states.items() if day >= first}
                for key, states in self.states.items()
            },
        )
