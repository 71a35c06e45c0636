"""The planted faults: small changes of the code, each of which breaks something users rely on."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

LISTS = Path(__file__).parent
JVM = ("tests/spark", "tests/e2e")


@dataclass(frozen=True)
class Fault:
    """One planted fault.

    Attributes
    ----------
    name : str
        Its list and its number there, such as ``logs.3``.
    breaks : str
        What a user loses.
    file, old, new : str
        In which file which text, there exactly once, is replaced by what.
    tests : tuple of str
        The neighbouring tests that should find it, as pytest takes them.
    """

    name: str
    breaks: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def needs_jvm(self) -> bool:
        """Whether a test that should find it starts Spark."""
        return any(test.startswith(JVM) for test in self.tests)

    def is_chosen(self, words: list[str]) -> bool:
        """Whether a word names it, its list or its file; no words name all."""
        names = {self.name, self.name.partition(".")[0], self.file}
        return not words or not names.isdisjoint(words)

    def planted_in(self, text: str) -> str | None:
        """The text of its file with the fault; None where the old text is not there just once."""
        return text.replace(self.old, self.new) if text.count(self.old) == 1 else None


def read_faults() -> list[Fault]:
    """All faults, by list and number."""
    return [
        Fault(f"{path.stem}.{number}", **entry | {"tests": tuple(entry["tests"])})
        for path in sorted(LISTS.glob("*.toml"))
        for number, entry in enumerate(tomllib.loads(path.read_text())["fault"], start=1)
    ]
