"""What is wrong with a registered namespace of the joint model, in one line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.features.encodings import ENCODINGS, LIST_ENCODINGS
from pipelines.features.joint_inputs import RELATIVE_PRICE, SHOWS_PER_DAY
from pipelines.features.joint_namespace import (
    ANY_ATTRIBUTE,
    CROSS,
    DENSE,
    ROW,
    SHARED_WORDS,
    SURFACE,
    USUAL,
    JointNamespace,
)
from schemas.logs import IMPRESSION_COLUMNS, LISTING_COLUMNS

_SCOPES = ("listing", "request", "pair", "cross")
_PAIR_ENCODINGS = (SHARED_WORDS, USUAL)
_SHARED_INPUTS = ("query", "title", "tags")
COLUMNS = {
    "request": (*(column.name for column in IMPRESSION_COLUMNS), "ds"),
    "listing": (*(column.name for column in LISTING_COLUMNS), RELATIVE_PRICE, SHOWS_PER_DAY, "ds"),
}
"""What namespaces of a scope may read. Nothing of the clicks is among it."""

_NUMBERS = ("int", "double", "array<float>")
DENSE_INPUTS = (
    *(column.name for column in LISTING_COLUMNS if column.type.simpleString() in _NUMBERS),
    RELATIVE_PRICE,
)
"""What dense namespaces may read: numbers, and lists of them."""

Seen = Mapping[str, JointNamespace]


def problem_of(namespace: JointNamespace, seen: Seen) -> str:
    """What is wrong with a namespace, given those before it; empty if nothing."""
    name, encoding = namespace.name, namespace.encoding
    if name in seen:
        return " is registered twice"
    if namespace.scope not in _SCOPES:
        return f": unknown scope {namespace.scope}; there are {', '.join(_SCOPES)}"
    if min(namespace.prior, namespace.unknown, namespace.walk) < 0.0:
        return ": a standard deviation is negative"
    if (namespace.scope == "cross") != (encoding == CROSS):
        return ": scope and encoding cross go together"
    if (namespace.scope == "pair") != (encoding in _PAIR_ENCODINGS):
        return f": scope pair takes {' or '.join(_PAIR_ENCODINGS)}, and only it does"
    if problem := _pattern_problem(namespace, seen):
        return problem
    if encoding == CROSS:
        return _cross_problem(namespace, seen)
    if encoding == USUAL:
        return _usual_problem(namespace, seen)
    if encoding == SHARED_WORDS:
        wanted = ", ".join(_SHARED_INPUTS)
        return "" if namespace.inputs == _SHARED_INPUTS else f": {encoding} takes {wanted}"
    return _encoding_problem(namespace) or _content_problem(namespace, seen)


def _encoding_problem(namespace: JointNamespace) -> str:
    encoding, inputs = namespace.encoding, namespace.inputs
    if encoding == DENSE:
        if namespace.of == ROW or namespace.scope != "listing":
            return f": {DENSE} is content of listings, say of = 'listing'"
        is_one = len(inputs) == 1 and inputs[0] in DENSE_INPUTS
        return "" if is_one else f": {DENSE} takes one of {', '.join(DENSE_INPUTS)}"
    if encoding not in ENCODINGS:
        return f": unknown encoding {encoding}; there are {', '.join(sorted((*ENCODINGS, DENSE)))}"
    if encoding in ("rate_band", "count_band"):
        return f": {encoding} is history, which ids replace here"
    wanted = {"constant": 0, "words": 2}.get(encoding, 1)
    if len(inputs) != wanted:
        return f": {encoding} takes {wanted} inputs, not {len(inputs)}"
    if namespace.of == ROW and encoding in LIST_ENCODINGS:
        return f": {encoding} gives lists; a row takes one value, say of which entity it is content"
    for name in inputs:
        holder, _, key = name.partition(".")
        known = COLUMNS[namespace.scope]
        if holder not in known or (holder == "attributes") != bool(key):
            return (
                f": unknown input {name}; scope {namespace.scope} has {', '.join(known)}, "
                "attributes by attributes.<key>"
            )
    return ""


def _pattern_problem(namespace: JointNamespace, seen: Seen) -> str:
    name = namespace.name
    for pattern in (n for n in seen.values() if n.is_pattern):
        if namespace.is_pattern and pattern.scope == namespace.scope:
            return f": {pattern.name} has the attributes of scope {pattern.scope} already"
        if name.startswith(pattern.prefix):
            return f": names that begin with {pattern.prefix} are those of {pattern.name}"
    if not namespace.is_pattern:
        of_columns = namespace.scope in COLUMNS
        if "*" in name or (of_columns and any("*" in part for part in namespace.inputs)):
            return f": the only pattern is the input {ANY_ATTRIBUTE}, with a name that ends in .*"
        return ""
    if not name.endswith(".*") or not name.rstrip(".*") or "*" in name[:-1]:
        return f": {ANY_ATTRIBUTE} needs a name that ends in .*, for the attribute"
    if namespace.is_id or namespace.encoding != "identity":
        return f": {ANY_ATTRIBUTE} takes identity; register ids and numbers by name"
    if namespace.unknown > 0.0 or not namespace.prior > 0.0:
        return f": {ANY_ATTRIBUTE} takes a prior and no unknown"
    taken = next((n for n in seen if n.startswith(namespace.prefix)), None)
    return f": {taken} begins like it" if taken else ""


def _content_problem(namespace: JointNamespace, seen: Seen) -> str:
    if namespace.of == ROW:
        return ""
    entity = seen.get(namespace.of)
    if entity is None or entity.encoding != "identity" or not entity.prior > 0.0:
        return f": {namespace.of} is no earlier namespace of rows by identity"
    if not namespace.prior > 0.0:
        return ": a content needs a prior"
    if namespace.scope != entity.scope:
        return f": a content of {namespace.of} is of scope {entity.scope}"
    if entity.scope == "request" and namespace.inputs != entity.inputs:
        return f": a content of {namespace.of} is made of {', '.join(entity.inputs)}"
    return ""


def _cross_problem(namespace: JointNamespace, seen: Seen) -> str:
    parts = namespace.inputs
    if len(parts) < 2:
        return ": a cross needs two inputs or more"
    if namespace.of != ROW:
        return ": a cross is of rows"
    if unknown := _not_of_rows(parts, seen):
        return f": {unknown} is no earlier namespace of rows"
    usual = next((part for part in parts if seen[part].encoding == USUAL), None)
    if usual is not None and (namespace.name, parts) != (surface_cross(usual), (SURFACE, usual)):
        return f": {usual} is known to the model alone, which crosses it with {SURFACE} only"
    return ""


def _usual_problem(namespace: JointNamespace, seen: Seen) -> str:
    if any(earlier.encoding == USUAL for earlier in seen.values()):
        return ": usual may be registered once"
    if len(namespace.inputs) != 3:
        return ": usual takes an entity, a value and the value's branch"
    if unknown := _not_of_rows(namespace.inputs, seen):
        return f": {unknown} is no earlier namespace of rows"
    for part in namespace.inputs:
        if not seen[part].prior > 0.0:
            return f": {part} has no coordinates"
    return ""


def _not_of_rows(parts: Sequence[str], seen: Seen) -> str:
    """The first part that is no one value of a row; empty if there is none."""
    for part in parts:
        if part not in seen or seen[part].of != ROW or seen[part].is_pattern:
            return part
    return ""


def surface_cross(name: str) -> str:
    """Name of the cross of a namespace with surface."""
    return f"{SURFACE}_x_{name}"
