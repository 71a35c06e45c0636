"""Compilation of numeric kernels (numba, strict IEEE arithmetic) and checks of their inputs."""

import os
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile a function over numpy arrays at its first call and cache the machine code on disk.

    ``fastmath`` stays off: sums keep their order and no multiply-add is fused, so that a kernel
    gives the same bits on every CPU. Division by zero follows IEEE instead of raising.

    The cache looks at the kernel's own file only: after a change of a kernel that kernels of other
    files call, remove their ``__pycache__``. Reading the cache looks up the named tuples of a
    kernel's arguments by name: who renames or moves one renames the kernel too, or an older cache
    of the same file name ends in an AttributeError.

    Where nothing can be written, each process compiles for itself.
    """
    try:
        compiled = njit(cache=True, error_model="numpy")(function)
        folder = str(compiled.stats.cache_path)
        # numba looks whether it may write beside a file, but not for code in an archive.
        os.makedirs(folder, exist_ok=True)
        can_keep = os.access(folder, os.W_OK)
    except (OSError, RuntimeError):
        can_keep = False
    if not can_keep:
        compiled = njit(error_model="numpy")(function)
    return cast(Function, compiled)


def readonly(array: npt.ArrayLike, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Give a read-only, aligned, contiguous view (a copy only where there is no such view).

    Kernels are compiled once per argument type, and numba tells read-only arrays (all that
    come from Arrow) from writable ones: kernel inputs pass through here to be of one type.

    Raises
    ------
    TypeError
        The values cannot be cast to ``dtype`` without a possible loss.
    """
    values = np.asarray(array)
    if values.size and not np.can_cast(values.dtype, dtype, casting="safe"):
        raise TypeError(f"expected {np.dtype(dtype)} values, got {values.dtype}")
    view = np.require(values, dtype=dtype, requirements=["C", "A"]).view()
    view.flags.writeable = False
    return view


def column(
    name: str, entries: npt.ArrayLike | None, dtype: npt.DTypeLike, length: int
) -> npt.NDArray[Any]:
    """Check a one-dimensional kernel input and view it read-only; one that is None is empty.

    Raises
    ------
    ValueError
        It has not ``length`` entries.
    TypeError
        As `readonly`.
    """
    if entries is None:
        return readonly(np.empty(0, dtype), dtype)
    if np.shape(entries) != (length,):
        raise ValueError(f"{name} has shape {np.shape(entries)}, expected ({length},)")
    return readonly(entries, dtype)
