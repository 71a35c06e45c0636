"""Rules of a user's own beside those that come with the project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.quality.rule_files import RuleError

_OVERRIDE = "override"


def joined(
    files: Mapping[str, Mapping[str, Any]], own: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """Add own rules to those of the same table.

    Parameters
    ----------
    files, own : mapping
        Parsed rule files by name. An own rule with `override = true` takes the place of the one of
        its name.

    Returns
    -------
    dict
        Parsed rule files, one a table; a table that both have is under both names.

    Raises
    ------
    RuleError
        A name is taken and nothing is said of overriding, or there is nothing to override.
    """
    made = dict(files)
    for name, content in own.items():
        table = content.get("table")
        before = next((n for n, c in made.items() if c.get("table") == table), None)
        given = made.pop(before) if before is not None else {}
        rules = _joined(name, str(table), given.get("rule", []), content.get("rule", []))
        together = f"{before} with {name}" if before is not None else name
        made[together] = {**given, **content, "rule": rules}
    return made


def _joined(
    name: str, table: str, rules: list[Mapping[str, Any]], own: list[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    made = list(rules)
    for rule in own:
        called = rule.get("name")
        bare = {key: value for key, value in rule.items() if key != _OVERRIDE}
        place = next((n for n, other in enumerate(made) if other.get("name") == called), None)
        if rule.get(_OVERRIDE) and place is None:
            raise RuleError(f"{name}: there is no rule {table}.{called} to override")
        if place is None:
            made.append(bare)
        elif rule.get(_OVERRIDE):
            made[place] = bare
        else:
            raise RuleError(
                f"{name}: there is a rule {table}.{called} already: take another name, or say "
                "override = true"
            )
    return made
