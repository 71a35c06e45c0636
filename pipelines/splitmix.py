"""The mixing function of SplitMix64: 64 bits to 64 bits, one to one, every bit depending on all."""

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]


def mix_bits(words: Words) -> Words:
    """Mix every word; 0 stays 0.

    Stafford's variant 13 of MurmurHash3's 64-bit finalizer, as in Steele, Lea, Flood, *Fast
    splittable pseudorandom number generators* (OOPSLA 2014).
    """
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
