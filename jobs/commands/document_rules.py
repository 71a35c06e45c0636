"""The text of docs/rules.md: every kind of quality rule, from its declaration."""

from __future__ import annotations

import inspect
import re
import tomllib
import types
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from jobs.setup.environment import conf_directory
from pipelines.quality.rule_files import TableRules
from pipelines.quality.rules import Rule

INTRO = """# Rules of quality

A rule file holds the rules of one table, in TOML. Those that come with the project are in
`conf/quality/`. Your own are in `quality/` of your project (`--project DIR`) or beside a source's
`source.toml`: [sources.md](sources.md#your-own-folder). Rules for a table that has some join them;
a rule with a name that is taken is refused unless it says `override = true`.

Every measure is SQL of DuckDB over the rows of a day, and all rules of a table are one pass.
`promoted-ctr profile TABLE` drafts a file from what the last days hold, and
`promoted-ctr check --table ADDRESS --rules FILE` tries one on any Delta or Parquet table.

What comes of it is a row of [`quality_results`](tables.md#quality_results): PASS; FAIL where a rule
of severity `block` or `quarantine` is broken, WARN where one of `warn` or `info` is; SKIP with the
reason where there is nothing to judge; ERROR where the SQL cannot be evaluated. A blocking FAIL or
ERROR stops the run with exit code 10, and consumers go on reading what was published before.

A folder of rules may hold suites of Great Expectations as well: `*.json`, as it stores them, over
the rows of a table's day. `meta` of the suite says the `table` (else the file's name does), and
`meta` of the suite or of an expectation the `severity` (`warn` where nothing is said). They are
judged after publishing, so that `block` is told as FAIL but stops nothing: what must stop a day is
a rule. Results are checks `<file>:<expectation>` of the table. Of a day of more than
`quality.suite_rows` rows they see a sample, which the result says; expectations about all rows,
such as uniqueness, are then SKIP. No value of a row is kept, unless an expectation that collects
values, such as a set of distinct ones, is asked for a column that holds such.
"""

_SECTION = re.compile(r"^(\w[\w ]*)\n-+\n", re.MULTILINE)
_ENTRY = re.compile(r"^(\w[\w, ]*?) : ([^\n]*)\n((?:[ ]{4}[^\n]*\n?|\n)*)", re.MULTILINE)


def rules_document(notice: str) -> str:
    """Describe the rule file, what every rule has, and each kind."""
    kinds = get_args(get_args(Rule)[0])
    common = _common(kinds)
    examples = _examples()
    parts = [INTRO.rstrip(), notice, "## The file", _summary(TableRules)]
    parts += [_fields(TableRules, set())]
    names = [f"[`{_kind(model)}`](#{_kind(model)})" for model in kinds]
    parts += ["## What every rule has", f"`kind` is one of {', '.join(names)}.",
              _fields(kinds[0].__bases__[0], set())]  # fmt: skip
    for model in kinds:
        parts += [f"## {_kind(model)}", _summary(model)]
        if set(model.model_fields) - common - {"kind"}:
            parts.append(_fields(model, common | {"kind"}))
        parts += _limits(model)
        if _kind(model) in examples:
            parts.append(f"```toml\n{examples[_kind(model)]}\n```")
    return "\n\n".join(part for part in parts if part) + "\n"


def _kind(model: type[BaseModel]) -> str:
    return str(get_args(model.model_fields["kind"].annotation)[0])


def _common(kinds: tuple[type[BaseModel], ...]) -> set[str]:
    """Fields that every kind has."""
    names = [set(model.model_fields) for model in kinds]
    return set.intersection(*names) - {"kind"}


def _limits(model: type[BaseModel]) -> list[str]:
    limit = model.model_fields["max"].default
    return [] if limit is None else [f"`max` is {limit:g} where nothing is said."]


def _summary(model: type[BaseModel]) -> str:
    """All of a docstring before its sections."""
    return _SECTION.split(inspect.getdoc(model) or "", maxsplit=1)[0].strip()


def _fields(model: type[BaseModel], left_out: set[str]) -> str:
    told = _told(model)
    rows = [
        f"| `{name}` | {_type(field)} | {_default(field)} | {told.get(name, '')} |"
        for name, field in model.model_fields.items()
        if name not in left_out
    ]
    return "\n".join(["| field | type | default | what it says |", "|---|---|---|---|", *rows])


def _told(model: type[BaseModel]) -> dict[str, str]:
    """What the docstrings of a model and its bases say of their attributes, in one line each."""
    told: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not (inspect.isclass(base) and issubclass(base, BaseModel)) or base is BaseModel:
            continue
        _, _, attributes = (inspect.cleandoc(base.__doc__ or "") + "\n").partition(
            "Attributes\n----------\n"
        )
        for names, _, text in _ENTRY.findall(attributes):
            line = " ".join(text.split()).replace("|", "\\|")
            told |= {name.strip(): line for name in names.split(",")}
    return told


def _type(field: FieldInfo) -> str:
    return _word(field.annotation).replace("|", "\\|")


def _word(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(_word(part) for part in inner if part is not type(None))
    if origin is dict:
        return f"table of {_word(inner[1])}"
    if origin is tuple:
        return "list" if inner[0] is not str else "list of text"
    words = {str: "text", float: "number", int: "whole number", bool: "true or false"}
    return words.get(annotation, "rules")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    if value is None or value == "" or value == {} or value == ():
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float | int) else f"`{value}`"


def _examples() -> dict[str, str]:
    """The first rule of every kind among those that come with the project, as it is written."""
    found: dict[str, str] = {}
    for path in sorted((conf_directory() / "quality").glob("*.toml")):
        head, *blocks = re.split(r"^(?=\[\[rule\]\])", path.read_text(encoding="utf-8"), flags=re.M)
        table = tomllib.loads(head)["table"]
        for block in blocks:
            (rule,) = tomllib.loads(block)["rule"]
            found.setdefault(rule["kind"], f"# of {table}\n{block.strip()}")
    return found
