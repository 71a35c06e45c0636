"""Slices of a day's rows, for tasks: by row groups and not by how files happen to be cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

import numpy as np
import pyarrow as pa

from jobs.storage.day_files import DataFile, read_file, read_files
from jobs.storage.store_files import open_parquet


@dataclass(frozen=True)
class Slice:
    """Rows of one day, and of one part where the day is stored in parts.

    Attributes
    ----------
    files : tuple of DataFile
        Read whole where there are several.
    row_groups : tuple of int
        Those of the one file that are meant; empty: all.
    """

    files: tuple[DataFile, ...]
    row_groups: tuple[int, ...] = ()

    @property
    def ds(self) -> date:
        """The day."""
        return self.files[0].ds

    @property
    def part(self) -> tuple[int, int] | None:
        """The part of all rows and how many the day has; None where they are of any."""
        parts = {file.part for file in self.files}
        return self.files[0].part if len(parts) == 1 else None

    def by_part(self) -> list[Slice]:
        """Slices of one part each that hold the same rows."""
        if self.row_groups:
            return [self]
        ordered = sorted(self.files, key=_part)
        return [Slice(tuple(of_part)) for _, of_part in groupby(ordered, key=_part)]

    def read(self, schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table:
        """Read the rows, as `day_files.read_file` does."""
        if self.row_groups:
            return read_file(self.files[0], schema, columns, row_groups=self.row_groups)
        return read_files(self.files, schema, columns)


def slices(files: Sequence[DataFile], rows: int) -> list[Slice]:
    """Cut files into slices of about so many rows: each of one day, and of one part.

    Parameters
    ----------
    files : sequence of DataFile
        By day, as of `TableReader.files`.
    rows : int
        A day of so many rows is one slice.
    """
    made: list[Slice] = []
    for _, of_day in groupby(files, key=lambda file: file.ds):
        day = list(of_day)
        if sum(file.rows for file in day) <= rows:
            made.append(Slice(tuple(day)))
            continue
        for _, of_part in groupby(sorted(day, key=_part), key=_part):
            made += _cut(list(of_part), rows)
    return made


def _part(file: DataFile) -> tuple[int, int]:
    return file.part or (-1, 0)


def _cut(files: Sequence[DataFile], rows: int) -> Iterator[Slice]:
    """Slices of files of one part."""
    gathered: list[DataFile] = []
    for file in files:
        if file.rows > rows:
            yield from _cut_file(file, rows)
        elif sum(other.rows for other in gathered) + file.rows > rows:
            yield Slice(tuple(gathered))
            gathered = [file]
        else:
            gathered.append(file)
    if gathered:
        yield Slice(tuple(gathered))


def _cut_file(file: DataFile, rows: int) -> Iterator[Slice]:
    """Slices of one large file: as even as its row groups are."""
    with open_parquet(file.address) as opened:
        footer = opened.metadata
    sizes = [footer.row_group(k).num_rows for k in range(footer.num_row_groups)]
    wanted = -(-file.rows // rows)
    # Each row group goes to the slice in which its middle lies.
    middles = np.cumsum(sizes) - np.array(sizes) / 2
    place = np.minimum((middles * wanted / max(sum(sizes), 1)).astype(int), wanted - 1)
    for number in np.unique(place):
        yield Slice((file,), tuple(np.flatnonzero(place == number).tolist()))
