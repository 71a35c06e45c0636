"""A source is looked at before the first day is made by it, where that is worth it and not dear."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.commands import check_source
from jobs.landing.log_findings import Finding
from jobs.landing.sources import Source
from jobs.setup.config import Config
from jobs.storage.tables import Tables
from tests.support.world import World
from tests.unit.conftest import PUBLISHED

WRONG = Finding("clicks", "ts", "wrong", "is text")
DOUBTFUL = Finding("clicks", "", "look", "is few")


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The sources that were looked at."""
    seen: list[Any] = []

    def check(source: Source, *_: object, **__: object) -> list[Finding]:
        seen.append(source)
        return [WRONG, DOUBTFUL]

    monkeypatch.setattr(check_source, "check_source", check)
    return seen


def told(marketplace: World, config: Config, tmp_path: Path) -> list[str]:
    said: list[str] = []
    source = Source.load("canonical", marketplace.landing)
    tables = Tables(str(tmp_path), lambda: None)  # type: ignore[arg-type,return-value]
    check_source.tell_first_use(source, tables, config, said.append)
    return said


def test_days_in_the_canonical_types_are_not_looked_at(
    marketplace: World, config: Config, looked: list[Any], tmp_path: Path
) -> None:
    assert (told(marketplace, config, tmp_path), looked) == ([], [])


def test_what_is_wrong_is_said_and_nothing_else(
    marketplace: World,
    config: Config,
    looked: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(check_source, "typed_days", lambda *_, **__: {})
    assert told(marketplace, config, tmp_path) == ["source canonical: clicks.ts: is text"]
    assert len(looked) == 1


def test_a_large_day_is_not_held_here_to_be_looked_at(
    marketplace: World,
    config: Config,
    looked: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(check_source, "typed_days", lambda *_, **__: {})
    monkeypatch.setattr(check_source, "LOOKED_AT_FIRST", 1)
    (line,) = told(marketplace, config, tmp_path)
    assert "too large to be looked at first" in line
    assert str(PUBLISHED[-1])[:7] in line
    assert looked == []
