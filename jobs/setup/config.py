"""The configuration's sections: types and limits; those the core takes as they are, it declares."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import reduce
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from jobs.setup.stores import Masked, checked_address, checked_options
from pipelines.logs.labels import LabelRules
from pipelines.models.ftrl_parameters import FtrlParameters
from pipelines.models.level_prior import LevelPrior
from pipelines.parameters import Parameters, Positive
from pipelines.quality.alert_settings import AlertSettings
from pipelines.quality.gates import GateLimits

Share = Annotated[float, Field(gt=0, lt=1)]
Days = Annotated[int, Field(ge=1, le=400)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values do not change."""

    model_config = cast(ConfigDict, Parameters.__pydantic_config__)


class StorageConfig(Section):
    root: str
    landing: str
    reports: str
    restate_days: Annotated[int, Field(ge=0)]
    project: str
    part_rows: Annotated[int, Field(ge=1)]
    passing_days: Annotated[int, Field(ge=0)]
    options: dict[str, str]

    @field_validator("root", "reports")
    @classmethod
    def _place(cls, address: str) -> str:
        return checked_address(address)

    @field_validator("landing")
    @classmethod
    def _landing(cls, address: str) -> str:
        return checked_address(address, also=("hdfs", "viewfs"))  # Arrow and Spark read there

    @field_validator("options")
    @classmethod
    def _options(cls, options: dict[str, str]) -> dict[str, str]:
        return checked_options(options)

    @model_validator(mode="before")
    @classmethod
    def _beside_the_tables(cls, values: Any) -> Any:
        """Reports of a warehouse lie in it, so that no other one's take their place."""
        if not isinstance(values, dict) or values.get("reports") != "":
            return values
        return values | {"reports": f"{str(values.get('root', '')).rstrip('/')}/reports"}


class SparkConfig(Section):
    master: str
    small_rows: Annotated[int, Field(ge=0)]
    settings: Masked


class SourceConfig(Section):
    name: str


class IngestConfig(Section):
    max_string_bytes: Annotated[int, Field(ge=16)]
    max_typed_day_bytes: Annotated[int, Field(ge=0)]


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


class TrainingConfig(Section):
    search_days: Days
    promoted_days: Days
    learners_per_pass: Annotated[int, Field(ge=1, le=64)]
    level: LevelPrior
    historical: FtrlParameters
    content: FtrlParameters

    @property
    def window_days(self) -> int:
        """The longer of the two windows."""
        return max(self.search_days, self.promoted_days)


class JointNamespaceConfig(Section):
    """One registered namespace of the joint model; `conf/base/joint.toml` says what is what."""

    name: str
    scope: Literal["listing", "request", "pair", "cross"]
    encoding: str
    inputs: tuple[str, ...]
    prior: Annotated[float, Field(ge=0)]
    is_id: bool = False
    of: str = "row"
    unknown: Annotated[float, Field(ge=0)] = 0.0
    learnt: bool = True
    walk: Annotated[float, Field(ge=0)] = 0.0
    why: str


class JointConfig(Section):
    whole_rows: Annotated[int, Field(ge=0)]
    ratio: Positive
    scales: Annotated[tuple[Positive, ...], Field(min_length=1)]
    strength: Positive
    smallest: Positive
    largest: Positive
    content_days: Annotated[int, Field(ge=0)]
    content_every: Annotated[int, Field(ge=1)]
    level_days: Annotated[int, Field(ge=0)]
    most_coordinates: Annotated[int, Field(ge=0)]
    with_surface: Annotated[float, Field(ge=0)]
    most_attributes: Annotated[int, Field(ge=0, le=1000)]
    most_values: Annotated[int, Field(ge=1)]
    namespaces: tuple[JointNamespaceConfig, ...]
    more: tuple[JointNamespaceConfig, ...]


class CorrectionConfig(Section):
    l2: Positive
    min_clicks: Annotated[int, Field(ge=0)]
    level: LevelPrior


class EnsembleConfig(Section):
    published: Literal["joint", "pair"]
    days: Days
    l2: Annotated[float, Field(ge=0)]
    cold_share: Share
    max_rows: Annotated[int, Field(ge=1000)]
    correction: CorrectionConfig


class CalibrationConfig(Section):
    folds: Annotated[int, Field(ge=2, le=50)]
    fields: tuple[str, ...]


class EvaluationConfig(Section):
    min_field_clicks: Positive
    max_rows: Annotated[int, Field(ge=1000)]


class ScoringConfig(Section):
    reference: dict[str, str]


class QualityConfig(Section):
    great_expectations: bool
    documents_kept: Annotated[int, Field(ge=1)]
    suite_rows: Annotated[int, Field(ge=1000)]
    history_days: Days
    min_history_days: Days


class Config(Section):
    """The whole effective configuration."""

    storage: StorageConfig
    spark: SparkConfig
    source: SourceConfig
    ingest: IngestConfig
    labels: LabelRules
    history: HistoryConfig
    sampling: SamplingConfig
    text_svd: TextSvdConfig
    features: FeaturesConfig
    training: TrainingConfig
    joint: JointConfig
    ensemble: EnsembleConfig
    calibration: CalibrationConfig
    evaluation: EvaluationConfig
    scoring: ScoringConfig
    publish: GateLimits
    quality: QualityConfig
    alerts: AlertSettings

    def section_hash(self, names: Sequence[str]) -> str:
        """A hash of the named sections."""
        return _digest(self.model_dump(mode="json", include=set(names)))

    @property
    def hash(self) -> str:
        """A hash of every effective value."""
        return _digest(self.model_dump(mode="json"))

    def number(self, path: str) -> int:
        """An integer value or property by its dotted path, such as ``history.window_days``."""
        return int(reduce(getattr, path.split("."), cast(Any, self)))


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
