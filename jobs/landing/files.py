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
from jobs.setup.store_errors import store_error
from jobs.storage.store_files import open_root

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
class UnreadFile:
    """A file beside those that are read, with the reason why it is not.

    Attributes
    ----------
    day : datetime.date or None
        The day of the folder that it lies in, where folders stand for days.
    """

    name: str
    size: int
    day: date | None
    why: str

    def __str__(self) -> str:
        return f"{self.name} ({self.size:,} bytes): {self.why}"


@dataclass(frozen=True)
class PathPattern:
    """Paths under the landing directory: ``*`` within a name, ``**`` with folders, a day.

    A day is ``{ds}`` or ``{ds:%Y/%m/%d}``. All else is a name as it is, brackets too.

    Examples
    --------
    >>> PathPattern("clicks/{ds:%Y%m%d}.csv").match("clicks/20260102.csv")
    datetime.date(2026, 1, 2)
    >>> PathPattern("clicks/ds={ds}/**").match("clicks/ds=2026-01-02/hour=07/a[1].csv")
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
        fixed = re.split(r"\*|\{ds[:}]", self.text, maxsplit=1)[0]
        return fixed.rpartition("/")[0] if fixed != self.text else fixed

    @cached_property
    def day_folder(self) -> PathPattern | None:
        """What lies in a day's folder; None where no folder stands for a day."""
        placeholder = _PLACEHOLDER.search(self.text)
        if placeholder is None or "/" not in self.text[placeholder.end() :]:
            return None
        rest = self.text[placeholder.end() :]
        return PathPattern(f"{self.text[: placeholder.end()]}{rest.partition('/')[0]}/**")

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
    return re.escape(text).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")


_WRITING = re.compile(
    r"\.(tmp|temp|part|partial|inprogress|incomplete|crdownload|_COPYING_)$", re.IGNORECASE
)
_MARKER = re.compile(
    r"(^|/)(\.[^/]*\.crc|_(SUCCESS|metadata|common_metadata|committed_.*|started_.*))$"
)
BEING_WRITTEN = "it is still being written"
HIDDEN = "its name, or a folder's, begins with . or _"
NO_MATCH = "it is not where the source looks"


class Landing:
    """The landing directory."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/") or "/"

    @cached_property
    def _base(self) -> tuple[fs.FileSystem, str]:
        return open_root(self.root)

    @property
    def filesystem(self) -> fs.FileSystem:
        """The Arrow file system that holds it."""
        return self._base[0]

    def path(self, name: str) -> str:
        """The path of a file within `filesystem`."""
        return f"{self._base[1].rstrip('/')}/{name}"

    def look(self, pattern: PathPattern) -> tuple[list[LandingFile], list[UnreadFile]]:
        """All files that match, and those beside them that are not read, each by name.

        Marks that writers leave beside their files (``_SUCCESS``, checksums) are neither.

        Raises
        ------
        InputMissing
            If the landing directory itself is not there or cannot be read.
        """
        read, unread = [], []
        for info in self._infos(pattern):
            name = info.path[len(self._base[1].rstrip("/")) + 1 :]
            why = _why_unread(pattern, name)
            if why:
                if not _MARKER.search(name):
                    unread.append(UnreadFile(name, info.size, _day_beside(pattern, name), why))
                continue
            day = pattern.match(name)
            read.append(
                LandingFile(
                    name,
                    f"{self.root.rstrip('/')}/{name}",
                    info.size,
                    info.mtime_ns or 0,
                    day if isinstance(day, date) else None,
                )
            )
        return sorted(read, key=lambda file: file.name), sorted(unread, key=lambda file: file.name)

    def _infos(self, pattern: PathPattern) -> list[fs.FileInfo]:
        """Every file under the pattern's folder."""
        base = self._base[1]
        try:
            if self.filesystem.get_file_info(base).type == fs.FileType.NotFound:
                raise InputMissing(f"landing directory {self.root} is not there")
            fixed = self.path(pattern.folder) if pattern.folder else base
            info = self.filesystem.get_file_info(fixed)
            if info.type == fs.FileType.File:
                return [info]
            selector = fs.FileSelector(fixed, recursive=True, allow_not_found=True)
            infos = self.filesystem.get_file_info(selector)
        except OSError as problem:
            told = f"landing directory {self.root} cannot be read"
            raise store_error(problem, told) or InputMissing(f"{told}: {problem}") from None
        return [info for info in infos if info.type == fs.FileType.File]


def _why_unread(pattern: PathPattern, name: str) -> str:
    """Why a file is not read; empty where it is."""
    folder = pattern.folder
    below = name[len(folder) + 1 :] if folder and name != folder else name
    parts = below.split("/")
    if "_temporary" in parts[:-1] or _WRITING.search(below):
        return BEING_WRITTEN
    if any(part.startswith((".", "_")) for part in parts):
        return HIDDEN
    return NO_MATCH if pattern.match(name) is False else ""


def _day_beside(pattern: PathPattern, name: str) -> date | None:
    """The day of a file that is not read: by its folder, or by its name once it is done."""
    folder = pattern.day_folder
    day = folder.match(name) if folder else pattern.match(_WRITING.sub("", name))
    return day if isinstance(day, date) else None
