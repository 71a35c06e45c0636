"""The mixing of 64 bits that keys, folds and random starts rest on."""

import numpy as np

from pipelines.splitmix import mix_bits


def test_it_is_the_mixing_of_splitmix64() -> None:
    # The published generator's first outputs for seed 0: its states are multiples of this step.
    states = np.array([1, 2], np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    outputs = ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4"]
    assert [hex(value) for value in mix_bits(states)] == outputs


def test_what_is_mixed_is_not_changed() -> None:
    words = np.arange(5, dtype=np.uint64)
    mix_bits(words)
    assert words.tolist() == [0, 1, 2, 3, 4]
