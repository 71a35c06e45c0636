"""The folder of reports at hand: as it is, or one that is sent to an object store."""

from __future__ import annotations

import mimetypes
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from jobs.setup.config import Config
from jobs.setup.store_errors import said_of_store
from jobs.setup.stores import open_store


@contextmanager
def reports_at_hand(config: Config) -> Iterator[Config]:
    """The configuration with a folder of reports on this machine.

    What is written there while this lasts is sent to the object store at its end, page after page,
    and folders that are removed are removed there. What is there already is known by name only.

    Raises
    ------
    UsageError
        The store cannot be read or written.
    """
    address = config.storage.reports
    if "://" not in address:
        yield config
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        known = _told(address, lambda: _known(address))
        for name in known:
            if _is_first_page(name):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).touch()
        storage = config.storage.model_copy(update={"reports": temporary})
        yield config.model_copy(update={"storage": storage})
        _told(address, lambda: _send(address, folder, known))


def has_report(config: Config, day: date) -> bool:
    """Whether the report of a day is in the folder of reports.

    Raises
    ------
    UsageError
        The store cannot be read.
    """
    address, name = config.storage.reports, f"{day}.html"
    if "://" not in address:
        return (Path(address) / name).is_file()
    return bool(_told(address, lambda: _known(address, name)))


def found_at(page: Path, local: Config, config: Config) -> str:
    """Where a page that was written at hand is to be found; empty where none was written."""
    if not page.is_file():
        return ""
    folder = Path(local.storage.reports)
    if not page.is_relative_to(folder):
        return str(page)
    return f"{config.storage.reports.rstrip('/')}/{page.relative_to(folder).as_posix()}"


def _is_first_page(name: str) -> bool:
    return name.endswith(".html") and ("/" not in name or name.endswith("/index.html"))


def _known(address: str, only: str | None = None) -> list[str]:
    import obstore

    if only is None:
        return [found["path"] for batch in obstore.list(open_store(address)) for found in batch]
    try:
        return [obstore.head(open_store(address), only)["path"]]
    except FileNotFoundError:
        return []


def _send(address: str, folder: Path, known: list[str]) -> list[str]:
    import obstore

    store = open_store(address)
    sent = []
    # Pages last: where a report's is, the report is whole.
    for path in sorted(folder.rglob("*"), key=lambda path: (path.suffix == ".html", path)):
        if path.is_file() and path.stat().st_size:
            name = path.relative_to(folder).as_posix()
            kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
            obstore.put(store, name, path.read_bytes(), attributes={"Content-Type": kind})
            sent.append(name)
    gone = {n.rpartition("/")[0] for n in known if _is_first_page(n) and not (folder / n).exists()}
    lost = [n for n in known if any(n.startswith(f"{one}/") for one in gone)]
    if lost:
        obstore.delete(store, lost)
    return sent


def _told(address: str, act: Callable[[], list[str]]) -> list[str]:
    from obstore.exceptions import BaseError

    try:
        return act()
    except (BaseError, OSError) as problem:
        doing = f"cannot write the report to {address}"
        raise said_of_store(problem).error(doing, "set storage.reports") from problem
