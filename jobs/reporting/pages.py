"""Files of reports: each appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

from jobs.setup.exits import UsageError


def write_page(path: Path, text: str) -> Path:
    """Write a file in the folder of reports.

    Raises
    ------
    UsageError
        It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as problem:
        raise UsageError(
            f"cannot write the report to {path.parent}: {problem.strerror}; set storage.reports"
        ) from problem
    return path
