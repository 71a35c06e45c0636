"""The joint model's registry, and the namespaces of rows that follow from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.features.joint_checks import problem_of, surface_cross
from pipelines.features.joint_namespace import CROSS, ROW, SURFACE, USUAL, JointNamespace
from pipelines.features.joint_patterns import Keys, expanded


@dataclass(frozen=True)
class RowColumn:
    """One namespace of rows: a registered one, a value that is missing, or a generated cross.

    Attributes
    ----------
    registered : str
        The registered namespace that it comes from.
    parts : tuple of str
        What a cross is made of; empty for others.
    missing : str
        The registered namespace whose absence it says; empty for others.
    scope : str
        `listing` or `request` where that alone knows it, else `pair`.
    is_served : bool
        Whether scoring listings needs its weights: what holds no id of a request.
    """

    name: str
    registered: str
    prior: float
    learnt: bool
    walk: float
    scope: str
    is_served: bool
    parts: tuple[str, ...] = ()
    missing: str = ""


class JointRegistry:
    """A checked registry.

    Parameters
    ----------
    namespaces : sequence of JointNamespace
        As registered, patterns included.
    surface_prior : float
        Prior of the cross with surface that every namespace of few values gets which is learnt and
        has none of its own; 0 for no such crosses.
    keys : mapping of str to sequence of str
        By scope, the attributes that patterns stand for.

    Attributes
    ----------
    namespaces : tuple of JointNamespace
        What patterns stand for in their place.
    columns : tuple of RowColumn
        In the order of the columns of a row.
    contents : tuple of JointNamespace
        What entities are made of.

    Raises
    ------
    ValueError
        A name occurs twice; an encoding is unknown or has the wrong inputs; an input is no column;
        a prior is negative; a cross or a content names what is no earlier namespace of one value a
        row.
    """

    def __init__(
        self,
        namespaces: Sequence[JointNamespace],
        surface_prior: float = 0.0,
        keys: Keys | None = None,
    ) -> None:
        self.registered = tuple(namespaces)
        self.surface_prior = surface_prior
        _checked(self.registered)
        self.namespaces = tuple(expanded(self.registered, keys or {}))
        self.by_name: Mapping[str, JointNamespace] = _checked(self.namespaces)
        if surface_prior > 0.0 and SURFACE not in self.by_name:
            raise ValueError(f"joint namespaces: crosses with {SURFACE} need a {SURFACE}")
        self.contents = tuple(n for n in self.namespaces if n.of != ROW)
        self.columns = tuple(
            column
            for n in self.namespaces
            if n.of == ROW
            for column in _columns(n, self.by_name, surface_prior)
        )
        names = [column.name for column in self.columns]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"joint namespaces make {', '.join(repeated)} twice")

    def with_keys(self, keys: Keys) -> JointRegistry:
        """The same registry where patterns stand for these attributes."""
        return JointRegistry(self.registered, self.surface_prior, keys)

    def of_scope(self, scope: str) -> list[JointNamespace]:
        """Namespaces of rows that a scope alone knows."""
        return [n for n in self.namespaces if n.scope == scope and n.of == ROW]

    @property
    def usual(self) -> JointNamespace | None:
        """The namespace that says how a row stands to what is usual, if there is one."""
        return next((n for n in self.namespaces if n.encoding == USUAL), None)

    @property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """By scope, the attributes that patterns stand for, by name."""
        found: dict[str, list[str]] = {}
        for namespace in self.namespaces:
            if namespace.attribute:
                found.setdefault(namespace.scope, []).append(namespace.attribute)
        return {scope: tuple(own) for scope, own in found.items()}

    @property
    def base(self) -> int:
        """Number of the column that is the same in every row; -1 where there is none."""
        constant = [n.name for n in self.of_scope("request") if n.encoding == "constant"]
        return self.column_number(constant[0]) if constant else -1

    @property
    def level(self) -> int:
        """Number of the column of the surface; -1 where there is none."""
        return self.column_number(SURFACE)

    def column_number(self, name: str) -> int:
        """Number of a column of rows; -1 where there is none of that name."""
        return next((k for k, column in enumerate(self.columns) if column.name == name), -1)

    def contents_of(self, entity: str) -> list[JointNamespace]:
        """What an entity is made of."""
        return [n for n in self.contents if n.of == entity]


def _checked(namespaces: Sequence[JointNamespace]) -> dict[str, JointNamespace]:
    """By name."""
    seen: dict[str, JointNamespace] = {}
    for namespace in namespaces:
        problem = problem_of(namespace, seen)
        if problem:
            raise ValueError(f"joint namespace {namespace.name}{problem}")
        seen[namespace.name] = namespace
    return seen


def _columns(
    namespace: JointNamespace, seen: Mapping[str, JointNamespace], surface_prior: float
) -> list[RowColumn]:
    made = []
    name = namespace.name
    scope = scope_of(namespace, seen)
    served = not _holds_request_id(namespace, seen)
    if namespace.prior > 0.0:
        parts = namespace.inputs if namespace.scope == CROSS else ()
        made.append(
            RowColumn(
                name, name, namespace.prior, namespace.learnt, namespace.walk, scope, served, parts
            )
        )
    if namespace.unknown > 0.0:
        made.append(
            RowColumn(
                f"{name}_is_unknown", name, namespace.unknown, namespace.learnt, 0.0, scope, True,
                (), name,
            )
        )  # fmt: skip
    if surface_prior > 0.0 and _is_crossed(namespace, seen):
        crossed = "request" if scope == "request" else "pair"
        made.append(
            RowColumn(
                surface_cross(name), name, surface_prior, True, namespace.walk, crossed, served,
                (SURFACE, name),
            )
        )  # fmt: skip
    return made


def _is_crossed(namespace: JointNamespace, seen: Mapping[str, JointNamespace]) -> bool:
    """Whether the rule crosses it with surface: few values, learnt, and no cross of its own."""
    if namespace.scope == CROSS or namespace.is_id or not namespace.learnt:
        return False
    own = {SURFACE, namespace.name}
    has_own = any(n.scope == CROSS and set(n.inputs) == own for n in seen.values())
    return namespace.prior > 0.0 and namespace.name != SURFACE and not has_own


def scope_of(namespace: JointNamespace, seen: Mapping[str, JointNamespace]) -> str:
    """Who alone knows a namespace: `listing`, `request`, or only both (`pair`)."""
    if namespace.scope != CROSS:
        return namespace.scope
    scopes = {scope_of(seen[name], seen) for name in namespace.inputs}
    return scopes.pop() if len(scopes) == 1 else "pair"


def _holds_request_id(namespace: JointNamespace, seen: Mapping[str, JointNamespace]) -> bool:
    if namespace.scope == CROSS:
        return any(_holds_request_id(seen[name], seen) for name in namespace.inputs)
    return namespace.is_id and namespace.scope == "request"
