"""Of a SELECT that Spark refuses its line is told, and what is wrong there."""

from __future__ import annotations

import pytest

from jobs.landing.select_problems import failed_expression, sql_problem

UNKNOWN = """[UNRESOLVED_COLUMN] A column `nope` cannot be resolved. SQLSTATE: 42703; line 3 pos 7;
'Project [nope]
+- SubqueryAlias shown"""
SYNTAX = """
[PARSE_SYNTAX_ERROR] Syntax error at or near 'FORM'. SQLSTATE: 42601 (line 2, pos 5)

== SQL ==
SELECT *
FORM shown
"""
ON_A_ROW = """[CAST_INVALID_INPUT] The value 'abc' cannot be cast. Use `try_cast` instead.
== SQL (line 2, position 2) ==
CAST(query AS INT) AS position
^^^^^^^^^^^^^^^^^^
"""


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        (UNKNOWN, "[UNRESOLVED_COLUMN] A column `nope` cannot be resolved", 3),
        (SYNTAX, "[PARSE_SYNTAX_ERROR] Syntax error at or near 'FORM'", 2),
        ("no place is named", "no place is named", None),
    ],
)
def test_of_a_statement_its_line_is_told_and_not_the_statement(
    text: str, said: str, line: int | None
) -> None:
    assert sql_problem(RuntimeError(text)) == (said, line)


def test_what_fails_on_a_row_is_told_with_its_expression() -> None:
    said = "[CAST_INVALID_INPUT] The value 'abc' cannot be cast"
    assert failed_expression(RuntimeError(ON_A_ROW)) == (said, 2, "CAST(query AS INT) AS position")
    assert failed_expression(RuntimeError("No space left")) is None
