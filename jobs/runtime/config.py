"""Configuration: base < environment < source < --conf files < environment variables < --set.

Every value has its default, with the reason, in ``conf/base``; here are the types and limits only.
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from jobs.runtime.environment import conf_directory
from jobs.runtime.exits import UsageError

ENVIRONMENT_PREFIX = "PROMOTED_CTR__"

Share = Annotated[float, Field(gt=0, lt=1)]
Days = Annotated[int, Field(ge=1, le=400)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values do not change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, coerce_numbers_to_str=True
    )


class StorageConfig(Section):
    root: str
    landing: str
    reports: str


class SparkConfig(Section):
    master: str
    many_days: Days
    settings: dict[str, str]

    @field_validator("settings", mode="before")
    @classmethod
    def _flat(cls, given: object) -> object:
        # Spark's names hold dots, at which --set and variables divide.
        return dict(_dotted(given)) if isinstance(given, Mapping) else given


class SourceConfig(Section):
    name: str


class IngestConfig(Section):
    max_string_bytes: Annotated[int, Field(ge=16)]


class LabelsConfig(Section):
    click_window_hours: Positive
    cutoff_hours: Annotated[int, Field(ge=0, le=24)]
    max_clicks_per_user_and_listing: Annotated[int, Field(ge=1)]
    max_clicks_per_user: Annotated[int, Field(ge=1)]


class HistoryConfig(Section):
    search_days: Days
    promoted_days: Days
    position_strength: Positive
    min_strength: Positive
    max_strength: Positive

    @property
    def window_days(self) -> int:
        """The longer of the two windows."""
        return max(self.search_days, self.promoted_days)


class SamplingConfig(Section):
    ratio: Positive
    salt: str


class TextSvdConfig(Section):
    rank: Annotated[int, Field(ge=1, le=512)]
    oversampling: Annotated[int, Field(ge=2)]
    iterations: Annotated[int, Field(ge=0, le=10)]
    min_document_frequency: Annotated[int, Field(ge=1)]
    max_terms: Annotated[int, Field(ge=1)]
    refit_every_days: Days
    seed: int


class NamespaceConfig(Section):
    """One registered feature namespace."""

    name: str
    model: Literal["historical", "content", "both"]
    scope: Literal["listing", "context", "pair"]
    encoding: str
    inputs: tuple[str, ...]
    owner: str
    why: str


class FeaturesConfig(Section):
    namespaces: tuple[NamespaceConfig, ...]
    more: tuple[NamespaceConfig, ...]


class FtrlConfig(Section):
    alpha: Positive
    beta: Annotated[float, Field(ge=0)]
    l1: Annotated[float, Field(ge=0)]
    l2: Annotated[float, Field(ge=0)]
    bits: Annotated[int, Field(ge=8, le=28)]


class TrainingConfig(Section):
    search_days: Days
    promoted_days: Days
    level_days: Days
    learners_per_pass: Annotated[int, Field(ge=1, le=64)]
    min_clicks: Count
    historical: FtrlConfig
    content: FtrlConfig

    @property
    def window_days(self) -> int:
        """The longer of the two windows."""
        return max(self.search_days, self.promoted_days)


class EnsembleConfig(Section):
    days: Days
    l2: Annotated[float, Field(ge=0)]
    cold_share: Share
    max_rows: Annotated[int, Field(ge=1000)]


class CalibrationConfig(Section):
    folds: Annotated[int, Field(ge=2, le=50)]
    fields: tuple[str, ...]


class EvaluationConfig(Section):
    min_field_clicks: Positive


class ScoringConfig(Section):
    reference: dict[str, str]


class PublishConfig(Section):
    model: str
    require_evaluation: bool
    min_judged_clicks: Count
    min_ratio: Positive
    max_ratio: Positive
    min_field_ratio: Positive
    max_field_ratio: Positive
    min_field_clicks: Positive
    max_normalized_entropy: Positive
    min_coverage: Annotated[float, Field(ge=0, le=1)]


class QualityConfig(Section):
    great_expectations: bool
    history_days: Days
    min_history_days: Days


class Config(Section):
    """The whole effective configuration."""

    storage: StorageConfig
    spark: SparkConfig
    source: SourceConfig
    ingest: IngestConfig
    labels: LabelsConfig
    history: HistoryConfig
    sampling: SamplingConfig
    text_svd: TextSvdConfig
    features: FeaturesConfig
    training: TrainingConfig
    ensemble: EnsembleConfig
    calibration: CalibrationConfig
    evaluation: EvaluationConfig
    scoring: ScoringConfig
    publish: PublishConfig
    quality: QualityConfig

    def section_hash(self, names: Sequence[str]) -> str:
        """A hash of the named sections."""
        return _digest({name: getattr(self, name).model_dump(mode="json") for name in names})

    @property
    def hash(self) -> str:
        """A hash of every effective value."""
        return _digest(self.model_dump(mode="json"))

    def number(self, path: str) -> int:
        """An integer value or property by its dotted path, such as ``history.window_days``."""
        value: Any = self
        for name in path.split("."):
            value = getattr(value, name)
        return int(value)


def _dotted(given: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested mappings by their dotted names."""
    for key, value in given.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value).lower() if isinstance(value, bool) else value


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _merge(layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Layers on top of each other, key by key; the later one wins."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            old = merged.get(key)
            both = isinstance(old, dict) and isinstance(value, Mapping)
            merged[key] = _merge([old, value]) if both and old is not None else value
    return merged


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"configuration file {path} is not there") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise UsageError(f"configuration file {path} cannot be read: {problem}") from None


def _source_settings(name: str) -> list[dict[str, Any]]:
    """The settings that a source brings, in ``settings.toml`` beside its ``source.toml``."""
    for directory in (Path(name), conf_directory() / "sources" / name):
        if (directory / "source.toml").is_file() and (directory / "settings.toml").is_file():
            return [_read(directory / "settings.toml")]
    return []


def _value(text: str) -> Any:
    """A setting's text as TOML, or as the string it is."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _setting(path: str, text: str) -> dict[str, Any]:
    nested: Any = _value(text)
    for key in reversed(path.split(".")):
        nested = {key: nested}
    return dict(nested)


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
        ``section.key=value`` strings; they win over everything.
    environment : mapping, optional
        Environment variables; ``PROMOTED_CTR__SECTION__KEY=value`` ones count.

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
    for key, text in sorted((os.environ if environment is None else environment).items()):
        if key.startswith(ENVIRONMENT_PREFIX):
            path_text = key.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
            above.append(_setting(path_text, text))
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise UsageError(f"--set takes section.key=value, not {setting!r}")
        above.append(_setting(key, text))
    source = _merge([*below, *above]).get("source", {})
    name = str(source.get("name", "")) if isinstance(source, dict) else ""
    values = _merge([*below, *_source_settings(name), *above])
    try:
        return Config.model_validate(values)
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        raise UsageError(f"configuration: {where}: {what}") from None
