"""Kinds of rules that count rows group by group, and what is asked of learning from them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from pipelines.quality.rule_base import RuleBase

BUCKETS = 512
"""Values of a feature are hashed into so many, so that a day's counts stay small."""


class GroupsRule(RuleBase):
    """Rows, and rows with a condition, of every value of an expression: kept for later days.

    Meant for expressions of few values; all of a day are held at once.

    Attributes
    ----------
    groups : str
        SQL expression that names the group of a row; null is a group too.
    hits : str
        SQL condition for the rows counted apart, such as clicked ones.
    most : int
        Groups kept, those of most rows; the others together are the group `other`.
    """

    kind: Literal["groups"]
    groups: str
    hits: str = "true"
    most: int = Field(default=60, ge=2, le=500)

    def _aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        group = f"coalesce(CAST(({self.groups}) AS VARCHAR), '')"
        selected = self.selects(part) or "true"
        counted = f"histogram({group}) FILTER (WHERE {selected}"
        return {
            "value": f"{counted})",
            "hits": f"{counted} AND ({self.hits}))",
            "rows": self.rows_of(part),
        }


class ClicksRule(RuleBase):
    """Clicks and promised clicks of every group, from a table with one row a group.

    Attributes
    ----------
    groups, clicks, promised : str
        SQL expressions.
    """

    kind: Literal["clicks"]
    groups: str
    clicks: str
    promised: str

    def _aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        row = f"[CAST({self.groups} AS VARCHAR), CAST({self.clicks} AS VARCHAR), "
        row += f"CAST({self.promised} AS VARCHAR)]"
        return {"value": self.filtered(f"list({row})", part), "rows": self.rows_of(part)}


class LeakRule(RuleBase):
    """Greatest area under the ROC curve that a single feature reaches on the label.

    The click rate of each value is learnt on one half of the rows and judged on the other, so that
    values seen once do not look like knowledge; values share 512 buckets by their hash.

    Attributes
    ----------
    features : mapping of str to str
        SQL expressions of what is learnt from, by name.
    attributes : str
        Map column whose keys are features too; empty: none.
    hits : str
        The label.
    min_hits : int
        With fewer labels in either half nothing is judged.
    """

    kind: Literal["leak"]
    features: dict[str, str] = Field(min_length=1)
    attributes: str = ""
    hits: str = "clicked"
    min_hits: int = Field(default=100, ge=1)
    max: float | None = 0.95

    def of_attributes(self, found: tuple[str, ...]) -> LeakRule:
        """Name the keys of the map column as features."""
        quoted = {key: key.replace("'", "''") for key in found}
        more = {
            f"{self.attributes}.{key}": f"{self.attributes}['{text}']"
            for key, text in quoted.items()
        }
        return self.model_copy(update={"features": {**self.features, **more}})

    def _aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        halves = " || ".join(f'CAST("{key}" AS VARCHAR)' for key in keys if key != "ds")
        cell = f"(hash({halves}) % 2) * 2 + CAST(({self.hits}) AS INTEGER)"
        made = {}
        for name, expression in self.features.items():
            bucket = f"hash(coalesce(CAST(({expression}) AS VARCHAR), '')) % {BUCKETS}"
            made[f"value:{name}"] = self.filtered(f"histogram(({bucket}) * 4 + {cell})", part)
        return {**made, "rows": self.rows_of(part)}


class HashingRule(RuleBase):
    """Values that share a slot with another one, as a multiple of what a sound hash gives.

    Beyond any bound where the least or the greatest stored token of the day, or a token whose hash
    is known, does not have the hash that it should have.

    Attributes
    ----------
    slot : str
        Column of full-width hashes, one row a value.
    token : str
        SQL expression of the text that is hashed.
    bits : int
        Lowest bits that make the slot.
    """

    kind: Literal["hashing"]
    slot: str
    token: str
    bits: int = Field(ge=1, le=32)

    @model_validator(mode="after")
    def _names_one_column(self) -> HashingRule:
        if not self.slot.isidentifier():
            raise ValueError("`slot` takes the name of a column")
        return self

    def _aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        slot = f'(CAST("{self.slot}" AS BIGINT) & {(1 << self.bits) - 1})'
        ends = ("min", "max")
        tokens = ", ".join(self.filtered(f"{end}({self.token})", part) for end in ends)
        slots = ", ".join(
            self.filtered(f'arg_{end}("{self.slot}", {self.token})', part) for end in ends
        )
        return {
            "value": self.filtered(f"count(DISTINCT {slot})", part),
            "tokens": f"[{tokens}]",
            "slots": f"[{slots}]",
            "rows": self.rows_of(part),
        }
