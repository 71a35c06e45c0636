"""Landing files whose rows are canonical already: Parquet in the canonical types.

What tasks do with them: good rows go on as Arrow; what is not certainly good
(`pipelines.logs.certain`) is set aside in a file of the same columns, for Spark to judge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache, partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.setup.exits import InputMissing
from jobs.setup.store_errors import store_error
from jobs.storage.day_files import DataFile
from jobs.storage.day_reader import DayReader, wanted
from jobs.storage.slices import Slice
from jobs.storage.store_files import make_folder, open_parquet, open_root
from pipelines.days import with_day
from pipelines.features.xxhash import Hashes, xxhash64
from pipelines.logs.certain import Mask, certain_rows, clicked_impressions, repeated_ids
from schemas.logs import ID_COLUMN

_BATCH_ROWS = 131_072


@dataclass(frozen=True)
class TypedFile:
    """A file by its address, with the rows and columns that its footer tells."""

    address: str
    rows: int
    columns: tuple[str, ...] = field(default=(), compare=False)


def typed_file(address: str, declared: pa.Schema, required: frozenset[str]) -> TypedFile | None:
    """Look at a file's footer; None where its columns are others, or it cannot be read.

    Parameters
    ----------
    declared : pyarrow.Schema
        All columns that the file may have.
    required : frozenset of str
        Those that it must have.
    """
    try:
        with open_parquet(address) as footer:
            have = footer.schema_arrow
            rows = footer.metadata.num_rows
    except (OSError, pa.ArrowException) as problem:
        if of_store := store_error(problem, f"{address} cannot be read"):
            raise of_store from problem
        return None
    # Names must be those of the log to the letter: Spark, which judges all other files, takes
    # `Listing_ID` for `listing_id`, and of two such columns neither.
    if any(name not in declared.names for name in have.names if name.casefold() in declared.names):
        return None
    taken = [field for field in have if field.name in declared.names]
    names = {field.name for field in taken}
    if not required <= names or len(names) < len(taken):
        return None
    if not all(_is_alike(field.type, declared.field(field.name).type) for field in taken):
        return None
    return TypedFile(address, rows, tuple(have.names))


def _is_alike(have: pa.DataType, want: pa.DataType) -> bool:
    """Whether Spark reads a type as the one wanted; Arrow has several for one of Parquet's.

    An instant without a zone is taken as UTC, as in text. Half floats are read here alone: Spark
    refuses them.
    """
    kinds = pa.types
    if kinds.is_dictionary(have):
        return _is_alike(have.value_type, want)
    if kinds.is_string(want):
        return kinds.is_string(have) or kinds.is_large_string(have) or kinds.is_string_view(have)
    if kinds.is_timestamp(want):
        return bool(kinds.is_timestamp(have))
    if kinds.is_floating(want):
        return kinds.is_float16(have) or have == want
    if kinds.is_map(want):
        return (
            kinds.is_map(have)
            and _is_alike(have.key_type, want.key_type)
            and _is_alike(have.item_type, want.item_type)
        )
    if kinds.is_list(want):
        is_list = kinds.is_list(have) or kinds.is_large_list(have) or kinds.is_fixed_size_list(have)
        return is_list and _is_alike(have.value_type, want.value_type)
    return bool(have == want)


@dataclass(frozen=True)
class TypedRows:
    """What a task makes of rows of one log and day.

    Attributes
    ----------
    log : str
        impressions, clicks or listings.
    rows : Slice
        Of landing files.
    schema : pyarrow.Schema
        The log's canonical columns.
    aside : str
        Where the rows go that are not certainly good.
    max_string_bytes : int
        As of `certain_rows`.
    shown : mapping
        Clicks: what reads the accepted impressions of the day and of the day before, in this order.
        Empty for other logs.
    repeated : numpy.ndarray of int64, optional
        Hashes of ids that occur more than once on the day; found here where these are all its rows.
    """

    log: str
    rows: Slice
    schema: pa.Schema
    aside: str
    max_string_bytes: int
    shown: Mapping[date, DayReader]
    repeated: Hashes | None = None

    def good_rows(self) -> Iterator[pa.RecordBatch]:
        """Rows of the log's table; the others are in the file `aside` when these are through.

        Raises
        ------
        InputMissing
            A file cannot be read.
        """
        day, is_repeated, shown = self.rows.ds, self._is_repeated(), self._clicked()
        doubtful: list[pa.Table] = []
        for batch in self._read(self.schema.names):
            rows = pa.Table.from_batches([batch])
            is_good = certain_rows(rows, self.log, day, max_string_bytes=self.max_string_bytes)
            is_good &= ~is_repeated(rows[ID_COLUMN[self.log]])
            made = rows
            if self.log == "clicks":
                clicked = clicked_impressions(rows, shown)
                is_good &= np.asarray(pc.is_valid(clicked["impression_ds"]))
                for name in clicked.column_names:
                    made = made.append_column(name, clicked[name])
            made = with_day(made, day)
            if not is_good.all():
                made = made.filter(pa.array(is_good))
                doubtful.append(rows.filter(pa.array(~is_good)))
            yield from _without_empty(made, self.schema).to_batches()
        if doubtful:
            filesystem, path = open_root(self.aside)
            make_folder(self.aside.rpartition("/")[0])
            # A task that is run again writes the same file again.
            pq.write_table(pa.concat_tables(doubtful), path, filesystem=filesystem)

    def hashed_ids(self) -> Iterator[Hashes]:
        """Hashes of all ids, a batch at a time; of an id that is null that of no text."""
        for batch in self._read((ID_COLUMN[self.log],)):
            yield xxhash64(pc.fill_null(batch.column(0), ""))

    def _is_repeated(self) -> Callable[[pa.ChunkedArray], Mask]:
        """Which ids may occur more than once on the day."""
        if self.repeated is None:
            repeated = repeated_ids(self._column(ID_COLUMN[self.log]))
            return lambda ids: np.asarray(pc.is_in(ids, repeated))
        hashes = self.repeated
        return lambda ids: np.isin(xxhash64(pc.fill_null(ids, "")), hashes)

    def _clicked(self) -> dict[date, Callable[[], pa.Table]]:
        """Readers of the impressions that these clicks name, each day read once at most."""
        if not self.shown:
            return {}
        keep = wanted(impression_id=self._column("impression_id"))
        return {day: cache(partial(read.where(keep), day)) for day, read in self.shown.items()}

    def _column(self, name: str) -> pa.ChunkedArray:
        return pa.chunked_array((b.column(0) for b in self._read((name,))), pa.string())

    def _read(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        return read_typed(self.rows.files, self.schema, columns, self.rows.row_groups)


def read_typed(
    files: Sequence[TypedFile | DataFile],
    schema: pa.Schema,
    columns: Sequence[str],
    row_groups: Sequence[int] = (),
) -> Iterator[pa.RecordBatch]:
    """Batches of all files in the canonical types; a column that a file lacks is null.

    Parameters
    ----------
    row_groups : sequence of int, optional
        Those of each file that are wanted; all by default.

    Raises
    ------
    InputMissing
        A file cannot be read.
    """
    for file in files:
        try:
            with open_parquet(file.address) as stored:
                stored_columns = [name for name in columns if name in stored.schema_arrow.names]
                groups = list(row_groups) or None
                for batch in stored.iter_batches(_BATCH_ROWS, groups, stored_columns):
                    arrays = [
                        _as_declared(batch.column(name), schema.field(name).type)
                        if name in stored_columns
                        else pa.nulls(len(batch), schema.field(name).type)
                        for name in columns
                    ]
                    yield pa.RecordBatch.from_arrays(arrays, names=list(columns))
        except (OSError, pa.ArrowException) as problem:
            told = f"landing file {file.address} cannot be read"
            raise (
                store_error(problem, told) or InputMissing(f"{told}: it is damaged or cut short")
            ) from problem


def _as_declared(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Values in the canonical type."""
    if pa.types.is_timestamp(kind) and values.type.unit == "ns":
        # Towards the past, as everywhere; a plain cast cuts towards 1970.
        values = pc.floor_temporal(values, unit="microsecond")
    return values.cast(kind)


def _without_empty(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The same rows; an empty text is null where null may be."""
    for column in schema:
        if column.nullable and pa.types.is_string(column.type):
            values = rows[column.name]
            is_empty = pc.fill_null(pc.equal(pc.binary_length(values), 0), False)
            if pc.any(is_empty).as_py():
                place = rows.schema.get_field_index(column.name)
                rows = rows.set_column(place, column, pc.if_else(is_empty, None, values))
    return rows
