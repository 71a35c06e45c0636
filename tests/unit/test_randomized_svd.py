"""Randomized SVD from products with A'A."""

import numpy as np
import numpy.typing as npt
import pytest

from pipelines.features.linear_algebra import orthonormalise
from pipelines.features.randomized_svd import random_start, truncate

Floats = npt.NDArray[np.float64]
KEYS = np.arange(-20, 20, dtype=np.int32)


def decaying_matrix(rows: int = 60, columns: int = 40, *, decay: float = 0.7) -> Floats:
    random = np.random.default_rng(0)
    left = np.linalg.qr(random.normal(size=(rows, columns)))[0]
    right = np.linalg.qr(random.normal(size=(columns, columns)))[0]
    return left * decay ** np.arange(columns) @ right


def decompose(matrix: Floats, *, rank: int, width: int) -> tuple[Floats, npt.NDArray[np.float32]]:
    basis = orthonormalise(random_start(KEYS[: matrix.shape[1]], width=width, seed=42))
    for _ in range(2):
        basis = orthonormalise(matrix.T @ (matrix @ basis))
    return truncate(basis, matrix.T @ (matrix @ basis), rank=rank)


def test_leading_components_equal_those_of_a_full_svd() -> None:
    matrix = decaying_matrix()
    values, vectors = decompose(matrix, rank=6, width=12)
    _, expected, right = np.linalg.svd(matrix)
    np.testing.assert_allclose(values, expected[:6], rtol=1e-6)
    np.testing.assert_allclose(np.abs(np.diag(right[:6] @ vectors)), 1.0, atol=1e-6)


def test_the_entry_of_largest_magnitude_is_positive() -> None:
    _, vectors = decompose(decaying_matrix(), rank=6, width=12)
    largest = np.abs(vectors).argmax(axis=0)
    assert (vectors[largest, np.arange(6)] > 0).all()


@pytest.mark.parametrize(("rows", "columns"), [(3, 5), (5, 3), (1, 1), (2, 8)])
def test_a_matrix_of_lower_rank_gives_zero_components(rows: int, columns: int) -> None:
    matrix = np.random.default_rng(3).normal(size=(rows, columns))
    values, vectors = decompose(matrix, rank=8, width=columns)
    found = min(rows, columns)
    expected = np.linalg.svd(matrix)[1]
    np.testing.assert_allclose(values[:found], expected, rtol=1e-9)
    assert not values[found:].any()
    assert not vectors[:, found:].any()


@pytest.mark.parametrize("shape", [(0, 0), (4, 3)])
def test_a_matrix_of_zeros_has_no_components(shape: tuple[int, int]) -> None:
    values, vectors = truncate(np.zeros(shape), np.zeros(shape), rank=2)
    assert not values.any()
    assert vectors.shape == (shape[0], 2)
    assert not vectors.any()


def test_dependent_columns_become_zero_and_the_rest_orthonormal() -> None:
    first, second = np.random.default_rng(5).normal(size=(2, 19))
    basis = orthonormalise(np.stack([first, 2 * first, first + 1e-6 * second, 0 * first], axis=1))
    np.testing.assert_allclose(basis.T @ basis, np.diag([1.0, 0, 1, 0]), atol=1e-14)


def test_the_random_start_depends_on_seed_and_key_alone() -> None:
    start = random_start(KEYS, width=5, seed=42)
    np.testing.assert_array_equal(random_start(KEYS[::-1], width=3, seed=42)[::-1], start[:, :3])
    assert not (start == random_start(KEYS, width=5, seed=43)).any()
    assert len(np.unique(start)) == start.size
    assert np.abs(start).max() < 1


def test_what_is_not_finite_is_refused() -> None:
    basis = orthonormalise(random_start(KEYS[:3], width=3, seed=1))
    with pytest.raises(ArithmeticError, match="not finite"):
        truncate(basis, np.full((3, 3), np.nan), rank=2)
