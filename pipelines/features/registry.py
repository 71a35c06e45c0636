"""The feature registry: which namespaces there are, of which model and scope, from what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.features.encodings import ALL_ENCODINGS, LIST_ENCODINGS, PAIR_ENCODINGS
from pipelines.features.rates import RATE_SURFACES
from schemas.logs import IMPRESSION_COLUMNS, LISTING_COLUMNS

MODELS = ("historical", "content")
ENTITIES = {"listing": ("listing", "shop", "category"), "context": ("query", "user")}
"""Entities whose window sums the rows of a scope carry."""

COLUMNS = {
    "listing": (*(column.name for column in LISTING_COLUMNS), "ds"),
    "context": (*(column.name for column in IMPRESSION_COLUMNS), "ds"),
}
"""What namespaces of a scope may read. Nothing of the clicks is among it."""


@dataclass(frozen=True)
class Namespace:
    """One registered feature namespace.

    Attributes
    ----------
    model : str
        `historical`, `content` or `both`.
    scope : str
        `listing`: known of the listing that day. `context`: known of the impression alone.
        `pair`: what only listing and impression together know.
    encoding : str
        A name of `pipelines.features.encodings.ENCODINGS`.
    inputs : tuple of str
        What the encoding reads: columns, ``attributes.<key>``, ``<entity>.<surface>``, or for a
        cross the names of other namespaces.
    """

    name: str
    model: str
    scope: str
    encoding: str
    inputs: tuple[str, ...]
    owner: str = ""
    why: str = ""

    def serves(self, model: str) -> bool:
        """Whether a model learns from this namespace."""
        return self.model in (model, "both")


def check_registry(namespaces: Sequence[Namespace]) -> None:
    """Refuse a registry that cannot be assembled, before any row is read.

    Raises
    ------
    ValueError
        A name occurs twice or holds ``=``; an encoding is unknown, of another scope, or has the
        wrong inputs; an input is no column; or a cross names something that is not an earlier
        one-value namespace of its own scope.
    """
    seen: dict[str, Namespace] = {}
    for namespace in namespaces:
        problem = _problem(namespace, seen)
        if problem:
            raise ValueError(f"feature namespace {namespace.name}{problem}")
        seen[namespace.name] = namespace


def _problem(namespace: Namespace, seen: Mapping[str, Namespace]) -> str:
    """What is wrong with a namespace, given those before it; empty if nothing."""
    encoding, inputs = namespace.encoding, namespace.inputs
    if namespace.name in seen:
        return " is registered twice"
    if "=" in namespace.name:
        return ": a name may not hold '='"
    if encoding not in ALL_ENCODINGS:
        return f": unknown encoding {encoding}; there are {', '.join(sorted(ALL_ENCODINGS))}"
    if (encoding in PAIR_ENCODINGS) != (namespace.scope == "pair"):
        return f": scope pair takes {' or '.join(PAIR_ENCODINGS)}, and only it does"
    if encoding == "shared_words" and namespace.name != encoding:
        return f": the words are hashed as {encoding}, so the name must be that"
    if encoding == "cross":
        return _cross_problem(namespace, seen)
    wanted = {"constant": 0, "words": 2}.get(encoding, 1)
    if namespace.scope != "pair" and len(inputs) != wanted:
        return f": {encoding} takes {wanted} inputs, not {len(inputs)}"
    if encoding in ("rate_band", "count_band"):
        known = [f"{e}.{s}" for e in ENTITIES[namespace.scope] for s in RATE_SURFACES]
        if inputs[0] not in known:
            return f": {encoding} takes <entity>.<surface>, one of {', '.join(known)}"
        return ""
    return _unknown_input(namespace)


def _unknown_input(namespace: Namespace) -> str:
    known = COLUMNS.get(namespace.scope, ())
    for name in namespace.inputs if known else ():
        holder, _, key = name.partition(".")
        if holder not in known or (holder == "attributes") != bool(key):
            return (
                f": unknown input {name}; scope {namespace.scope} has {', '.join(known)}, "
                "attributes by attributes.<key>"
            )
    return ""


def _cross_problem(namespace: Namespace, seen: Mapping[str, Namespace]) -> str:
    if not namespace.inputs:
        return ": a cross needs inputs"
    for part in namespace.inputs:
        if part not in seen or seen[part].scope != namespace.scope:
            return f": {part} is no earlier namespace of scope {namespace.scope}"
        if seen[part].encoding in LIST_ENCODINGS:
            return f": {part} gives lists, a cross takes one value a row"
    return ""


def of_scope(
    namespaces: Sequence[Namespace], scope: str, model: str | None = None
) -> list[Namespace]:
    """The namespaces of a scope, of one model or of any, in registered order."""
    return [n for n in namespaces if n.scope == scope and (model is None or n.serves(model))]
