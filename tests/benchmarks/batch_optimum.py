"""The optimum of a Bayesian logistic regression on many sparse rows at once, by Newton's method.

What learns in one pass, row by row, is held against it: nothing that keeps the same prior and sees
the same rows explains them better.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import expit

from pipelines.kernel import kernel
from pipelines.models.joint_kernels import row_sums

Floats = npt.NDArray[np.float64]
Index = npt.NDArray[np.int32]

# The objective is in nats over all rows: a hundredth is nothing beside the chance of one click.
_ENOUGH_NATS = 0.01
_NEWTON_STEPS, _GRADIENT_STEPS, _HALVINGS = 30, 200, 20


@dataclass(frozen=True)
class Design:
    """From effects to coordinates of rows: coordinate = matrix @ effects.

    Attributes
    ----------
    matrix : scipy.sparse.csr_array, shape (d, p)
        The identity where every coordinate is an effect of its own; a listing's coordinate is the
        sum of its own effect and those of its words.
    transposed, squared : scipy.sparse.csr_array, shape (p, d)
        Its transpose, so that both products run along rows; and the transpose's squares.
    """

    matrix: sparse.csr_array
    transposed: sparse.csr_array
    squared: sparse.csr_array

    @classmethod
    def of(cls, matrix: sparse.csr_array) -> Design:
        """With what follows from the matrix."""
        transposed = sparse.csr_array(matrix.T)
        return cls(sparse.csr_array(matrix), transposed, transposed.power(2).tocsr())


def batch_optimum(
    rows: Index,
    clicked: npt.NDArray[np.uint8],
    offset: Floats,
    precision: Floats,
    mean: Floats | None = None,
    *,
    design: Design | None = None,
    start: Floats | None = None,
) -> Floats:
    """Effects that are most probable, given rows and a normal prior.

    Newton's steps are solved by conjugate gradients, preconditioned by the diagonal, and halved
    until the objective falls (Nocedal and Wright, *Numerical Optimization*, 2006, section 7.1).

    Parameters
    ----------
    rows : numpy.ndarray of int32, shape (n, K)
        Coordinates of each row; -1 for none.
    clicked : numpy.ndarray of uint8, shape (n,)
    offset : numpy.ndarray of float64, shape (n,)
        Added to each logit and not learnt.
    precision, mean : numpy.ndarray of float64, shape (p,)
        Of each effect's normal prior; mean 0 if not given.
    design : Design, optional
        From effects to coordinates; each coordinate an effect of its own if not given.
    start : numpy.ndarray of float64, shape (p,), optional
        Where to begin; the prior mean if not given.

    Returns
    -------
    numpy.ndarray of float64, shape (p,)

    Raises
    ------
    ArithmeticError
        It is not found in 30 steps.
    """
    if design is None:
        design = Design.of(sparse.eye_array(len(precision), format="csr"))
    problem = _Problem(rows, clicked, offset, precision, design)
    centre = np.zeros(len(precision)) if mean is None else mean
    effects = centre.copy() if start is None else start.copy()
    value, p = problem.objective(effects, centre)
    for _ in range(_NEWTON_STEPS):
        gradient = problem.gradient(p, effects, centre)
        curvature = p * (1.0 - p)
        step = problem.newton_step(gradient, curvature)
        gain = float(gradient @ step)
        if gain < 2.0 * _ENOUGH_NATS:
            return effects
        for halving in range(_HALVINGS):
            tried = effects - 0.5**halving * step
            lower, p_tried = problem.objective(tried, centre)
            if lower < value:
                effects, value, p = tried, lower, p_tried
                break
        else:
            return effects
    raise ArithmeticError(f"no optimum after {_NEWTON_STEPS} steps")


def logits(rows: Index, offset: Floats, effects: Floats, design: Design | None = None) -> Floats:
    """Logit of each row, shape (n,)."""
    sums = np.empty(len(rows))
    row_sums(effects if design is None else design.matrix @ effects, rows, sums)
    return offset + sums


def scattered(rows: Index, by_row: Floats, coordinates: int) -> Floats:
    """Sum over the rows that hold each coordinate of a number of the row, shape (coordinates,)."""
    summed = np.zeros(coordinates)
    _scatter(rows, by_row, summed)
    return summed


@dataclass(frozen=True)
class _Problem:
    rows: Index
    clicked: npt.NDArray[np.uint8]
    offset: Floats
    precision: Floats
    design: Design

    def objective(self, effects: Floats, centre: Floats) -> tuple[float, Floats]:
        """Minus the logarithm of the posterior, and the probability of each row."""
        logit = logits(self.rows, self.offset, effects, self.design)
        loss = float(np.sum(np.logaddexp(0.0, logit) - self.clicked * logit))
        return loss + 0.5 * float(self.precision @ (effects - centre) ** 2), expit(logit)

    def gradient(self, p: Floats, effects: Floats, centre: Floats) -> Floats:
        found: Floats = self._scattered(p - self.clicked) + self.precision * (effects - centre)
        return found

    def newton_step(self, gradient: Floats, curvature: Floats) -> Floats:
        """What solves (Hessian) step = gradient, nearly."""
        held = scattered(self.rows, curvature, self.design.matrix.shape[0])
        diagonal = self.precision + self.design.squared @ held
        step = np.zeros(len(gradient))
        residual = gradient.copy()
        scaled = residual / diagonal
        direction = scaled.copy()
        inner = float(residual @ scaled)
        # Loose far away, tight near the optimum: the objective's error is the residual's square.
        enough = inner * min(0.1, np.sqrt(inner / len(self.clicked))) ** 2
        sums = np.empty(len(self.rows))
        for _ in range(_GRADIENT_STEPS):
            row_sums(self.design.matrix @ direction, self.rows, sums)
            product = self._scattered(curvature * sums) + self.precision * direction
            length = inner / float(direction @ product)
            step += length * direction
            residual -= length * product
            scaled = residual / diagonal
            following = float(residual @ scaled)
            if following < enough:
                break
            direction = scaled + following / inner * direction
            inner = following
        return step

    def _scattered(self, by_row: Floats) -> Floats:
        summed = scattered(self.rows, by_row, self.design.matrix.shape[0])
        effects: Floats = self.design.transposed @ summed
        return effects


@kernel
def _scatter(rows: Index, by_row: Floats, summed: Floats) -> None:
    """Add each row's number to all its coordinates."""
    count, width = rows.shape
    for row in range(count):
        for column in range(width):
            coordinate = rows[row, column]
            if coordinate >= 0:
                summed[coordinate] += by_row[row]
