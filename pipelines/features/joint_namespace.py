"""One registered namespace of the joint model."""

from __future__ import annotations

from dataclasses import dataclass

ROW = "row"
SURFACE = "surface"
USUAL = "usual"
CROSS = "cross"
SHARED_WORDS = "shared_word_count"
DENSE = "dense"
ANY_ATTRIBUTE = "attributes.*"
"""Input of a pattern: every attribute that no namespace of the same scope names by itself."""

_CALENDAR_ENCODINGS = ("weekday", "weekend", "hour")


@dataclass(frozen=True)
class JointNamespace:
    """One registered namespace of the joint model.

    Attributes
    ----------
    name : str
        Of a pattern ``<prefix>.*``; the attribute takes the place of the star.
    scope : str
        `listing`: known of the listing that day. `request`: known of the impression alone. `pair`:
        what only both together know. `cross`: of earlier namespaces of any scope.
    encoding : str
        A name of `pipelines.features.encodings.ENCODINGS`, `cross`, `shared_word_count`, `dense`
        (numbers as they are, each with a weight of its own), or `usual`: how the value of a
        namespace (the second input, its branch the third) stands to what the entity (the first)
        was shown with most often, as of the day before.
    inputs : tuple of str
        Columns, ``attributes.<key>``, ``attributes.*`` of a pattern, or for a cross the names of
        earlier namespaces.
    prior : float
        Standard deviation of its weights before anything is known, in logits, of `dense` for a
        standard deviation of each number; 0 makes it a part of crosses only.
    of : str
        `row`, or the row namespace whose entities it is a content of.
    unknown : float
        Prior of "is missing" as a value of its own; 0 for none.
    learnt : bool
        Whether its variance is read off the data.
    walk : float
        Standard deviation of a day's drift of its weights.
    is_id : bool
        Whether its values are without bound, such as users and queries.
    attribute : str
        Of what a pattern has made: the attribute.
    """

    name: str
    scope: str
    encoding: str
    inputs: tuple[str, ...]
    prior: float
    is_id: bool = False
    of: str = ROW
    unknown: float = 0.0
    learnt: bool = True
    walk: float = 0.0
    why: str = ""
    attribute: str = ""

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for one namespace an attribute."""
        return self.scope in ("request", "listing") and ANY_ATTRIBUTE in self.inputs

    @property
    def prefix(self) -> str:
        """What the names begin with that a pattern stands for."""
        return self.name.removesuffix("*")

    @property
    def kind(self) -> str:
        """What its values are: id, token, value, dense, cross or calendar."""
        if self.encoding in (CROSS, DENSE):
            return self.encoding
        if self.encoding in _CALENDAR_ENCODINGS:
            return "calendar"
        if self.is_id:
            return "id"
        return "value" if self.of == ROW else "token"
