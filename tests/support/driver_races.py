"""Two drivers in one warehouse at the same time, kept apart by nothing but their commits."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import date
from multiprocessing.synchronize import Barrier
from typing import Any

from jobs import FLOW
from jobs.setup.exits import ExitCode, exit_code_of
from tests.golden.digests import table_digest
from tests.support.chain import Chain
from tests.support.driver import LOADED

OTHER = "sampling.ratio=3"
"""A setting that only one of two drivers has: whose rows are whose can be seen."""


def race_drivers(chain: Chain, days: Sequence[date], delays: Sequence[float]) -> list[int]:
    """Have two processes make the same days, with different settings; give their exit codes.

    Parameters
    ----------
    delays : sequence of float
        Seconds by which each begins later.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED)
    barrier = context.Barrier(len(delays))
    chains = [chain, replace(chain, settings=(*chain.settings, OTHER))]
    drivers = [
        context.Process(target=_drive, args=(one, tuple(days), barrier, delay))
        for one, delay in zip(chains, delays, strict=True)
    ]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
    return [int(driver.exitcode or 0) for driver in drivers]


def _drive(chain: Chain, days: Sequence[date], barrier: Barrier, delay: float) -> None:
    import os

    code: int = ExitCode.DONE
    try:
        runner = chain.runner
        unlocked: Any = nullcontext()
        runner.lock = unlocked
        runner.tables.before_commit = lambda: None
        barrier.wait()
        time.sleep(delay)
        runner.run([("publish_scores", day) for day in days])
    except Exception as problem:
        code = exit_code_of(problem)
        if code != ExitCode.LOCKED:
            print(f"{type(problem).__name__}: {problem}", flush=True)
    os._exit(code)


def digests(chain: Chain) -> dict[str, str]:
    """A digest of every table that the jobs have made."""
    tables = [name for job in FLOW for name in job.writes if chain.tables.exists(name)]
    return {name: table_digest(chain, name) for name in tables}
