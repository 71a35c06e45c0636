"""What the joint model knows at the end of a day, and what it is told of its namespaces."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from pipelines.models.contents import Contents
from pipelines.models.usual_values import PairCounts

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RowNamespace:
    """A namespace of one-hot coordinates.

    Attributes
    ----------
    prior : float
        Standard deviation T0^.5 of its weights before anything is known.
    is_learnt : bool
        Whether its variance is read off the data; false for bias, surface and calendar.
    walk : float
        Standard deviation of a day's drift of its weights.
    """

    name: str
    prior: float
    is_learnt: bool = True
    walk: float = 0.0


@dataclass(frozen=True)
class ContentKind:
    """A kind of content, of the entities of one row namespace.

    Attributes
    ----------
    entity : str
        The row namespace whose coordinates hold the entities' evidence.
    prior : float
        Standard deviation of its weights; of dense ones for a standard deviation of each number.
    is_dense : bool
        Whether its values are numbers, not only there or not.
    """

    name: str
    entity: str
    prior: float
    is_dense: bool = False


@dataclass(frozen=True)
class UsualColumns:
    """Which columns of rows say how a row's value stands to its entity's usual one.

    Attributes
    ----------
    name : str
        The registered namespace.
    entity, value, branch : int
        Columns of the entity, the value, and what the value belongs to.
    relation : int
        The column that is filled; -1 where it is only a part of a cross.
    with_surface : int
        The column of its cross with surface; -1 for none.
    surface : int
    cross : str
        Name of that cross.
    """

    name: str
    entity: int
    value: int
    branch: int
    relation: int
    with_surface: int = -1
    surface: int = -1
    cross: str = ""


@dataclass(frozen=True)
class JointSpec:
    """The model's namespaces and how its priors are learnt.

    Attributes
    ----------
    rows : tuple of RowNamespace
        In the order of the columns of its rows.
    kinds : tuple of ContentKind
    scales : tuple of float
        Multiples of T0, learnt side by side.
    strength : float
        What a registered variance counts against the data's, in coordinates.
    smallest, largest : float
        Least and largest standard deviation of a namespace. At wider priors the first click of a
        coordinate moves it by so much that what is read off the next day is wider still.
    content_days, content_every : int
        Variances of content are learnt after so many days, and then every so many.
    usual : UsualColumns, optional
        Columns that the model fills in from what it has seen, as of the day before.
    base : int
        The column that is always the same value; its prior mean is the log odds of a click on the
        first day. -1 for none.
    level : int
        The column whose values have levels of their own (`pipelines.models.joint_level`); -1 for
        none.
    level_days : int
        Levels are settled at the end of so many first days. Later the day's rows, which are
        promised what they were, would pull the level down from day to day.
    most : int
        So many coordinates are known at the end of a day, those with most evidence; 0: all. What
        goes has hardly left its prior, and begins there again.
    """

    rows: tuple[RowNamespace, ...]
    kinds: tuple[ContentKind, ...]
    scales: tuple[float, ...] = (1.0,)
    strength: float = 10.0
    smallest: float = 0.005
    largest: float = 3.0
    content_days: int = 6
    content_every: int = 5
    usual: UsualColumns | None = None
    base: int = -1
    level: int = -1
    level_days: int = 7
    most: int = 0

    @property
    def entities(self) -> tuple[str, ...]:
        """Row namespaces whose coordinates have content, in the order of the rows."""
        made = {kind.entity for kind in self.kinds}
        return tuple(row.name for row in self.rows if row.name in made)

    def row_number(self, name: str) -> int:
        """Number of a row namespace."""
        return [row.name for row in self.rows].index(name)

    def first_variance(self, scale: float) -> Floats:
        """T0 of every row namespace at a scale, shape (rows,)."""
        return np.array(
            [row.prior**2 * (scale if row.is_learnt else 1.0) for row in self.rows],
            dtype=np.float64,
        )

    def first_content_variance(self, scale: float) -> Floats:
        """T0 of every kind at a scale, shape (kinds,)."""
        return np.array([kind.prior**2 * scale for kind in self.kinds], dtype=np.float64)


@dataclass(frozen=True)
class Posterior:
    """What is learnt at one scale of the priors.

    Attributes
    ----------
    prior_mean : numpy.ndarray of float64, shape (m,)
        Of the coordinates `JointState.expected`.
    variance : numpy.ndarray of float64, shape (rows,)
        T of every row namespace; of an entity tau^2 of its residual.
    beta : numpy.ndarray of float64, shape (c,)
        Weight of every content.
    content_variance : numpy.ndarray of float64, shape (kinds,)
    log_loss : float
        Mean over the last day's rows, each as it was predicted before it was learnt.
    gain, gain_squares : float
        Sums over the days of the log loss of the first scale less that of this one, and of its
        square.
    """

    prior_mean: Floats
    variance: Floats
    beta: Floats
    content_variance: Floats
    log_loss: float = 0.0
    gain: float = 0.0
    gain_squares: float = 0.0


@dataclass(frozen=True)
class JointState:
    """The joint model at the end of a day.

    Attributes
    ----------
    ids : numpy.ndarray of int64, shape (d,)
        Coordinates, by namespace and then ascending.
    namespace : numpy.ndarray of int16, shape (d,)
        Number of each coordinate's row namespace.
    evidence : numpy.ndarray of float64, shape (d, 2 S)
        b and G of every coordinate, scale by scale.
    expected : numpy.ndarray of int64, shape (m,)
        The coordinates whose prior mean is not 0, ascending.
    content_ids : numpy.ndarray of int64, shape (c,)
        By kind and then ascending.
    content_kind : numpy.ndarray of int16, shape (c,)
    posteriors : tuple of Posterior
        One a scale.
    contents : mapping of str to Contents
        By entity namespace: of the entities that have evidence or are there.
    days, rows, clicks : int
        Learnt so far.
    pairs : PairCounts
        How often entities were shown with values, for `JointSpec.usual`.
    """

    ids: Ids
    namespace: npt.NDArray[np.int16]
    evidence: Floats
    expected: Ids
    content_ids: Ids
    content_kind: npt.NDArray[np.int16]
    posteriors: tuple[Posterior, ...]
    contents: Mapping[str, Contents] = field(default_factory=dict)
    days: int = 0
    rows: int = 0
    clicks: int = 0
    pairs: PairCounts = field(default_factory=PairCounts.none)

    def b(self, scale: int) -> Floats:
        """What rows have said of every coordinate, shape (d,)."""
        return self.evidence[:, 2 * scale]

    def g(self, scale: int) -> Floats:
        """How much rows have said of every coordinate, shape (d,)."""
        return self.evidence[:, 2 * scale + 1]

    def prior_mean(self, scale: int, first: int = 0, last: int | None = None) -> Floats:
        """Prior mean of every coordinate, or of some that follow each other, shape (d,)."""
        whole = slice(first, last).indices(len(self.ids))
        mean = np.zeros(whole[1] - whole[0])
        own = slice(*np.searchsorted(self.expected, whole[:2]))
        mean[self.expected[own] - first] = self.posteriors[scale].prior_mean[own]
        return mean

    @property
    def chosen(self) -> int:
        """Number of the scale that the days so far speak for.

        The first, unless another has gained more than two standard errors, a day's gain counting
        as one observation around 0; of several the one that gained most.
        """
        gains = [
            p.gain if p.gain > 2.0 * math.sqrt(p.gain_squares) else 0.0 for p in self.posteriors
        ]
        return max(range(len(gains)), key=lambda scale: (gains[scale], -scale))

    def at_base(self, spec: JointSpec, constant: int, log_odds: float) -> JointState:
        """Give the state before the first day log odds of a click as prior mean of the constant.

        A first row that is learnt at one half counts as much as some twenty at a rate of 1 %, and
        says as much less of it.

        Parameters
        ----------
        constant : int
            Id of the value of `JointSpec.base`.
        """
        return replace(
            self,
            ids=np.array([constant], np.int64),
            namespace=np.array([spec.base], np.int16),
            evidence=np.zeros((1, 2 * len(self.posteriors))),
            expected=np.zeros(1, np.int64),
            posteriors=tuple(replace(p, prior_mean=np.array([log_odds])) for p in self.posteriors),
        )

    @classmethod
    def new(cls, spec: JointSpec) -> JointState:
        """The state before the first day."""
        nothing = np.empty(0)
        return cls(
            np.empty(0, np.int64),
            np.empty(0, np.int16),
            np.empty((0, 2 * len(spec.scales))),
            np.empty(0, np.int64),
            np.empty(0, np.int64),
            np.empty(0, np.int16),
            tuple(
                Posterior(
                    nothing,
                    spec.first_variance(scale),
                    nothing,
                    spec.first_content_variance(scale),
                )
                for scale in spec.scales
            ),
            {name: Contents.none() for name in spec.entities},
        )
