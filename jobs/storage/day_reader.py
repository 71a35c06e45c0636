"""Days of a table, read one by one where they are needed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from jobs.storage.day_files import DataFile, Keep, read_batches, read_files
from pipelines.parts import is_of_part


def wanted(**ids: pa.Array | pa.ChunkedArray) -> Keep:
    """Keep the rows whose column of that name is among the ids; of several, in any."""
    sets = {name: pc.unique(values).drop_null() for name, values in ids.items()}

    def keep(rows: pa.Table) -> pa.Array:
        found = [pc.is_in(rows[name], values) for name, values in sets.items()]
        return reduce(pc.or_, found)

    return keep


@dataclass(frozen=True)
class DayReader:
    """Reads columns of single days of a table, wherever it is called.

    Attributes
    ----------
    schema : pyarrow.Schema
        Of the table.
    columns : sequence of str
    files : mapping
        The files of each day; a day without any is empty.
    keep : callable or None
        Which rows are wanted; all by default.
    values : mapping
        Values of columns of text that rows have that are wanted, as of `among`.
    """

    schema: pa.Schema
    columns: Sequence[str]
    files: Mapping[date, Sequence[DataFile]]
    keep: Keep | None = None
    values: Mapping[str, Collection[str]] = field(default_factory=dict)

    def __call__(self, day: date) -> pa.Table:
        """Read a day."""
        files = self.files.get(day, ())
        return read_files(files, self.schema, self.columns, keep=self.keep, among=self.values)

    def batches(self, day: date) -> Iterator[pa.RecordBatch]:
        """Read all rows of a day, some at a time."""
        for file in self.files.get(day, ()):
            yield from read_batches(file, self.schema, self.columns)

    def among(self, column: str, values: Collection[str]) -> DayReader:
        """The reader of rows with these values; where others are stored apart, they stay unread."""
        own = self.where(wanted(**{column: pa.array(sorted(values), pa.string())}))
        return replace(own, values={**self.values, column: frozenset(values)})

    def where(self, keep: Keep) -> DayReader:
        """The reader of those of its rows only, by columns that are read."""
        own = self.keep
        both = keep if own is None else lambda rows: pc.and_(own(rows), keep(rows))
        return replace(self, keep=both)

    def in_files_of(self, part: int, parts: int) -> DayReader:
        """The reader without files that hold other parts of as many."""

        def may_hold(file: DataFile) -> bool:
            return file.part is None or file.part[1] != parts or file.part[0] == part

        return replace(
            self, files={day: [f for f in of if may_hold(f)] for day, of in self.files.items()}
        )

    def of_part(self, key: str, part: int, parts: int) -> Callable[[date], pa.Table]:
        """The reader of the rows whose key is of a part, from no more files than it takes."""
        if parts == 1:
            return self

        def read(day: date) -> pa.Table:
            files = self.files.get(day, ())
            same = [file for file in files if file.part == (part, parts)]
            others = [file for file in files if file.part is None or file.part[1] != parts]
            of_part = self.where(lambda rows: is_of_part(rows[key], part, parts))
            return pa.concat_tables(
                [
                    replace(self, files={day: same})(day),
                    replace(of_part, files={day: others})(day),
                ]
            )

        return read
