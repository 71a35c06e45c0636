"""The help texts are the stored ones, so that a change of the command line is seen in a review."""

from __future__ import annotations

import sys

import pytest

from tests.golden.help_texts import help_texts, read_stored

WHAT_TO_DO = (
    "first ask whether a promise broke: do calls that worked still work and mean the same? Only "
    "where the change is meant, rebuild with `python -m tests.golden.rebuild`"
)


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="other versions lay help out otherwise")
def test_help_says_what_it_said() -> None:
    stored, now = read_stored(), help_texts()
    assert sorted(stored) == sorted(now), WHAT_TO_DO
    for name, text in now.items():
        assert text == stored[name], f"{name}: {WHAT_TO_DO}"


def test_every_command_says_what_it_does() -> None:
    for name, text in help_texts().items():
        assert text.startswith("usage: promoted-ctr"), name
        assert "None" not in text, name
