"""Small symmetric positive definite systems, with the same bits on every CPU."""

import math

import numpy as np
import numpy.typing as npt

from pipelines.kernel import kernel

FloatArray = npt.NDArray[np.float64]


@kernel
def cholesky_solve(matrix: FloatArray, right: FloatArray, solution: FloatArray) -> bool:
    """Solve a symmetric positive definite system; False when it is not one to rounding."""
    size = len(right)
    lower = np.zeros((size, size))
    for j in range(size):
        for i in range(j, size):
            total = matrix[i, j]
            for k in range(j):
                total -= lower[i, k] * lower[j, k]
            if i > j:
                lower[i, j] = total / lower[j, j]
            elif total > 1e-13 * matrix[j, j]:
                lower[j, j] = math.sqrt(total)
            else:
                return False
    for i in range(size):
        total = right[i]
        for k in range(i):
            total -= lower[i, k] * solution[k]
        solution[i] = total / lower[i, i]
    for i in range(size - 1, -1, -1):
        total = solution[i]
        for k in range(i + 1, size):
            total -= lower[k, i] * solution[k]
        solution[i] = total / lower[i, i]
    return True
