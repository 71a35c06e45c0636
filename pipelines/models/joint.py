"""The joint model: a Bayesian logistic regression over all that a row holds, day by day.

Rows teach one-hot coordinates on a diagonal posterior by Laplace steps (Graepel et al., ICML 2010;
Chapelle and Li, NIPS 2011); once a day the content of entities is solved exactly from their
evidence and becomes their prior mean, and the variances of all namespaces are read off the data.
A cold listing is its content, a warm one its own evidence, and the passage between them is what
the evidence is worth: the warm/cold ensemble of AdKDD 2017 as one posterior.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pipelines.features.ids import NONE, cross_ids
from pipelines.kernel import readonly
from pipelines.models import joint_kernels as kernels
from pipelines.models.content_variances import content_variances
from pipelines.models.contents import Contents
from pipelines.models.elementary import log_losses
from pipelines.models.joint_content import Design, ordered_sum
from pipelines.models.joint_day import end_day, most_known, settled_order
from pipelines.models.joint_level import DayLevels
from pipelines.models.joint_state import JointSpec, JointState
from pipelines.models.numbering import Numbering, with_room
from pipelines.models.usual_values import PairCounter, PairCounts, UsualValues

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]
Index = npt.NDArray[np.int32]

_REFUSALS = {
    kernels.BAD_CLICK: "clicked is neither 0 nor 1",
    kernels.BAD_OFFSET: "the offset is not finite",
    kernels.BAD_WEIGHT: "the weight is negative or not finite",
    kernels.BAD_ORDER: "the order is not strictly ascending",
}


class JointError(ArithmeticError):
    """Learning left the finite numbers."""


class JointModel:
    """A state in the form in which rows are predicted and learnt.

    Memory, in bytes a coordinate: 16 to 28 for its number, 2 for its namespace and 16 at every
    scale for its evidence; coordinates that a day adds included.

    Parameters
    ----------
    spec : JointSpec
    state : JointState
        As of the end of the day before; not changed, and its evidence is not held.
    contents : mapping of str to Contents
        Of the day's entities, by entity namespace: all listings of the snapshot, shown or not.
    """

    def __init__(
        self, spec: JointSpec, state: JointState, contents: Mapping[str, Contents]
    ) -> None:
        self.spec = spec
        self.state = replace(state, evidence=state.evidence[:0].copy(), pairs=PairCounts.none())
        self.contents = {
            name: state.contents[name].updated(contents.get(name, Contents.none()))
            for name in spec.entities
        }
        self._numbers = Numbering(state.ids)
        self._carried = len(state.ids)
        self._namespace = state.namespace.copy()
        self._table = with_room(state.evidence, self._carried, self._carried)
        self._precision = np.stack([1.0 / own.variance for own in state.posteriors], axis=1)
        self.rows = self.clicks = 0
        self.log_loss = [0.0 for _ in spec.scales]
        self._last_order: int | None = None
        self._usual = UsualValues(state.pairs) if spec.usual else None
        self._pairs = PairCounter(state.pairs, -(-spec.most // 2))
        self._place_entities()
        self._levels = self._day_levels()

    def _place_entities(self) -> None:
        """Give every entity with content a coordinate, and its content as prior mean."""
        state, content = self.state, Numbering(self.state.content_ids)
        namespace = self._namespace[state.expected]
        kept = ~np.isin(namespace, [self.spec.row_number(name) for name in self.contents])
        stored = [own.prior_mean[kept] for own in state.posteriors]
        numbers = [state.expected[kept]]
        pulls = [self._precision[namespace[kept]] * np.stack(stored, axis=1)]
        self._placed: list[tuple[Index, Contents, Index]] = []
        for name, held in self.contents.items():
            row = self.spec.row_number(name)
            places = self._add(held.ids, row)
            column = content.find(held.parts)
            self._placed.append((places, held, column))
            if len(state.content_ids):
                design = Design(
                    held.offsets,
                    np.maximum(column, 0),
                    np.where(column >= 0, held.values, 0.0),
                )
                means = [design.times(own.beta) for own in state.posteriors]
                numbers.append(places.astype(np.int64))
                pulls.append(self._precision[row] * np.stack(means, axis=1))
        self._expected, self._pull = np.concatenate(numbers), np.concatenate(pulls)
        self._table[self._expected, ::2] += self._pull

    def _day_levels(self) -> DayLevels | None:
        column = self.spec.level
        if column < 0 or self.state.days >= self.spec.level_days:
            return None
        own = np.flatnonzero(self.namespace == column)
        spread = 1.0 / (self.table[own, 1::2] + self._precision[column])
        variances = [dict(zip(own.tolist(), known.tolist(), strict=True)) for known in spread.T]
        return DayLevels(column, variances, self.spec.rows[column].prior ** 2)

    def _add(self, ids: Ids, namespace: int) -> Index:
        """Numbers of ids of a namespace; new coordinates begin at their prior, of mean 0."""
        before = self._numbers.count
        found = self._numbers.add(ids)
        count = self._numbers.count
        if count > len(self._table):
            self._table = with_room(self._table, before, count)
        if count > len(self._namespace):
            self._namespace = with_room(self._namespace, before, count)
        self._namespace[before:count] = namespace
        self._table[before:count] = 0.0
        return found

    @property
    def count(self) -> int:
        """Number of coordinates, those of entities that were never shown included."""
        return self._numbers.count

    @property
    def ids(self) -> Ids:
        """Ids of all coordinates, shape (count,)."""
        return self._numbers.ids

    @property
    def namespace(self) -> npt.NDArray[np.int16]:
        """Namespace number of all coordinates, shape (count,)."""
        return self._namespace[: self.count]

    @property
    def table(self) -> Floats:
        """Rows (b + lambda mu0, G), scale by scale, of all coordinates, shape (count, 2 S)."""
        return self._table[: self.count]

    def means(self, scale: int) -> Floats:
        """Posterior mean of every coordinate at a scale, shape (count,)."""
        mean = np.empty(self.count)
        precision = np.ascontiguousarray(self._precision[:, scale])
        kernels.fill_means(self.table, scale, precision, self.namespace, mean)
        return mean

    def variances(self, scale: int) -> Floats:
        """Posterior variance of every coordinate at a scale, shape (count,).

        What an entity's own evidence leaves to its content, content's own variance has a say in.
        """
        variance = np.empty(self.count)
        precision = np.ascontiguousarray(self._precision[:, scale])
        kernels.fill_variances(self.table, scale, precision, self.namespace, variance)
        own = self._table[: self._carried, 2 * scale + 1]
        known = content_variances(self.spec, self.state, scale, own)
        prior = self.state.posteriors[scale].content_variance
        for name, (places, held, column) in zip(self.contents, self._placed, strict=True):
            spread = np.append(known, 0.0)[column] if len(known) else np.zeros(len(column))
            spread = np.where(column >= 0, spread, prior[held.kinds])
            of_content = held.sums(held.values**2 * spread)
            left = precision[self.spec.row_number(name)] * variance[places]
            variance[places] += left**2 * of_content
        return variance

    def sums(self, index: Index, value: Floats) -> Floats:
        """Sum a value of the coordinates of each row, shape (n,), column by column.

        Parameters
        ----------
        index : numpy.ndarray of int32, shape (n, K)
            As of `index`: what is unknown adds nothing, as its prior mean is 0.
        value : numpy.ndarray of float64, shape (count,)
            As of `means` or `variances`.
        """
        sums = np.empty(len(index))
        kernels.row_sums(value, index, sums)
        return sums

    def index(self, ids: Ids, *, add: bool = False) -> Index:
        """Coordinates of rows, shape (n, K); -1 for none, and for unknown ones if not added.

        Parameters
        ----------
        ids : numpy.ndarray of int64, shape (n, K)
            Ids of values by row namespace; `pipelines.features.ids.NONE` for none.
        """
        return self.located(ids, add=add)[1]

    def located(self, ids: Ids, *, add: bool = False) -> tuple[Ids, Index]:
        """Rows with the columns that the model fills in, and their coordinates as of `index`."""
        if ids.ndim != 2 or ids.shape[1] != len(self.spec.rows):
            raise ValueError(f"ids of shape {ids.shape} for {len(self.spec.rows)} namespaces")
        completed = self._completed(ids)
        found = np.empty(ids.shape, dtype=np.int32)
        for column in range(ids.shape[1]):
            own = np.ascontiguousarray(completed[:, column])
            found[:, column] = self._add(own, column) if add else self._numbers.find(own)
        return completed, found

    def row_variances(self, completed: Ids, index: Index, variance: Floats, scale: int) -> Floats:
        """Variance of the weight of each value of rows at a scale, shape (n, K).

        That of the prior where a value has not been seen; 0 where there is none.

        Parameters
        ----------
        completed, index : numpy.ndarray, shape (n, K)
            As of `located`.
        variance : numpy.ndarray of float64, shape (count,)
            As of `variances` at the scale.
        """
        prior = np.where(completed == NONE, 0.0, self.state.posteriors[scale].variance)
        return np.where(index >= 0, variance[index], prior) if len(variance) else prior

    def _completed(self, ids: Ids) -> Ids:
        """Rows with the columns that tell how a value stands to its entity's usual one."""
        columns = self.spec.usual
        if columns is None or self._usual is None:
            return ids
        entity, value, branch = (
            np.ascontiguousarray(ids[:, k]) for k in (columns.entity, columns.value, columns.branch)
        )
        relation = self._usual.relation(columns.name, entity, value, branch)
        completed = ids.copy()
        if columns.relation >= 0:
            completed[:, columns.relation] = relation
        if columns.with_surface >= 0:
            surface = np.ascontiguousarray(ids[:, columns.surface])
            completed[:, columns.with_surface] = cross_ids(columns.cross, [surface, relation])
        return completed

    def learn(
        self,
        ids: Ids,
        clicked: npt.NDArray[np.uint8],
        order: Ids,
        *,
        offset: Floats | None = None,
        weight: Floats | None = None,
    ) -> list[Floats]:
        """Learn rows in turn.

        Parameters
        ----------
        ids : numpy.ndarray of int64, shape (n, K)
            As of `index`.
        clicked : numpy.ndarray of uint8, shape (n,)
        order : numpy.ndarray of int64, shape (n,)
            Strictly ascending, from one call to the next as well.
        offset : numpy.ndarray of float64, shape (n,), optional
            Added to each logit and not learnt: -ln(sampling rate).
        weight : numpy.ndarray of float64, shape (n,), optional
            Importance; all 1 if not given.

        Returns
        -------
        list of numpy.ndarray of float64, shape (n,)
            By scale, each row's logit before it was learnt, offset included.

        Raises
        ------
        ValueError
            Shapes differ, or a row cannot be learnt; nothing has been learnt then.
        JointError
            A logit is not finite.
        """
        count = len(clicked)
        if len(ids) != count:
            raise ValueError(f"ids of {len(ids)} rows for {count} clicks")
        labels = readonly(clicked, np.uint8)
        offsets = readonly(np.zeros(count) if offset is None else offset, np.float64)
        weights = readonly(np.ones(count) if weight is None else weight, np.float64)
        bad, reason = kernels.first_bad_row(labels, offsets, weights, readonly(order, np.int64))
        if reason == kernels.ROW_IS_GOOD and count and self._last_order is not None:
            bad, reason = (0, kernels.BAD_ORDER) if order[0] <= self._last_order else (bad, reason)
        if reason != kernels.ROW_IS_GOOD:
            raise ValueError(f"row {bad}: {_REFUSALS[reason]}")
        index = self.index(ids, add=True)
        if self.spec.usual is not None:
            usual = self.spec.usual
            self._pairs.add(ids[:, usual.entity], ids[:, usual.value], ids[:, usual.branch])
        logits = np.empty((len(self.spec.scales), count))
        if self._levels is not None:
            self._levels.add(self._means_of, index, labels, offsets, weights)
        done = kernels.learn_rows(
            self._table, self._precision, index, labels, offsets, weights, logits
        )
        if done < count:
            raise JointError(f"row {done}: the logit is not finite")
        for scale, own in enumerate(logits):
            self.log_loss[scale] += ordered_sum(log_losses(own, labels))
        self.rows += count
        self.clicks += int(np.count_nonzero(labels))
        if count:
            self._last_order = int(order[-1])
        self._let_go()
        return list(logits)

    def _means_of(self, numbers: Index) -> Floats:
        """Posterior means of some coordinates, shape (n, S)."""
        own = self._table[numbers]
        means: Floats = own[:, ::2] / (own[:, 1::2] + self._precision[self._namespace[numbers]])
        return means

    def _let_go(self) -> None:
        """Bound what a day adds: of half as many again as may stay, those with least evidence go.

        Not entities with content: what they are expected to be is told once a day.
        """
        most = self.spec.most
        if not most or self.count <= most + most // 2:
            return
        places = [places.astype(np.int64) for places, _, _ in self._placed]
        own = np.unique(np.concatenate([self._expected, *places]))
        if self.count - len(own) <= most + most // 2:
            return
        others = np.ones(self.count, dtype=np.bool_)
        others[own] = False
        kept = most_known(np.flatnonzero(others), self.table[:, 1], self.namespace, self.ids, most)
        kept = np.sort(np.concatenate([own, kept]))
        number = np.full(self.count, -1, dtype=np.int32)
        number[kept] = np.arange(len(kept), dtype=np.int32)
        kernels.keep_rows(self._table, kept)
        self._namespace[: len(kept)] = self._namespace[kept]
        ids = self.ids[kept]
        self._numbers = Numbering(np.empty(0, np.int64))
        self._numbers = Numbering(ids)
        self._carried = int(np.searchsorted(kept, self._carried))
        self.state = replace(
            self.state,
            ids=ids[: self._carried],
            namespace=self._namespace[: self._carried].copy(),
            expected=number[self.state.expected].astype(np.int64),
        )
        self._expected = number[self._expected].astype(np.int64)
        self._placed = [(number[places], held, column) for places, held, column in self._placed]
        if self._levels is not None:
            self._levels.renumber(number)

    def end(self, day: int) -> JointState:
        """The state at the end of the day: walks, content, priors and levels are settled.

        The model is spent then: its table is given up on the way.

        Parameters
        ----------
        day : int
            Days since 1970.
        """
        self._table[self._expected, ::2] -= self._pull
        kept = settled_order(self.table, self.namespace, self.ids, self._carried, self.spec.most)
        ids, namespace, evidence = self.ids[kept], self.namespace[kept], self._table[kept]
        self._table, self._numbers = evidence[:0].copy(), Numbering(np.empty(0, np.int64))
        settled = end_day(
            self.spec, self.state, ids, namespace, evidence, self.contents, self.log_loss,
            self.rows, self.clicks, day,
        )  # fmt: skip
        if self._levels is not None:
            self._levels.settle(kept, settled)
        return replace(settled, pairs=self._pairs.counts())
