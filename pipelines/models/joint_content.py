"""Content of entities: ridge of their evidence on what they are made of, and the ridge's priors.

For entities with evidence, b / G ~ Normal(x'beta + residual, 1 / G), residual ~ Normal(0, tau^2),
beta ~ Normal(0, T) by kind of content. The residual integrated out, the ridge has weights
om = G / (1 + G tau^2) and right side X'(b / (1 + G tau^2)); conjugate gradients in a fixed order
solve it, preconditioned by its diagonal. The variances follow MacKay (1992), *Bayesian
Interpolation*, with the traces estimated by perturbed solutions (Papandreou and Yuille 2010).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.kernel import kernel

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Index = npt.NDArray[np.int32]

STEPS = 25
TOLERANCE = 1e-3
SAMPLES = 2


@dataclass(frozen=True)
class Design:
    """What entities are made of, as a sparse matrix X of n entities and c contents.

    Attributes
    ----------
    offsets : numpy.ndarray of int64, shape (n + 1,)
        Entity i holds contents ``columns[offsets[i]:offsets[i + 1]]``.
    columns : numpy.ndarray of int32
    values : numpy.ndarray of float64
        Of the same length; 1 for what is there or not.
    """

    offsets: Ints
    columns: Index
    values: Floats

    @property
    def entities(self) -> int:
        """Number of entities."""
        return len(self.offsets) - 1

    def times(self, beta: Floats) -> Floats:
        """X beta, shape (n,)."""
        product = np.empty(self.entities)
        _times(self.offsets, self.columns, self.values, beta, product)
        return product

    def transposed_times(self, entity: Floats, contents: int) -> Floats:
        """X' entity, shape (contents,), summed in the order of the entities."""
        product = np.zeros(contents)
        _transposed_times(self.offsets, self.columns, self.values, entity, product)
        return product


@dataclass(frozen=True)
class Ridge:
    """The ridge of one type of entity.

    Attributes
    ----------
    design : Design
        Of the entities with evidence.
    b, g : numpy.ndarray of float64, shape (n,)
        Evidence of the entities; g > 0.
    precision : numpy.ndarray of float64, shape (c,)
        1 / T of each content, times its squared unit.
    residual : float
        tau^2.
    """

    design: Design
    b: Floats
    g: Floats
    precision: Floats
    residual: float

    @property
    def shrink(self) -> Floats:
        """1 / (1 + G tau^2) of each entity."""
        return 1.0 / (1.0 + self.g * self.residual)

    def solve(self, start: Floats) -> Floats:
        """Posterior mean of beta, shape (c,), from a start such as yesterday's."""
        return self._solve(self._right(self.b * self.shrink), start)

    def samples(self, signs: npt.NDArray[np.float64]) -> list[Floats]:
        """Perturbed solutions t with E t t' = the covariance of beta.

        Parameters
        ----------
        signs : numpy.ndarray of float64, shape (samples, n + c)
            Independent numbers of mean 0 and variance 1.
        """
        count = self.design.entities
        root = np.sqrt(self.g * self.shrink)
        prior_root = np.sqrt(self.precision)
        return [
            self._solve(
                self._right(root * row[:count]) + prior_root * row[count:],
                np.zeros(len(self.precision)),
            )
            for row in signs
        ]

    def _right(self, entity: Floats) -> Floats:
        return self.design.transposed_times(entity, len(self.precision))

    def _solve(self, right: Floats, start: Floats) -> Floats:
        beta = start.copy()
        _conjugate_gradients(
            self.design.offsets, self.design.columns, self.design.values,
            self.g * self.shrink, self.precision, right, beta, STEPS, TOLERANCE,
        )  # fmt: skip
        return beta


def random_signs(day: int, number: int, ridge: Ridge) -> Floats:
    """Independent signs +-1 for `Ridge.samples`, from a hash: the same for the same day.

    Signs are exact on every machine, and estimate a trace with less variance than normal numbers
    (Hutchinson 1990).

    Parameters
    ----------
    day, number : int
        What tells one draw from another.
    """
    size = ridge.design.entities + len(ridge.precision)
    signs = np.empty((SAMPLES, size))
    _fill_signs(np.uint64(day), np.uint64(number), signs)
    return signs


@kernel
def _fill_signs(day: np.uint64, number: np.uint64, signs: Floats) -> None:
    state = (day + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) ^ number << np.uint64(48)
    for sample in range(signs.shape[0]):
        for k in range(signs.shape[1]):
            # splitmix64 (Steele, Lea and Flood 2014)
            state += np.uint64(0x9E3779B97F4A7C15)
            word = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            word = word ^ (word >> np.uint64(31))
            signs[sample, k] = 1.0 if word >> np.uint64(63) else -1.0


def units(design: Design, is_dense: npt.NDArray[np.bool_]) -> Floats:
    """What a content's weight is for: 1 of what is there or not, a standard deviation of numbers.

    Over the entities that hold it; a number that is the same for all counts by its size.

    Parameters
    ----------
    is_dense : numpy.ndarray of bool, shape (c,)

    Returns
    -------
    numpy.ndarray of float64, shape (c,)
    """
    unit = np.ones(len(is_dense))
    if is_dense.any():
        _fill_units(design.offsets, design.columns, design.values, is_dense, unit)
    return unit


