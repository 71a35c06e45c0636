"""Linear algebra of tall matrices and small symmetric ones, with the same bits on every CPU.

All sums run in a fixed order in compiled loops: BLAS and LAPACK add in an order that depends on the
CPU and on the number of threads.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.kernel import kernel, readonly

Floats = npt.NDArray[np.float64]

# Below these shares a direction is rounding error: of its own length in orthonormalisation, and
# of the largest eigenvalue of a Gram matrix (its square root, 1e-6, of the singular values).
_DEPENDENT = 1e-10
_NEGLIGIBLE = 1e-12


def orthonormalise(matrix: Floats) -> Floats:
    """Orthonormal basis of the columns' span, by Gram-Schmidt done twice for each column.

    Returns
    -------
    numpy.ndarray of float64, of the same shape
        Columns that depend on those before them are zero.
    """
    vectors = np.ascontiguousarray(matrix.T, dtype=np.float64).copy()
    _gram_schmidt(vectors)
    return np.ascontiguousarray(vectors.T)


def gram(left: Floats, right: Floats) -> Floats:
    """Compute ``left' right`` of what is symmetric but for rounding, made symmetric.

    Parameters
    ----------
    left, right : numpy.ndarray of float64, shape (rows, width)

    Returns
    -------
    numpy.ndarray of float64, shape (width, width)
    """
    products = np.zeros((left.shape[1], right.shape[1]))
    _add_products(readonly(left, np.float64), readonly(right, np.float64), products)
    return (products + products.T) / 2.0


def multiply(tall: Floats, small: Floats) -> Floats:
    """Multiply matrices of shapes (rows, width) and (width, columns)."""
    product = np.zeros((len(tall), small.shape[1]))
    _multiply(readonly(tall, np.float64), readonly(small, np.float64), product)
    return product


def leading_eigenvectors(symmetric: Floats, count: int) -> tuple[Floats, Floats]:
    """Largest eigenvalues of a Gram matrix and their vectors, by Jacobi's algorithm.

    Parameters
    ----------
    symmetric : numpy.ndarray of float64, shape (width, width)
        Positive semi-definite but for rounding.
    count : int
        How many at most; those that are rounding error are left out.

    Returns
    -------
    values : numpy.ndarray of float64, shape (k,)
        Descending.
    vectors : numpy.ndarray of float64, shape (width, k)
        One a column.

    Raises
    ------
    ArithmeticError
        The matrix is not finite.
    """
    matrix = symmetric.copy()
    vectors = np.eye(len(symmetric))
    _diagonalise(matrix, vectors)
    values = np.diagonal(matrix)
    order = np.argsort(-values, kind="stable")[:count]
    order = order[values[order] > _NEGLIGIBLE * values.max(initial=0.0)]
    return values[order], np.ascontiguousarray(vectors[order].T)


@kernel
def _dot(left: Any, right: Any) -> float:
    # Eight running sums: a single one waits four cycles for each addition.
    sums = np.zeros(8)
    whole = len(left) // 8 * 8
    for start in range(0, whole, 8):
        for lane in range(8):
            sums[lane] += left[start + lane] * right[start + lane]
    total = 0.0
    for lane in range(8):
        total += sums[lane]
    for i in range(whole, len(left)):
        total += left[i] * right[i]
    return total


@kernel
def _gram_schmidt(vectors: Any) -> None:
    for j in range(len(vectors)):
        length_before = np.sqrt(_dot(vectors[j], vectors[j]))
        for _ in range(2):
            for i in range(j):
                share = _dot(vectors[i], vectors[j])
                for t in range(vectors.shape[1]):
                    vectors[j, t] -= share * vectors[i, t]
        length = np.sqrt(_dot(vectors[j], vectors[j]))
        scale = 1.0 / length if length > _DEPENDENT * length_before else 0.0
        for t in range(vectors.shape[1]):
            vectors[j, t] *= scale


@kernel
def _add_products(left: Any, right: Any, products: Any) -> None:
    for row in range(len(left)):
        for i in range(left.shape[1]):
            for j in range(right.shape[1]):
                products[i, j] += left[row, i] * right[row, j]


@kernel
def _multiply(tall: Any, small: Any, product: Any) -> None:
    for row in range(len(tall)):
        for i in range(tall.shape[1]):
            for j in range(small.shape[1]):
                product[row, j] += tall[row, i] * small[i, j]


@kernel
def _diagonalise(matrix: Any, vectors: Any) -> None:
    """Jacobi's eigenvalue algorithm, cyclic by rows; eigenvectors become rows of ``vectors``."""
    size = len(matrix)
    for _ in range(100):
        off, total = 0.0, 0.0
        for p in range(size):
            for q in range(size):
                total += matrix[p, q] ** 2
                if p != q:
                    off += matrix[p, q] ** 2
        if off <= 1e-32 * total:
            return
        for p in range(size - 1):
            for q in range(p + 1, size):
                if matrix[p, q] == 0.0:
                    continue
                theta = (matrix[q, q] - matrix[p, p]) / (2.0 * matrix[p, q])
                tangent = 1.0 / (abs(theta) + np.sqrt(theta * theta + 1.0))
                if theta < 0.0:
                    tangent = -tangent
                cosine = 1.0 / np.sqrt(tangent * tangent + 1.0)
                sine = tangent * cosine
                for t in range(size):
                    first, second = matrix[t, p], matrix[t, q]
                    matrix[t, p] = cosine * first - sine * second
                    matrix[t, q] = sine * first + cosine * second
                for t in range(size):
                    first, second = matrix[p, t], matrix[q, t]
                    matrix[p, t] = cosine * first - sine * second
                    matrix[q, t] = sine * first + cosine * second
                    first, second = vectors[p, t], vectors[q, t]
                    vectors[p, t] = cosine * first - sine * second
                    vectors[q, t] = sine * first + cosine * second
                matrix[p, q] = 0.0
                matrix[q, p] = 0.0
    raise ArithmeticError("the eigenvalues did not converge: the matrix is not finite")
