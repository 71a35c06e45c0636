"""Randomized truncated SVD of a sparse matrix that is only seen as products with A'A.

Halko, Martinsson, Tropp, *Finding structure with randomness*, SIAM Review 2011, with the range
finder on the side of the columns, so that whoever holds the rows answers with ``A'(A Q)``.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.features.linear_algebra import gram, leading_eigenvectors, multiply
from pipelines.kernel import kernel, readonly
from pipelines.splitmix import mix_bits

Floats = npt.NDArray[np.float64]


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
    state = mix_bits(state ^ mix_bits(np.array([seed % 2**64], dtype=np.uint64)))
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0


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
    squares, rotation = leading_eigenvectors(gram(basis, product), basis.shape[1])
    projected = multiply(product, rotation / np.sqrt(squares))
    squares, rotation = leading_eigenvectors(gram(projected, projected), rank)
    effective_rank = len(squares)
    singular_values = np.zeros(rank, dtype=np.float64)
    singular_values[:effective_rank] = np.sqrt(squares)
    vectors = np.zeros((len(basis), rank), dtype=np.float32)
    vectors[:, :effective_rank] = multiply(projected, rotation / np.sqrt(squares))
    if len(vectors):
        largest = np.abs(vectors).argmax(axis=0)
        vectors[:, vectors[largest, np.arange(rank)] < 0] *= np.float32(-1)
    return singular_values, vectors


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
