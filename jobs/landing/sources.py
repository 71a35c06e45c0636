"""A source: where raw log files are and the SELECTs that make canonical logs of them.

A source is a directory with ``source.toml`` and one SQL file per log it has (``impressions.sql``,
``clicks.sql``, ``listings.sql``). See docs/sources.md.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from pydantic import ValidationError

from jobs.landing.files import Landing, LandingFile, UnreadFile
from jobs.landing.select_bounds import refuse_reaching_out
from jobs.landing.source_file import SourceFile, View
from jobs.setup.config import Config
from jobs.setup.exits import UsageError
from jobs.setup.project import project_folder, source_folder, source_names
from schemas.logs import LOGS

NO_FORMAT = "its ending tells no format: name the view's format in source.toml"
EMPTY = "it is empty"


@dataclass
class Source:
    """A source with its landing directory."""

    name: str
    spec: SourceFile
    selects: Mapping[str, str]
    landing: Landing
    directory: Path
    left_out: frozenset[date] = frozenset()
    """Days that count as if nothing had landed."""
    _looked: dict[str, tuple[list[LandingFile], list[UnreadFile]]] = field(default_factory=dict)
    _by_day: dict[str, dict[date | None, list[LandingFile]]] = field(default_factory=dict)
    _beside: dict[str, list[UnreadFile]] = field(default_factory=dict)
    _declared: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Config) -> Source:
        """Read the source that a configuration names; raises as `load` does."""
        return cls.load(config.source.name, config.storage.landing, config.storage.project)

    @classmethod
    def load(cls, name_or_directory: str | Path, landing: str | Path, project: str = "") -> Source:
        """Read a source: a directory, or the name of one in the project or ``conf/sources``.

        Raises
        ------
        UsageError
            If there is no such source, or it says something that is not understood.
        """
        directory = source_directory(str(name_or_directory), project)
        try:
            values = tomllib.loads((directory / "source.toml").read_text(encoding="utf-8"))
            spec = SourceFile.model_validate(values)
            selects: dict[str, str] = {
                log: (directory / f"{log}.sql").read_text(encoding="utf-8") for log in spec.logs
            }
        except ValidationError as problem:
            first = problem.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            what = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
            raise UsageError(f"{directory / 'source.toml'}: {where}: {what}") from None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
            raise UsageError(f"source {directory}: {problem}") from None
        for log, select in selects.items():
            refuse_reaching_out(select, str(directory / f"{log}.sql"))
        return cls(directory.name, spec, selects, Landing(str(landing)), directory)

    @property
    def logs(self) -> tuple[str, ...]:
        """The logs that the source has, in canonical order."""
        return tuple(log for log in LOGS if log in self.spec.logs)

    def view_files(self, view: str) -> list[LandingFile]:
        """All files of a view; listed once per source object."""
        return self._look(view)[0]

    def unread(self, log: str, days: Sequence[date] | None = None) -> list[UnreadFile]:
        """What lies beside the files of a log and is read by none of the source's views.

        Parameters
        ----------
        days : sequence of date, optional
            Only what is of these days. Without: also what is of no day that can be told.
        """
        if log not in self._beside:
            self._beside[log] = self._look_beside(log)
        return [file for file in self._beside[log] if days is None or file.day in days]

    def _look_beside(self, log: str) -> list[UnreadFile]:
        read = {file.name for view in self.spec.views for file in self.view_files(view)}
        beside: dict[str, UnreadFile] = {}
        for view in self.spec.logs[log].views if log in self.spec.logs else ():
            files, others = self._look(view)
            beside |= {file.name: file for file in others if file.name not in read}
            beside |= {
                file.name: UnreadFile(file.name, 0, file.day, EMPTY)
                for file in files
                if not file.size
            }
        return [beside[name] for name in sorted(beside)]

    def _look(self, view: str) -> tuple[list[LandingFile], list[UnreadFile]]:
        if view not in self._looked:
            declared = self.spec.views[view]
            files, unread = self.landing.look(declared.pattern)
            known = [file for file in files if declared.format_of(file.name)]
            others = [file for file in files if not declared.format_of(file.name)]
            unread += [UnreadFile(file.name, file.size, file.day, NO_FORMAT) for file in others]
            self._looked[view] = known, unread
        return self._looked[view]

    def main_view(self, log: str) -> View:
        """The view that decides a log's days."""
        return self.spec.views[self.spec.logs[log].views[0]]

    def has_day_files(self, log: str) -> bool:
        """Whether each file of a log stands for one day."""
        return self.main_view(log).pattern.has_day

    def days(self, log: str) -> list[date]:
        """The days of a log that have landed, ascending."""
        if log not in self.spec.logs:
            return []
        view = self.main_view(log)
        files = self.view_files(self.spec.logs[log].views[0])
        if view.first_day is None or view.last_day is None:
            landed = {file.day for file in files if file.day is not None}
        else:
            span = (view.last_day - view.first_day).days + 1 if files else 0
            landed = {view.first_day + timedelta(days=offset) for offset in range(span)}
        return sorted(landed - self.left_out)

    def day_files(self, view: str, days: Sequence[date]) -> list[LandingFile]:
        """The files of a view for some days; all of them where they do not tell their day."""
        if view not in self._by_day:
            self._by_day[view] = {}
            for file in self.view_files(view):
                self._by_day[view].setdefault(file.day, []).append(file)
        found = [file for day in {*days, None} for file in self._by_day[view].get(day, ())]
        return sorted(found, key=lambda file: file.name)

    def files(self, log: str, day: date) -> list[tuple[str, int, int]]:
        """The landing fingerprint of a log's day: (name, size, modification time) of its files.

        The SELECT and the declaration count as well, as (name, 0, hash): other columns are other
        rows.
        """
        if log not in self.spec.logs:
            return []
        views = self.spec.logs[log].views
        prints = [
            (file.name, file.size, file.mtime_ns)
            for view in views
            for file in self.day_files(view, [day])
        ]
        if not prints:
            return []
        if log not in self._declared:
            declared = "".join(self.spec.views[view].model_dump_json() for view in views)
            digest = hashlib.sha256((self.selects[log] + declared).encode()).digest()
            self._declared[log] = int.from_bytes(digest[:8])
        return [*prints, (f"{log}.sql", 0, self._declared[log])]

    def last_complete_day(self) -> date | None:
        """The last day that has impressions; None where nothing has landed."""
        return max(self.days("impressions"), default=None)


def source_directory(name: str, project: str = "") -> Path:
    """Folder of a source: a directory, or the name of one in the project or ``conf/sources``.

    Raises
    ------
    UsageError
        There is no such source.
    """
    own = project_folder(project)
    folder = source_folder(name, own)
    if folder is None:
        raise UsageError(
            f"no source {name!r}: give a directory with a source.toml, or one of "
            + ", ".join(source_names(own))
        )
    return folder
