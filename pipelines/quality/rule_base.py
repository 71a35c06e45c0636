"""What every quality rule has: the rows it looks at, the bounds it keeps, what happens if not."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Severity = Literal["block", "quarantine", "warn", "info"]


class RuleBase(BaseModel):
    """What every rule has.

    Attributes
    ----------
    name : str
        Name of the check in `quality_results`.
    severity : str
        `block` stops the run, `quarantine` marks rows that ingest should have refused, `warn`
        alerts, `info` only records.
    why : str
        What goes wrong for whom when the rule is broken.
    owner : str
        Who is told, in the routes of alerts; empty: the owner of the table's rules.
    by : mapping
        One column and the values it is sliced by; empty: the whole day.
    where : str
        SQL condition for the rows looked at.
    min, max : float
        Inclusive bounds of the measure.
    min_rows : int
        With fewer rows than this the rule is skipped, not judged.
    cause : str
        What has happened when the rule is broken, in plain words, such as `clicks stopped
        arriving`. Broken rules of a day that share a cause are one finding, and one alert. Empty:
        the rule speaks for itself.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    severity: Severity
    why: str = Field(min_length=10)
    owner: str = ""
    by: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    where: str = ""
    min: float | None = None
    max: float | None = None
    min_rows: int = Field(default=0, ge=0)
    cause: str = ""

    @model_validator(mode="after")
    def _one_slicing_column(self) -> RuleBase:
        if len(self.by) > 1:
            raise ValueError("`by` takes one column")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("`min` is above `max`")
        return self

    @property
    def slices(self) -> tuple[str, ...]:
        """Names of the slices; one empty name for the whole day."""
        return next(iter(self.by.values()), ("",))

    def selects(self, part: str) -> str:
        """Give the SQL condition for the rows of a slice."""
        conditions = [f"({self.where})"] if self.where else []
        for column in self.by:
            value = part.replace("'", "''")
            conditions.append(f"\"{column}\" = '{value}'")
        return " AND ".join(conditions)

    def aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        """Give a slice's SQL aggregates: `value`, and `rows` where the value is not a count.

        None where the rule is about what another rule measures.
        """
        return self._aggregates(part, keys)

    def _aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        return {}

    def counted(self, condition: str, part: str) -> str:
        """Give the SQL that counts the rows of a slice for which a condition holds."""
        selected = self.selects(part)
        return f"count_if(({condition}) AND {selected})" if selected else f"count_if({condition})"

    def filtered(self, aggregate: str, part: str) -> str:
        """Give an SQL aggregate over the rows of a slice."""
        selected = self.selects(part)
        return f"{aggregate} FILTER (WHERE {selected})" if selected else aggregate

    def rows_of(self, part: str) -> str:
        """Give the SQL that counts the rows of a slice."""
        return f"count_if({self.selects(part) or 'true'})"
