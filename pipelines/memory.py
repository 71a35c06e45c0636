"""Memory that is free again, and that allocators would keep from other processes."""

from __future__ import annotations

import ctypes

import pyarrow as pa

_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""Of the GNU C library; others give back by themselves, or not at all."""


def give_back_memory() -> None:
    """Hand what is free to the machine: after work that takes much more than what follows.

    Python workers of Spark live on from step to step, with all that they have ever held.
    """
    pa.default_memory_pool().release_unused()
    if _TRIM is not None:
        _TRIM(0)
