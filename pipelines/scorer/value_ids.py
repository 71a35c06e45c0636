"""Ids of values: what `pipelines.features.ids` and `hashing` give, by numpy and mmh3 alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import mmh3
import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

SEED = 42
NONE = int(np.iinfo(np.int64).min)
"""Stands for no value; no value has it as its id."""

_C1, _C2 = np.uint64(0x87C37B91114253D5), np.uint64(0x4CF5AD432745937F)
_M1, _M2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_33 = np.uint64(33)


def namespace_seed(namespace: str) -> int:
    """Seed of a namespace: its own 32-bit hash, unsigned."""
    return int(mmh3.hash(namespace, SEED, signed=False))


def value_ids(namespace: str, labels: Iterable[str | None]) -> Ints:
    """64-bit id of each label, shape (n,); `NONE` for none."""
    seed = namespace_seed(namespace)
    found = [NONE if one is None else mmh3.hash64(one.encode(), seed)[0] for one in labels]
    return np.array(found, dtype=np.int64)


def cross_ids(namespace: str, parts: Sequence[Ints]) -> Ints:
    """Ids of the cross of several values a row, shape (n,); `NONE` where a part has none.

    Each part is mixed in by the end of MurmurHash3 and a step of a linear congruence.
    """
    mixed = np.full(len(parts[0]), namespace_seed(namespace), dtype=np.uint64)
    absent = np.zeros(len(mixed), dtype=np.bool_)
    for part in parts:
        absent |= part == NONE
        word = mixed ^ part.view(np.uint64)
        for multiplier in (_M1, _M2):
            word ^= word >> _33
            word *= multiplier
        word ^= word >> _33
        mixed = word * _C1 + _C2
    ids = mixed.view(np.int64)
    ids[absent] = NONE
    return ids


def feature_hashes(namespace: str, labels: Iterable[str]) -> npt.NDArray[np.uint32]:
    """32-bit hashes of features of the two FTRL models, shape (n,)."""
    found = [mmh3.hash(f"{namespace}={label}", SEED, signed=False) for label in labels]
    return np.array(found, dtype=np.uint32)
