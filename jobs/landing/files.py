"""Landing files: where they are, which day each stands for, how large and how old they are.

Any file system that Arrow knows (local, S3, GCS, HDFS). Nothing here starts Spark.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from pyarrow import fs

from jobs.setup.exits import InputMissing, UsageError

_PLACEHOLDER = re.compile(r"\{ds(?::([^{}]*))?\}")
_DATE_PARTS = {"%Y": r"(?P<Y>\d{4})", "%m": r"(?P<m>\d{2})", "%d": r"(?P<d>\d{2})"}


@dataclass(frozen=True)
class LandingFile:
    """One file: its path under the landing directory, its address, and the day it stands for."""

    name: str
    address: str
    size: int
    mtime_ns: int
    day: date | None


@dataclass(frozen=True)
class PathPattern:
    """Paths under the landing directory: ``*`` within a name, ``{ds}`` or ``{ds:%Y/%m/%d}``.

    Examples
    --------
    >>> PathPattern("clicks/{ds:%Y%m%d}.csv").match("clicks/20260102.csv")
    datetime.date(2026, 1, 2)
    >>> PathPattern("clicks/ds={ds}/*").has_day
    True
    """

    text: str

    @property
    def has_day(self) -> bool:
        """Whether each file stands for one day."""
        return bool(_PLACEHOLDER.search(self.text))

    @property
    def folder(self) -> str:
        """The deepest folder that is the same for every match."""
        fixed = re.split(r"[*{?]", self.text, maxsplit=1)[0]
        return fixed.rpartition("/")[0] if fixed != self.text else fixed

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """The pattern as a regular expression."""
        parts, end = [], 0
        for placeholder in _PLACEHOLDER.finditer(self.text):
            parts.append(_glob(self.text[end : placeholder.start()]))
            day = re.escape(placeholder[1] or "%Y-%m-%d")
            for code, digits in _DATE_PARTS.items():
                if code not in day:
                    raise UsageError(f"path {self.text}: {{ds:...}} needs %Y, %m and %d")
                day = day.replace(code, digits, 1)
            parts.append(day)
            end = placeholder.end()
        parts.append(_glob(self.text[end:]))
        return re.compile("".join(parts))

    def match(self, name: str) -> date | bool:
        """The day of a path; True where the pattern has no day; False where it does not match.

        Raises
        ------
        UsageError
            If the digits are no date.
        """
        matched = self.regex.fullmatch(name)
        if matched is None:
            return False
        if not self.has_day:
            return True
        try:
            return date(*(int(matched[part]) for part in "Ymd"))
        except ValueError:
            raise UsageError(f"landing file {name}: its path has no valid date") from None


def _glob(text: str) -> str:
    return re.escape(text).replace(r"\*", "[^/]*")


class Landing:
    """The landing directory."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/") or "/"

    @cached_property
    def _base(self) -> tuple[fs.FileSystem, str]:
        if "://" in self.root:
            return fs.FileSystem.from_uri(self.root)
        return fs.LocalFileSystem(), self.root

    @property
    def filesystem(self) -> fs.FileSystem:
        """The Arrow file system that holds it."""
        return self._base[0]

    def path(self, name: str) -> str:
        """The path of a file within `filesystem`."""
        return f"{self._base[1].rstrip('/')}/{name}"

    def list(self, pattern: PathPattern) -> list[LandingFile]:
        """All files that match, by name; hidden ones (leading ``.`` or ``_``) are left out.

        Raises
        ------
        InputMissing
            If the landing directory itself is not there or cannot be read.
        """
        base = self._base[1]
        try:
            if self.filesystem.get_file_info(base).type == fs.FileType.NotFound:
                raise InputMissing(f"landing directory {self.root} is not there")
            fixed = self.path(pattern.folder) if pattern.folder else base
            info = self.filesystem.get_file_info(fixed)
            infos = (
                self.filesystem.get_file_info(
                    fs.FileSelector(fixed, recursive=True, allow_not_found=True)
                )
                if info.type != fs.FileType.File
                else [info]
            )
        except OSError as problem:
            raise InputMissing(f"landing directory {self.root} cannot be read: {problem}") from None
        start = len(base.rstrip("/")) + 1
        files = []
        for info in infos:
            name = info.path[start:]
            if info.type != fs.FileType.File or info.base_name.startswith((".", "_")):
                continue
            day = pattern.match(name)
            if day is False:
                continue
            files.append(
                LandingFile(
                    name,
                    f"{self.root.rstrip('/')}/{name}",
                    info.size,
                    info.mtime_ns or 0,
                    day if isinstance(day, date) else None,
                )
            )
        return sorted(files, key=lambda file: file.name)
