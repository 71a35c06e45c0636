"""The feature registry: which namespaces there are, of which model and scope, from what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MODELS = ("historical", "content")
SCOPES = ("listing", "context", "pair")


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


def check_registry(namespaces: Sequence[Namespace], encodings: Sequence[str]) -> None:
    """Refuse a registry that cannot be assembled.

    Raises
    ------
    ValueError
        A name occurs twice, an encoding is unknown, or a cross names something that is not an
        earlier namespace of its own scope.
    """
    seen: dict[str, Namespace] = {}
    for namespace in namespaces:
        if namespace.name in seen:
            raise ValueError(f"feature namespace {namespace.name} is registered twice")
        if "=" in namespace.name:
            raise ValueError(f"feature namespace {namespace.name}: a name may not hold '='")
        if namespace.encoding not in encodings:
            known = ", ".join(sorted(encodings))
            raise ValueError(
                f"feature namespace {namespace.name}: unknown encoding {namespace.encoding}; "
                f"there are {known}"
            )
        if namespace.encoding == "cross":
            for part in namespace.inputs:
                if part not in seen or seen[part].scope != namespace.scope:
                    raise ValueError(
                        f"feature namespace {namespace.name}: {part} is no earlier namespace "
                        f"of scope {namespace.scope}"
                    )
        seen[namespace.name] = namespace


def of_scope(
    namespaces: Sequence[Namespace], scope: str, model: str | None = None
) -> list[Namespace]:
    """The namespaces of a scope, of one model or of any, in registered order."""
    return [n for n in namespaces if n.scope == scope and (model is None or n.serves(model))]
