"""Where settings come from.

Base < environment < project < source < --conf files < variables < --set.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jobs.setup.config import Config
from jobs.setup.environment import conf_directory
from jobs.setup.exits import UsageError
from jobs.setup.project import project_folder, source_folder

ENVIRONMENT_PREFIX = "PROMOTED_CTR__"
PROJECT = "PROMOTED_CTR_PROJECT"
"""The variable that names the user's own folder, as ``--project`` does."""
UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
"""What pydantic calls a key too many, of a model and of a dataclass."""


def _merge(layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Layers on top of each other, key by key; the later one wins.

    Lists of named things (``[[features.more]]``) are merged by name: of one name the later one's
    keys win, a new name comes behind.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            old = merged.get(key)
            if isinstance(value, Mapping):
                merged[key] = _merge([old if isinstance(old, dict) else {}, value])
            elif _is_named(value):
                merged[key] = _by_name(key, old if isinstance(old, list) else [], value)
            else:
                merged[key] = value
    return merged


def _is_named(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(item, Mapping) and isinstance(item.get("name"), str) for item in value)
    )


def _by_name(
    key: str, old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    names = [item["name"] for item in new]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"configuration: {key}: {name} is there twice in one file")
    merged = {item["name"]: dict(item) for item in old}
    for item in new:
        merged[item["name"]] = _merge([merged.get(item["name"], {}), item])
    return list(merged.values())


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"configuration file {path} is not there") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise UsageError(f"configuration file {path} cannot be read: {problem}") from None


def _settings_of(folder: Path | None) -> list[dict[str, Any]]:
    """The settings that a folder of the user's own brings, where it has any."""
    path = folder / "settings.toml" if folder is not None else None
    return [_read(path)] if path is not None and path.is_file() else []


def _named(layers: Sequence[Mapping[str, Any]], section: str, key: str) -> str:
    """A setting as the layers have it, before they are checked."""
    found = _merge(layers).get(section, {})
    return str(found.get(key, "")) if isinstance(found, dict) else ""


def _value(text: str) -> Any:
    """A setting's text as TOML, or as the string it is."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _keys(path: str) -> list[str]:
    """The keys of a dotted path, read as TOML: a quoted key may hold dots."""
    keys: list[str] = []
    node: Any = tomllib.loads(f"{path} = 0")
    while isinstance(node, dict):
        ((key, node),) = node.items()
        keys.append(key)
    return keys


def _setting(keys: Sequence[str], text: str) -> dict[str, Any]:
    nested: Any = _value(text)
    for key in reversed(keys):
        nested = {key: nested}
    return dict(nested)


def _given(setting: str) -> dict[str, Any]:
    """One ``--set``."""
    path, equals, text = setting.partition("=")
    try:
        keys = _keys(path) if equals else []
    except tomllib.TOMLDecodeError:
        keys = []
    if not keys:
        raise UsageError(f"--set takes section.key=value, the key as in TOML, not {setting!r}")
    return _setting(keys, text)


def _dotted(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested mappings by their dotted names."""
    for key, value in nested.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value).lower() if isinstance(value, bool) else value


def _flat(layer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The layer with Spark's settings by their whole names, which hold dots, quoted or not."""
    spark = layer.get("spark")
    if not isinstance(spark, Mapping) or not isinstance(spark.get("settings"), Mapping):
        return layer
    return {**layer, "spark": {**spark, "settings": dict(_dotted(spark["settings"]))}}


def load_config(
    *,
    env: str | None = None,
    files: Sequence[str | Path] = (),
    settings: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Config:
    """Build the effective configuration.

    Parameters
    ----------
    env : str, optional
        Name of a file in ``conf/env``: dev, test or prod.
    files : sequence of paths
        More TOML files, later ones win.
    settings : sequence of str
        ``section.key=value`` strings, a key with dots in quotes; they win over everything.
    environment : mapping, optional
        Environment variables; ``PROMOTED_CTR__SECTION__KEY=value`` ones count, and
        ``PROMOTED_CTR_PROJECT``.

    Raises
    ------
    UsageError
        For an unknown key, a value out of its limits or an unreadable file.
    """
    conf = conf_directory()
    below = [_read(path) for path in sorted((conf / "base").glob("*.toml"))]
    if env is not None:
        chosen = conf / "env" / f"{env}.toml"
        if not chosen.is_file():
            known = ", ".join(sorted(p.stem for p in (conf / "env").glob("*.toml")))
            raise UsageError(f"unknown environment {env!r}: there are {known}")
        below.append(_read(chosen))
    above = [_read(Path(file)) for file in files]
    variables = os.environ if environment is None else environment
    if variables.get(PROJECT):
        above.append({"storage": {"project": variables[PROJECT]}})
    for key, text in sorted(variables.items()):
        if key.startswith(ENVIRONMENT_PREFIX):
            keys = key.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
            above.append(_setting(keys, text))
    above += [_given(setting) for setting in settings]
    own = project_folder(_named([*below, *above], "storage", "project"))
    below += _settings_of(own)
    of_source = _settings_of(source_folder(_named([*below, *above], "source", "name"), own))
    values = _merge([_flat(layer) for layer in (*below, *of_source, *above)])
    try:
        return Config.model_validate(values)
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        wrong = first["msg"].removeprefix("Value error, ")
        what = _unknown(where, _merge(below)) if first["type"] in UNKNOWN else wrong
        raise UsageError(f"configuration: {where}: {what}") from None


def _unknown(where: str, defaults: Mapping[str, Any]) -> str:
    """What is said of an unknown key: the known one that it is most like, and where all are."""
    near = get_close_matches(where, list(_key_names(defaults)), 1, 0.8)
    meant = f", do you mean {near[0]}?" if near else ""
    return f"unknown key{meant} (`promoted-ctr config` shows all)"


def _key_names(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield prefix + name
        if isinstance(value, Mapping):
            yield from _key_names(value, f"{prefix}{name}.")
