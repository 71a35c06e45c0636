"""A driver in a process of its own, without a JVM, to which things happen while it works.

The whole command line is run, with its locks, alerts and reports; only Spark is done in the process
(`local_spark`). What happens is patched into that process, or done to it from outside.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

from tests.support.world import Called

LOADED = [
    "jobs.__main__", "jobs.commands.run", "jobs.commands.check_source", "jobs.commands.maintain",
    "jobs.reporting.collect", "jobs.reporting.summary", "jobs.reporting.history_page",
    "jobs.setup.session", "deltalake", "obstore", "tests.support.local_spark",
    "tests.support.loaded_jobs",
]  # fmt: skip
"""What a driver would spend its first seconds on: loaded once, where all of them come from."""
ENDS_WITHIN_S = 240


@dataclass(frozen=True)
class Moment:
    """A call of a function of the product.

    Attributes
    ----------
    at : str
        ``module:function`` or ``module:Class.method``.
    nth : int
        Which call of it, from 1.
    phase : {'before', 'after', 'during'}
    delay_s : float
        How long after it began, with `during`.
    """

    at: str
    nth: int = 1
    phase: Literal["before", "after", "during"] = "before"
    delay_s: float = 0.0


@dataclass(frozen=True)
class Disturbance:
    """What happens to a driver.

    Attributes
    ----------
    moment : Moment or None
        When it is killed, or the file is replaced.
    replaced : tuple of (path, path) or None
        A file, and what takes its place at that moment.
    kill_after_s : float or None
        It is ended from outside, so long after it began.
    signal : int
        By which signal that is.
    clock_s : float
        By how much its clock is wrong, from the first step on.
    """

    moment: Moment | None = None
    replaced: tuple[str, str] | None = None
    kill_after_s: float | None = None
    signal: int = signal.SIGKILL
    clock_s: float = 0.0


UNDISTURBED = Disturbance()


def drive(words: Sequence[str], folder: Path, disturbance: Disturbance = UNDISTURBED) -> Called:
    """Run a command in a process of its own, and wait for its end."""
    return started(words, folder, disturbance)()


def started(
    words: Sequence[str], folder: Path, disturbance: Disturbance = UNDISTURBED
) -> Callable[[], Called]:
    """Start a command; what is given back waits for its end.

    Parameters
    ----------
    folder : Path
        Where what it says is kept.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED)
    said = folder / f"said-{time.monotonic_ns()}"
    process = context.Process(
        target=_drive, args=(tuple(words), said, disturbance, dict(os.environ))
    )
    process.start()
    began = time.monotonic()

    def end() -> Called:
        if disturbance.kill_after_s is not None:
            process.join(max(0.0, began + disturbance.kill_after_s - time.monotonic()))
            if process.is_alive() and process.pid is not None:
                os.kill(process.pid, disturbance.signal)
        process.join(ENDS_WITHIN_S)
        if process.is_alive():
            process.kill()
            process.join()
            raise RuntimeError(f"{words} did not end within {ENDS_WITHIN_S} s")
        # One that is killed at once has said nothing, and nowhere.
        files = [said.with_suffix(f".{name}") for name in ("out", "err")]
        out, err = (file.read_text() if file.is_file() else "" for file in files)
        return Called(int(process.exitcode or 0), out, err)

    return end


def _drive(
    words: Sequence[str], said: Path, disturbance: Disturbance, environment: Mapping[str, str]
) -> None:
    for number, name in ((1, "out"), (2, "err")):
        with said.with_suffix(f".{name}").open("w") as file:
            os.dup2(file.fileno(), number)
    os.environ.update(environment)
    from jobs.__main__ import main
    from jobs.setup import session
    from jobs.setup.exits import leave
    from tests.support.local_spark import LocalSpark

    session.start_session = lambda *_, **__: LocalSpark()  # type: ignore[assignment]
    # They are half of what a run on a tiny marketplace takes.
    for name in ("reliability_plot", "traffic_plot", "difference_plot", "score_plot"):
        _wrap(f"pipelines.quality.plots:{name}", lambda _: lambda *values, **named: None)
    if disturbance.moment is not None:
        replaced = disturbance.replaced
        _at(disturbance.moment, _die if replaced is None else partial(_replace, *replaced))
    if disturbance.clock_s:
        _set_clock(timedelta(seconds=disturbance.clock_s))
    leave(main(list(words)))


def _at(moment: Moment, act: Callable[[], None]) -> None:
    calls = [0]

    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        def called(*values: Any, **named: Any) -> Any:
            calls[0] += 1
            is_it = calls[0] == moment.nth
            if is_it and moment.phase == "before":
                act()
            if is_it and moment.phase == "during":
                threading.Timer(moment.delay_s, act).start()
            result = original(*values, **named)
            if is_it and moment.phase == "after":
                act()
            return result

        return called

    _wrap(moment.at, around)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _set_clock(wrong: timedelta) -> None:
    """The clock of the records and of the files; that of the libraries goes right."""
    begun = [False]

    def begins(original: Callable[..., Any]) -> Callable[..., Any]:
        def called(*values: Any, **named: Any) -> Any:
            begun[0] = True
            return original(*values, **named)

        return called

    def wrong_now(original: Callable[..., Any]) -> Callable[..., Any]:
        return lambda: original() + (wrong if begun[0] else timedelta())

    _wrap("jobs.planning.runner:Runner.make", begins)
    _wrap("jobs.planning.record:now", wrong_now)
    right = time.time
    time.time = lambda: right() + (wrong.total_seconds() if begun[0] else 0.0)


def _replace(path: str, other: str) -> None:
    """As careful writers do: a new file takes the place of the old one."""
    partial_file = f"{path}.partial"
    shutil.copyfile(other, partial_file)
    os.replace(partial_file, path)


def _wrap(at: str, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put something around a function, wherever it has been imported."""
    module, _, name = at.partition(":")
    home: Any = importlib.import_module(module)
    *classes, name = name.split(".")
    for one in classes:
        home = getattr(home, one)
    original = getattr(home, name)
    wrapped = around(original)
    setattr(home, name, wrapped)
    for other in list(sys.modules.values()):
        if getattr(other, "__name__", "").startswith(("jobs", "pipelines")):
            for key, value in list(vars(other).items()):
                if value is original:
                    setattr(other, key, wrapped)
