"""CHECK constraints of tables as Arrow expressions.

For rows that pass through neither Spark's nor delta-rs' writer on their way into a file. The
grammar is what the declarations need: comparisons of columns with numbers, text or columns, IN,
IS [NOT] NULL, AND, OR and parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from schemas.table import Table

_TOKEN = re.compile(
    r"\s*(?:(?P<number>-?\d+(?:\.\d+)?)|'(?P<text>[^']*)'|(?P<word>[A-Za-z_]\w*)"
    r"|(?P<sign><=|>=|=|<|>|\(|\)|,))"
)
_COMPARE: dict[str, Callable[[pc.Expression, pc.Expression], pc.Expression]] = {
    "=": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}


class _Parser:
    """Recursive descent over the tokens of one condition."""

    def __init__(self, condition: str) -> None:
        self.condition = condition
        self.tokens: list[tuple[str, str]] = []
        end = 0
        while condition[end:].strip():
            token = _TOKEN.match(condition, end)
            if token is None or token.lastgroup is None:
                raise ValueError(f"constraint not understood: {condition}")
            self.tokens.append((token.lastgroup, token[token.lastgroup]))
            end = token.end()

    def parse(self) -> pc.Expression:
        made = self._any()
        if self.tokens:
            raise ValueError(f"constraint not understood: {self.condition}")
        return made

    def _next_is(self, *wanted: str) -> bool:
        """Take the next tokens if they are these words or signs."""
        ahead = [token.upper() for kind, token in self.tokens[: len(wanted)] if kind != "text"]
        if ahead != list(wanted):
            return False
        del self.tokens[: len(wanted)]
        return True

    def _any(self) -> pc.Expression:
        made = self._all()
        while self._next_is("OR"):
            made = made | self._all()
        return made

    def _all(self) -> pc.Expression:
        made = self._one()
        while self._next_is("AND"):
            made = made & self._one()
        return made

    def _one(self) -> pc.Expression:
        if self._next_is("("):
            made = self._any()
            self._expect(")")
            return made
        value = self._value()
        if self._next_is("IS", "NULL"):
            return value.is_null()
        if self._next_is("IS", "NOT", "NULL"):
            return value.is_valid()
        if self._next_is("IN"):
            self._expect("(")
            listed = [self._literal()]
            while self._next_is(","):
                listed.append(self._literal())
            self._expect(")")
            return value.isin(listed)
        for sign, compare in _COMPARE.items():
            if self._next_is(sign):
                return compare(value, self._value())
        raise ValueError(f"constraint not understood: {self.condition}")

    def _expect(self, sign: str) -> None:
        if not self._next_is(sign):
            raise ValueError(f"constraint not understood: {self.condition}")

    def _value(self) -> pc.Expression:
        if self.tokens and self.tokens[0][0] == "word":
            return pc.field(self.tokens.pop(0)[1])
        return pc.scalar(self._literal())

    def _literal(self) -> str | int | float:
        if not self.tokens or self.tokens[0][0] not in ("number", "text"):
            raise ValueError(f"constraint not understood: {self.condition}")
        kind, token = self.tokens.pop(0)
        if kind == "text":
            return token
        return float(token) if "." in token else int(token)


@cache
def expression(condition: str) -> pc.Expression:
    """A CHECK condition as an Arrow expression.

    Raises
    ------
    ValueError
        The condition is outside the grammar.
    """
    return _Parser(condition).parse()


def check_rows(declared: Table, rows: pa.Table) -> None:
    """Refuse rows that the table's NOT NULL and CHECK constraints refuse.

    Parameters
    ----------
    rows : pyarrow.Table
        The declared columns.

    Raises
    ------
    ValueError
        A constraint does not hold, or is neither true nor false, for a row; it is named.
    """
    for column in declared.columns:
        if not column.nullable and rows[column.name].null_count:
            raise ValueError(f"{declared.name}: {column.name} must not be null")
    for name, condition in declared.constraints.items():
        holds = expression(condition)
        if rows.filter(holds).num_rows != len(rows):
            raise ValueError(f"{declared.name}: a row breaks {name}: {condition}")
