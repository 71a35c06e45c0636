"""The user's own folder, laid out as ``conf`` is: settings, rules of quality, sources.

A project has ``settings.toml``, ``quality/`` and ``sources/NAME/``; a source may have the first two
of its own. A name is looked for in the project first.
"""

from __future__ import annotations

from pathlib import Path

from jobs.setup.environment import conf_directory
from jobs.setup.exits import UsageError

QUALITY = "quality"
SOURCES = "sources"
SOURCE_FILE = "source.toml"


def project_folder(named: str) -> Path | None:
    """The project; None where none is named.

    Raises
    ------
    UsageError
        It is not there.
    """
    if not named:
        return None
    folder = Path(named)
    if not folder.is_dir():
        raise UsageError(
            f"project {named} is not there: --project and PROMOTED_CTR_PROJECT "
            "name a folder of your own with settings.toml, quality/ and sources/"
        )
    return folder


def source_folder(name: str, project: Path | None) -> Path | None:
    """The folder of a source, given by its path or name; None where there is none."""
    own = [project / SOURCES / name] if project is not None else []
    for folder in (*own, Path(name), conf_directory() / SOURCES / name):
        if (folder / SOURCE_FILE).is_file():
            return folder
    return None


def source_names(project: Path | None = None) -> list[str]:
    """The sources that can be given by name."""
    folders = [*([project] if project is not None else []), conf_directory()]
    paths = (path for folder in folders for path in (folder / SOURCES).glob(f"*/{SOURCE_FILE}"))
    return sorted({path.parent.name for path in paths})
