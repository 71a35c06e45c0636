"""The joint model's registry, and the namespaces of rows that follow from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.features.encodings import ENCODINGS, LIST_ENCODINGS

ROW = "row"
SURFACE = "surface"
USUAL = "usual"
PAIR_ENCODINGS = ("shared_word_count", USUAL)
_SCOPES = ("listing", "request", "pair", "cross")


@dataclass(frozen=True)
class JointNamespace:
    """One registered namespace of the joint model.

    Attributes
    ----------
    scope : str
        `listing`: known of the listing that day. `request`: known of the impression alone. `pair`:
        what only both together know. `cross`: of earlier namespaces of any scope.
    encoding : str
        A name of `pipelines.features.encodings.ENCODINGS`, `cross`, `shared_word_count`, or
        `usual`: how the value of a namespace (the second input, its branch the third) stands to
        what the entity (the first) was shown with most often, as of the day before.
    inputs : tuple of str
        Columns, ``attributes.<key>``, or for a cross the names of earlier namespaces.
    prior : float
        Standard deviation of its weights before anything is known, in logits; 0 makes it a part of
        crosses only.
    of : str
        `row`, or the row namespace whose entities it is a content of.
    unknown : float
        Prior of "is missing" as a value of its own; 0 for none.
    with_surface : float
        Prior of its cross with surface; 0 for none.
    learnt : bool
        Whether its variance is read off the data.
    walk : float
        Standard deviation of a day's drift of its weights.
    is_id : bool
        Whether its values are without bound, such as users and queries.
    """

    name: str
    scope: str
    encoding: str
    inputs: tuple[str, ...]
    prior: float
    is_id: bool = False
    of: str = ROW
    unknown: float = 0.0
    with_surface: float = 0.0
    learnt: bool = True
    walk: float = 0.0
    why: str = ""


@dataclass(frozen=True)
class RowColumn:
    """One namespace of rows: a registered one, a value that is missing, or a generated cross.

    Attributes
    ----------
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

    Attributes
    ----------
    columns : tuple of RowColumn
        In the order of the columns of a row.
    contents : tuple of JointNamespace
        What entities are made of.

    Raises
    ------
    ValueError
        A name occurs twice; an encoding is unknown or has the wrong inputs; a prior is negative; a
        cross or a content names what is no earlier namespace of one value a row.
    """

    def __init__(self, namespaces: Sequence[JointNamespace]) -> None:
        self.namespaces = tuple(namespaces)
        seen: dict[str, JointNamespace] = {}
        for namespace in self.namespaces:
            problem = _problem(namespace, seen)
            if problem:
                raise ValueError(f"joint namespace {namespace.name}{problem}")
            seen[namespace.name] = namespace
        self.by_name: Mapping[str, JointNamespace] = seen
        self.contents = tuple(n for n in self.namespaces if n.of != ROW)
        self.columns = tuple(
            column for n in self.namespaces if n.of == ROW for column in _columns(n, seen)
        )
        names = [column.name for column in self.columns]
        if sum(n.encoding == USUAL for n in self.namespaces) > 1:
            raise ValueError("joint namespaces: usual may be registered once")
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"joint namespaces make {', '.join(repeated)} twice")

    def of_scope(self, scope: str) -> list[JointNamespace]:
        """Namespaces of rows that a scope alone knows."""
        return [n for n in self.namespaces if n.scope == scope and n.of == ROW]

    @property
    def usual(self) -> JointNamespace | None:
        """The namespace that says how a row stands to what is usual, if there is one."""
        return next((n for n in self.namespaces if n.encoding == USUAL), None)

    def column_number(self, name: str) -> int:
        """Number of a column of rows; -1 where there is none of that name."""
        return next((k for k, column in enumerate(self.columns) if column.name == name), -1)

    def contents_of(self, entity: str) -> list[JointNamespace]:
        """What an entity is made of."""
        return [n for n in self.contents if n.of == entity]


def _columns(namespace: JointNamespace, seen: Mapping[str, JointNamespace]) -> list[RowColumn]:
    made = []
    scope = scope_of(namespace, seen)
    served = not _holds_request_id(namespace, seen)
    if namespace.prior > 0.0:
        parts = namespace.inputs if namespace.scope == "cross" else ()
        made.append(
            RowColumn(
                namespace.name,
                namespace.prior,
                namespace.learnt,
                namespace.walk,
                scope,
                served,
                parts,
            )
        )
    if namespace.unknown > 0.0:
        name = f"{namespace.name}_is_unknown"
        made.append(
            RowColumn(
                name, namespace.unknown, namespace.learnt, 0.0, scope, True, (), namespace.name
            )
        )
    if namespace.with_surface > 0.0:
        name = f"{SURFACE}_x_{namespace.name}"
        crossed = "request" if scope == "request" else "pair"
        made.append(
            RowColumn(
                name, namespace.with_surface, True, namespace.walk, crossed, served,
                (SURFACE, namespace.name),
            )
        )  # fmt: skip
    return made


def scope_of(namespace: JointNamespace, seen: Mapping[str, JointNamespace]) -> str:
    """Who alone knows a namespace: `listing`, `request`, or only both (`pair`)."""
    if namespace.scope != "cross":
        return namespace.scope
    scopes = {scope_of(seen[name], seen) for name in namespace.inputs}
    return scopes.pop() if len(scopes) == 1 else "pair"


def _holds_request_id(namespace: JointNamespace, seen: Mapping[str, JointNamespace]) -> bool:
    if namespace.scope == "cross":
        return any(_holds_request_id(seen[name], seen) for name in namespace.inputs)
    return namespace.is_id and namespace.scope == "request"


def _problem(namespace: JointNamespace, seen: Mapping[str, JointNamespace]) -> str:
    """What is wrong with a namespace, given those before it; empty if nothing."""
    name, encoding, inputs = namespace.name, namespace.encoding, namespace.inputs
    if name in seen:
        return " is registered twice"
    if namespace.scope not in _SCOPES:
        return f": unknown scope {namespace.scope}; there are {', '.join(_SCOPES)}"
    if min(namespace.prior, namespace.unknown, namespace.with_surface, namespace.walk) < 0.0:
        return ": a standard deviation is negative"
    if namespace.with_surface and SURFACE not in seen:
        return f": {SURFACE} has to be registered before it"
    if (namespace.scope == "cross") != (encoding == "cross"):
        return ": scope and encoding cross go together"
    if (namespace.scope == "pair") != (encoding in PAIR_ENCODINGS):
        return f": scope pair takes {' or '.join(PAIR_ENCODINGS)}, and only it does"
    if encoding in ("cross", USUAL):
        return _cross_problem(namespace, seen)
    if namespace.scope == "pair":
        return ""
    if encoding not in ENCODINGS:
        return f": unknown encoding {encoding}; there are {', '.join(sorted(ENCODINGS))}"
    if encoding in ("rate_band", "count_band"):
        return f": {encoding} is history, which ids replace here"
    wanted = {"constant": 0, "words": 2}.get(encoding, 1)
    if len(inputs) != wanted:
        return f": {encoding} takes {wanted} inputs, not {len(inputs)}"
    if namespace.of == ROW and encoding in LIST_ENCODINGS:
        return f": {encoding} gives lists; a row takes one value, say of which entity it is content"
    return _content_problem(namespace, seen) if namespace.of != ROW else ""


def _content_problem(namespace: JointNamespace, seen: Mapping[str, JointNamespace]) -> str:
    entity = seen.get(namespace.of)
    if entity is None or entity.encoding != "identity" or not entity.prior > 0.0:
        return f": {namespace.of} is no earlier namespace of rows by identity"
    if not namespace.prior > 0.0:
        return ": a content needs a prior"
    if entity.scope == "request" and namespace.inputs != entity.inputs:
        return f": a content of {namespace.of} is made of {', '.join(entity.inputs)}"
    return ""


def _cross_problem(namespace: JointNamespace, seen: Mapping[str, JointNamespace]) -> str:
    if len(namespace.inputs) < 2:
        return ": a cross needs two inputs or more"
    if namespace.encoding == USUAL and len(namespace.inputs) != 3:
        return ": usual takes an entity, a value and the value's branch"
    for part in namespace.inputs:
        if part not in seen or seen[part].of != ROW:
            return f": {part} is no earlier namespace of rows"
        if namespace.encoding == USUAL and not seen[part].prior > 0.0:
            return f": {part} has no coordinates"
    return ""
