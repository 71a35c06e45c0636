"""Files on a disk or in an object store, which is asked no more often than it takes.

A request of a store costs a hundred times what a look at a disk does, and what Arrow asks before it
reads or writes (is it there, how long is it, is there a folder) is known here or does not matter.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from jobs.setup.stores import open_store
from jobs.storage.object_files import ObjectFiles
from jobs.storage.object_streams import told_as_files

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_WHOLE_BYTES = 8 * 2**20
"""A file of so few bytes is had by one request; of a longer one, what is wanted of it."""


def is_remote(address: str) -> bool:
    """Whether an address is in an object store."""
    return "://" in address


def open_root(address: str) -> tuple[fs.FileSystem, str]:
    """The Arrow file system of an address, and the path in it."""
    if not is_remote(address):
        return fs.LocalFileSystem(), address
    bucket, path = _of_bucket(address)
    name = bucket.partition("://")[2]
    return _file_system(bucket, name), f"{name}/{path}".rstrip("/")


def open_object(address: str) -> tuple[ObjectStore, str]:
    """The object store of an address, and the name in it."""
    bucket, path = _of_bucket(address)
    return open_store(bucket), path


def _of_bucket(address: str) -> tuple[str, str]:
    # One store, of which Spark, Arrow and delta-rs know different names.
    scheme, _, rest = re.sub("^s3a://", "s3://", address).partition("://")
    bucket, _, path = rest.partition("/")
    return f"{scheme}://{bucket}", path


@cache
def _file_system(bucket: str, name: str) -> fs.FileSystem:
    """One for each bucket, whose connections are kept."""
    return fs.PyFileSystem(ObjectFiles(open_store(bucket), name))


def make_folder(address: str) -> None:
    """Have a folder be there; an object store has none, and needs none."""
    if not is_remote(address):
        Path(address).mkdir(parents=True, exist_ok=True)


def is_there(address: str) -> bool:
    """Whether there is a file."""
    if not is_remote(address):
        return Path(address).exists()
    import obstore

    store, path = open_object(address)
    with suppress(FileNotFoundError):
        obstore.head(store, path)
        return True
    return False


def open_parquet(address: str, size: int = 0, *, by_row_group: bool = False) -> pq.ParquetFile:
    """Open a file of Parquet, its old times as microseconds.

    Parameters
    ----------
    size : int
        Its bytes; 0 where they are not known.
    by_row_group : bool
        Whether row groups are read one by one, or all: what is wanted of each is then had by few
        requests, and held until the next.
    """
    filesystem, path = open_root(address)
    if is_remote(address) and 0 < size <= _WHOLE_BYTES:
        import obstore

        store, name = open_object(address)
        with told_as_files():
            source = pa.BufferReader(pa.py_buffer(obstore.get(store, name).bytes()))
    else:
        source = filesystem.open_input_file(path)
    return pq.ParquetFile(
        source,
        coerce_int96_timestamp_unit="us",
        pre_buffer=by_row_group and is_remote(address),
    )
