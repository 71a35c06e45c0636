"""Races of processes that write the same table at the same moment."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier

import pyarrow as pa

from jobs.setup.exits import ExitCode, exit_code_of
from jobs.storage.contracts import arrow_schema
from jobs.storage.tables import Tables
from tests.support.rows import DAY, row

TABLE = "entity_priors"
WRITERS = 2
ROWS = 3
KINDS = ("new table", "new day", "day again", "other days", "files of tasks")


@dataclass(frozen=True)
class Race:
    """What two writers had, and what they left.

    Attributes
    ----------
    codes : sequence of int
        Exit code of each writer.
    rows : sequence of (date, int, int)
        Each day with its rows and the number of writers that these are of.
    """

    kind: str
    codes: Sequence[int]
    rows: Sequence[tuple[date, int, int]]

    @property
    def is_right(self) -> bool:
        """Whether each day is of one writer, whole, and whoever has lost was told."""
        won = sum(code == ExitCode.DONE for code in self.codes)
        told = all(code in (ExitCode.DONE, ExitCode.LOCKED) for code in self.codes)
        days = WRITERS if self.kind == "other days" else 1
        whole = all(rows == ROWS and writers == 1 for _, rows, writers in self.rows)
        return told and won >= days and whole and len(self.rows) == days


def races(roots: Sequence[str]) -> Iterator[Race]:
    """Have two processes write to every warehouse at once; kinds of races by turns.

    Parameters
    ----------
    roots : sequence of str
        Warehouses that do not exist yet.
    """
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(WRITERS)
    pipes = [context.Pipe() for _ in range(WRITERS)]
    writers = [
        context.Process(target=_write, args=(number, barrier, pipe[1]), daemon=True)
        for number, pipe in enumerate(pipes)
    ]
    for writer in writers:
        writer.start()
    for count, root in enumerate(roots):
        kind = KINDS[count % len(KINDS)]
        tables = Tables(root)
        if kind != "new table":
            tables.create([TABLE])
        if kind == "day again":
            tables.write_arrow(TABLE, _rows(9, DAY), [DAY])
        for pipe in pipes:
            pipe[0].send((root, kind))
        codes = [pipe[0].recv() for pipe in pipes]
        found = Tables(root).read_arrow(TABLE).to_pylist()
        rows = Counter(one["ds"] for one in found)
        of = Counter(day for day, _ in {(one["ds"], one["strength"]) for one in found})
        yield Race(kind, codes, [(day, rows[day], of[day]) for day in sorted(rows)])
    for pipe, writer in zip(pipes, writers, strict=True):
        pipe[0].send(None)
        writer.join()


def _write(number: int, barrier: Barrier, pipe: Connection) -> None:
    while (given := pipe.recv()) is not None:
        root, kind = given
        tables = Tables(root)
        day = DAY + timedelta(days=number if kind == "other days" else 0)
        rows = _rows(number, day)
        code = ExitCode.DONE
        write = partial(tables.write_arrow, TABLE, rows, [day])
        if kind == "files of tasks":
            batches = tables.file_writer(TABLE)(iter(rows.to_batches()))
            write = partial(tables.commit, TABLE, pa.Table.from_batches(batches), [day])
        barrier.wait()
        try:
            write()
        except Exception as problem:
            code = exit_code_of(problem)
            if code is not ExitCode.LOCKED:
                print(f"{kind}: {type(problem).__name__}: {problem}", flush=True)
        pipe.send(int(code))


def _rows(writer: int, day: date) -> pa.Table:
    made = [row(TABLE, entity_type=f"e{k}", strength=1.0 + writer, ds=day) for k in range(ROWS)]
    return pa.Table.from_pylist(made, schema=arrow_schema(TABLE))
