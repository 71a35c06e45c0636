"""Rules and suites of quality that come with the project, and those of a user's own folders."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jobs.landing.sources import source_directory
from jobs.setup.config import Config
from jobs.setup.environment import conf_directory
from jobs.setup.exits import UsageError
from jobs.setup.project import QUALITY, project_folder
from pipelines.quality.own_rules import joined
from pipelines.quality.rule_files import RuleError, TableRules, load_rules
from pipelines.quality.suites import Suite, load_suite
from schemas.catalog import TABLES


def own_folders(config: Config) -> tuple[Path, ...]:
    """Folders of a user's rules (`*.toml`) and suites (`*.json`): the project's, the source's."""
    project = project_folder(config.storage.project)
    beside = source_directory(config.source.name, config.storage.project)
    folders = [folder / QUALITY for folder in (project, beside) if folder is not None]
    return tuple(folder for folder in folders if folder.is_dir())


def rules_for(config: Config) -> dict[str, TableRules]:
    """Read the rules of every table: ours, and the user's own.

    Raises
    ------
    UsageError
        A file cannot be read, or a rule cannot be checked.
    """
    return rules_of(conf_directory() / QUALITY, *own_folders(config))


def suites_for(config: Config) -> list[Suite]:
    """Read the user's own suites of expectations, by name.

    Raises
    ------
    UsageError
        A file is no suite, or of no table.
    """
    paths = [path for folder in own_folders(config) for path in folder.glob("*.json")]
    try:
        suites = [
            load_suite(path.stem, path.read_text(encoding="utf-8"), TABLES)
            for path in sorted(paths, key=lambda path: path.stem)
        ]
    except (OSError, ValueError) as problem:
        raise UsageError(f"quality suites: {problem}") from None
    names = [suite.name for suite in suites]
    if len(set(names)) < len(names):
        raise UsageError(f"quality suites: two files have one name, of {', '.join(names)}")
    return suites


def rule_file(path: Path) -> dict[str, Any]:
    """Read a rule file as plain values.

    Raises
    ------
    UsageError
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise UsageError(f"quality rules: {path}: {problem}") from None


@cache
def rules_of(*folders: Path) -> dict[str, TableRules]:
    """Read the rule files of folders, those of later ones beside those of the first.

    Raises
    ------
    UsageError
        A file cannot be read, or a rule cannot be checked.
    """
    files: Mapping[str, Mapping[str, Any]] = {}
    try:
        for folder in folders:
            files = joined(files, _files(folder))
        return load_rules(files)
    except RuleError as problem:
        raise UsageError(f"quality rules: {problem}") from None


def _files(folder: Path) -> dict[str, dict[str, Any]]:
    return {str(path): rule_file(path) for path in sorted(folder.glob("*.toml"))}