@kernel
def _fill_units(
    offsets: Ints, columns: Index, values: Floats, is_dense: npt.NDArray[np.bool_], unit: Floats
) -> None:
    count, total, squares = np.zeros(len(unit)), np.zeros(len(unit)), np.zeros(len(unit))
    for place in range(offsets[0], offsets[len(offsets) - 1]):
        count[columns[place]] += 1.0
        total[columns[place]] += values[place]
    for place in range(offsets[0], offsets[len(offsets) - 1]):
        k = columns[place]
        squares[k] += (values[place] - total[k] / count[k]) ** 2
    for k in range(len(unit)):
        if is_dense[k] and count[k] > 0.0:
            mean = total[k] / count[k]
            variance = squares[k] / count[k]
            if variance <= 1e-12 * mean * mean:
                variance = mean * mean
            if variance > 0.0:
                unit[k] = np.sqrt(variance)


def learn_content_priors(
    ridge: Ridge,
    beta: Floats,
    signs: npt.NDArray[np.float64],
    kind: Index,
    unit: Floats,
    variance: Floats,
    first_variance: Floats,
    first_residual: float,
    *,
    strength: float,
    smallest: float,
    largest: float,
) -> tuple[Floats, float]:
    """MacKay's update of the variances of content kinds and of the residual.

    gamma = n - sum var / T counts the contents that the data determine; T <- (sum beta^2 + a T0)
    / (gamma + a), and for tau^2 alike with the residuals' means and variances.

    Parameters
    ----------
    kind : numpy.ndarray of int32, shape (c,)
        Kind of each content.
    unit : numpy.ndarray of float64, shape (c,)
        As of `units`: T is the variance of weights times their unit.
    variance, first_variance : numpy.ndarray of float64, shape (kinds,)
        T now, and the registry's T0.
    strength : float
        a: what the registry's variance counts, in observations.
    smallest, largest : float
        Least and largest standard deviation of a kind and of the residual.

    Returns
    -------
    (numpy.ndarray of float64, float)
        New T, shape (kinds,), and tau^2.
    """
    drawn = ridge.samples(signs)
    scaled = beta * unit
    spread = sum(((t * unit) ** 2 for t in drawn), np.zeros(len(beta))) / len(drawn)
    informed = np.zeros(len(beta), dtype=np.bool_)
    informed[ridge.design.columns] = True
    updated = variance.copy()
    for k in range(len(variance)):
        own = informed & (kind == k)
        if own.any():
            gamma = np.count_nonzero(own) - ordered_sum(spread[own]) / variance[k]
            above = ordered_sum(scaled[own] ** 2) + strength * first_variance[k]
            found = above / (max(gamma, 0.0) + strength)
            updated[k] = min(max(found, smallest**2), largest**2)
    precision = 1.0 / ridge.residual
    share = ridge.g / (ridge.g + precision)
    mean = ridge.b / (ridge.g + precision) - share * ridge.design.times(beta)
    own_spread = 1.0 / (ridge.g + precision)
    for t in drawn:
        own_spread = own_spread + (share * ridge.design.times(t)) ** 2 / len(drawn)
    gamma = max(ordered_sum(1.0 - own_spread / ridge.residual), 1.0)
    residual = (ordered_sum(mean**2) + strength * first_residual) / (gamma + strength)
    return updated, min(max(residual, smallest**2), largest**2)


@kernel
def ordered_sum(values: Floats) -> float:
    """Sum one after the other, so that the bits do not depend on the machine."""
    total = 0.0
    for k in range(len(values)):
        total += values[k]
    return total


@kernel
def _times(offsets: Ints, columns: Index, values: Floats, beta: Floats, product: Floats) -> None:
    for row in range(len(product)):
        total = 0.0
        for place in range(offsets[row], offsets[row + 1]):
            total += values[place] * beta[columns[place]]
        product[row] = total


@kernel
def _transposed_times(
    offsets: Ints, columns: Index, values: Floats, entity: Floats, product: Floats
) -> None:
    for row in range(len(entity)):
        for place in range(offsets[row], offsets[row + 1]):
            product[columns[place]] += values[place] * entity[row]


@kernel
def _dot(left: Floats, right: Floats) -> float:
    total = 0.0
    for k in range(len(left)):
        total += left[k] * right[k]
    return total


@kernel
def _product(
    offsets: Ints, columns: Index, values: Floats, om: Floats, precision: Floats,
    vector: Floats, entity: Floats, product: Floats,
) -> None:  # fmt: skip
    """(X' om X + diag(precision)) vector."""
    _times(offsets, columns, values, vector, entity)
    for row in range(len(entity)):
        entity[row] *= om[row]
    for k in range(len(product)):
        product[k] = precision[k] * vector[k]
    _transposed_times(offsets, columns, values, entity, product)


@kernel
def _conjugate_gradients(
    offsets: Ints, columns: Index, values: Floats, om: Floats, precision: Floats,
    right: Floats, beta: Floats, steps: int, tolerance: float,
) -> None:  # fmt: skip
    """Improve beta until the residual is below `tolerance` of the right side, `steps` at most."""
    size = len(beta)
    entity = np.empty(len(om))
    product = np.empty(size)
    diagonal = precision.copy()
    for row in range(len(om)):
        for place in range(offsets[row], offsets[row + 1]):
            diagonal[columns[place]] += om[row] * values[place] * values[place]
    _product(offsets, columns, values, om, precision, beta, entity, product)
    residual = right - product
    scaled = residual / diagonal
    direction = scaled.copy()
    inner = _dot(residual, scaled)
    enough = tolerance * tolerance * _dot(right, right / diagonal)
    for _ in range(steps):
        if not inner > enough:
            return
        _product(offsets, columns, values, om, precision, direction, entity, product)
        length = inner / _dot(direction, product)
        for k in range(size):
            beta[k] += length * direction[k]
            residual[k] -= length * product[k]
            scaled[k] = residual[k] / diagonal[k]
        following = _dot(residual, scaled)
        ratio = following / inner
        inner = following
        for k in range(size):
            direction[k] = scaled[k] + ratio * direction[k]
