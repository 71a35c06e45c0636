"""Randomized truncated SVD of a sparse matrix that is only seen as products with A'A.

Halko, Martinsson, Tropp, *Finding structure with randomness*, SIAM Review 2011, with the range
finder on the side of the columns, so that whoever holds the rows answers with ``A'(A Q)``.
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


def random_start(keys: npt.NDArray[np.int32], *, width: int, seed: int) -> Floats:
    """Random matrix whose row depends on the seed and the row's key alone.

    Parameters
    ----------
    keys : numpy.ndarray of int32, shape (columns of A,)
        A hash of each column's name.
    width : int
        Columns to make.
    seed : int
        Any integer.

    Returns
    -------
    numpy.ndarray of float64, shape (len(keys), width)
        Uniform on [-1, 1): the splitmix64 finaliser of (seed, key, column).
    """
    state = keys.astype(np.uint32).astype(np.uint64)[:, None] << np.uint64(32)
    state = state | np.arange(width, dtype=np.uint64)
    state = _splitmix(state ^ _splitmix(np.array([seed % 2**64], dtype=np.uint64)))
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0


def _splitmix(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def normal_product(
    indptr: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int32],
    weights: Floats,
    basis: Floats,
) -> Floats:
    """Compute ``A'(A basis)`` of a matrix in compressed sparse rows, row after row.

    Parameters
    ----------
    indptr, columns, weights : numpy.ndarray
        The matrix A, shape (rows, c).
    basis : numpy.ndarray of float64, shape (c, width)
        What to multiply.

    Returns
    -------
    numpy.ndarray of float64, shape (c, width)
    """
    product = np.zeros(basis.shape, dtype=np.float64)
    _normal_product(
        readonly(indptr, np.int64),
        readonly(columns, np.int32),
        readonly(weights, np.float64),
        readonly(basis, np.float64),
        product,
    )
    return product


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


def truncate(
    basis: Floats, product: Floats, *, rank: int
) -> tuple[Floats, npt.NDArray[np.float32]]:
    """Singular values and right singular vectors from a basis Q and ``A'(A Q)``.

    With ``Q'A'A Q = W D W'``, the orthonormal range of A Q is ``A Q W D^-1/2``; the matrix B of
    Halko et al., A projected on that range, has the transpose ``A'A Q W D^-1/2``.

    Parameters
    ----------
    basis : numpy.ndarray of float64, shape (c, width)
        Orthonormal or zero columns Q.
    product : numpy.ndarray of float64, shape (c, width)
        ``A'(A Q)``.
    rank : int
        Components to keep.

    Returns
    -------
    singular_values : numpy.ndarray of float64, shape (rank,)
        Descending, padded with zeros where the matrix has no more.
    vectors : numpy.ndarray of float32, shape (c, rank)
        Right singular vectors, padded likewise. The entry of largest magnitude is positive; of
        several, the first.
    """
    squares, rotation = _leading(_gram(basis, product), basis.shape[1])
    projected = _times(product, rotation / np.sqrt(squares))
    squares, rotation = _leading(_gram(projected, projected), rank)
    found = len(squares)
    singular_values = np.zeros(rank, dtype=np.float64)
    singular_values[:found] = np.sqrt(squares)
    vectors = np.zeros((len(basis), rank), dtype=np.float32)
    vectors[:, :found] = _times(projected, rotation / np.sqrt(squares))
    if len(vectors):
        largest = np.abs(vectors).argmax(axis=0)
        vectors[:, vectors[largest, np.arange(rank)] < 0] *= np.float32(-1)
    return singular_values, vectors


def _leading(gram: Floats, count: int) -> tuple[Floats, Floats]:
    """Largest eigenvalues of a Gram matrix, descending, with their vectors as columns."""
    matrix = gram.copy()
    vectors = np.eye(len(gram))
    _diagonalise(matrix, vectors)
    values = np.diagonal(matrix)
    order = np.argsort(-values, kind="stable")[:count]
    order = order[values[order] > _NEGLIGIBLE * values.max(initial=0.0)]
    return values[order], np.ascontiguousarray(vectors[order].T)


def _gram(left: Floats, right: Floats) -> Floats:
    gram = np.zeros((left.shape[1], right.shape[1]))
    _add_products(readonly(left, np.float64), readonly(right, np.float64), gram)
    return (gram + gram.T) / 2.0


def _times(tall: Floats, small: Floats) -> Floats:
    product = np.zeros((len(tall), small.shape[1]))
    _multiply(readonly(tall, np.float64), readonly(small, np.float64), product)
    return product


@kernel
def _normal_product(indptr: Any, columns: Any, weights: Any, basis: Any, product: Any) -> None:
    width = basis.shape[1]
    row_product = np.empty(width, dtype=np.float64)
    for row in range(len(indptr) - 1):
        row_product[:] = 0.0
        for entry in range(indptr[row], indptr[row + 1]):
            for j in range(width):
                row_product[j] += weights[entry] * basis[columns[entry], j]
        for entry in range(indptr[row], indptr[row + 1]):
            for j in range(width):
                product[columns[entry], j] += weights[entry] * row_product[j]


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
        given = np.sqrt(_dot(vectors[j], vectors[j]))
        for _ in range(2):
            for i in range(j):
                share = _dot(vectors[i], vectors[j])
                for t in range(vectors.shape[1]):
                    vectors[j, t] -= share * vectors[i, t]
        length = np.sqrt(_dot(vectors[j], vectors[j]))
        scale = 1.0 / length if length > _DEPENDENT * given else 0.0
        for t in range(vectors.shape[1]):
            vectors[j, t] *= scale


@kernel
def _add_products(left: Any, right: Any, gram: Any) -> None:
    for row in range(len(left)):
        for i in range(left.shape[1]):
            for j in range(right.shape[1]):
                gram[i, j] += left[row, i] * right[row, j]


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
