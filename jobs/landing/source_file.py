"""The whole of ``source.toml``: which raw files there are, and which of them each log reads."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from jobs.landing.files import PathPattern
from schemas.logs import LOGS

FileFormat = Literal["auto", "parquet", "jsonl", "csv", "text"]
_ENDINGS: dict[str, FileFormat] = {
    "parquet": "parquet",
    "jsonl": "jsonl",
    "json": "jsonl",
    "ndjson": "jsonl",
    "csv": "csv",
}
_COMPRESSIONS = ("gz", "bz2", "zst", "zstd")


class View(BaseModel):
    """Raw files that a SELECT reads by the view's name.

    Attributes
    ----------
    path : str
        Under the landing directory; see `PathPattern`.
    format : str
        ``auto`` goes by the file extension.
    options : dict
        CSV only: ``separator``, ``quote``, ``escape``.
    columns : tuple of str
        JSON lines only: the fields to read, all as text. Empty: the canonical columns of the log.
    required : tuple of str
        Columns whose absence from a row is told as `missing_column`. Empty: those of the log.
    first_day, last_day : date
        The days that files without ``{ds}`` hold.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    format: FileFormat = "auto"
    options: dict[Literal["separator", "quote", "escape"], str] = Field(default_factory=dict)
    columns: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    first_day: date | None = None
    last_day: date | None = None

    @property
    def pattern(self) -> PathPattern:
        """The path as a pattern."""
        return PathPattern(self.path)

    def format_of(self, name: str) -> FileFormat | None:
        """The format of a file; None where neither the view nor the file's ending tells it."""
        if self.format != "auto":
            return self.format
        endings = name.lower().rpartition("/")[2].split(".")[1:]
        known = [end for end in endings if end not in _COMPRESSIONS]
        return _ENDINGS.get(known[-1]) if known else None

    @model_validator(mode="after")
    def _check(self) -> View:
        if self.path.startswith("/") or ".." in self.path.split("/"):
            raise ValueError("path must lie under the landing directory")
        if (self.first_day is None) != (self.last_day is None):
            raise ValueError("first_day and last_day belong together")
        if self.pattern.has_day and self.first_day is not None:
            raise ValueError("a path with {ds} says its days itself: no first_day, last_day")
        _ = self.pattern.regex
        return self


class Log(BaseModel):
    """Which views the SELECT of a log reads; the first one decides its days."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    views: tuple[str, ...] = Field(min_length=1)


class SourceFile(BaseModel):
    """The whole of ``source.toml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: str
    views: dict[str, View]
    logs: dict[str, Log]

    @model_validator(mode="after")
    def _check(self) -> SourceFile:
        for log, spec in self.logs.items():
            if log not in LOGS:
                raise ValueError(f"there is no log {log}: there are {', '.join(LOGS)}")
            unknown = [name for name in spec.views if name not in self.views]
            if unknown:
                raise ValueError(f"logs.{log} reads views that are not declared: {unknown}")
            first = self.views[spec.views[0]]
            if not first.pattern.has_day and first.first_day is None:
                raise ValueError(f"views.{spec.views[0]} needs {{ds}} in its path, or its days")
        return self
