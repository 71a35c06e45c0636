"""Object stores as files: what Arrow asks of a file system, answered by objects."""

from __future__ import annotations

from pathlib import Path

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from obstore.store import MemoryStore
from pyarrow import fs

from jobs.storage import object_streams, store_files
from jobs.storage.delta_log import is_newest
from jobs.storage.object_files import ObjectFiles
from jobs.storage.store_files import open_parquet
from jobs.storage.tables import Tables

ROWS = pa.table({"a": range(1000), "b": [f"{k % 7}" for k in range(1000)]})


@pytest.fixture
def store() -> MemoryStore:
    """A store of a folder, its neighbour, and what some tools leave in the place of a folder."""
    made = MemoryStore()
    for name in ("t/ds=1/a", "t/ds=1/b", "t/ds=2/a", "t/top", "t2/a"):
        obstore.put(made, name, name.encode())
    for name in ("t/ds=1", "t"):
        obstore.put(made, name, b"")
    return made


@pytest.fixture
def files(store: MemoryStore) -> fs.FileSystem:
    """The store as files."""
    return fs.PyFileSystem(ObjectFiles(store, "box"))


def named(infos: list[fs.FileInfo]) -> dict[str, fs.FileType]:
    """Kinds by path."""
    return {info.path: info.type for info in infos}


def test_a_folder_lists_what_is_in_it_and_nothing_of_its_neighbour(files: fs.FileSystem) -> None:
    file, folder = fs.FileType.File, fs.FileType.Directory
    flat = files.get_file_info(fs.FileSelector("box/t"))
    assert named(flat) == {"box/t/ds=1": folder, "box/t/ds=2": folder, "box/t/top": file}
    deep = files.get_file_info(fs.FileSelector("box/t", recursive=True))
    of_days = {f"box/t/{name}": file for name in ("ds=1/a", "ds=1/b", "ds=2/a", "top")}
    assert named(deep) == of_days
    assert {info.path: info.size for info in deep}["box/t/top"] == len("t/top")


def test_a_folder_is_there_while_it_holds_something(files: fs.FileSystem) -> None:
    looked = files.get_file_info(["box/t", "box/t/ds=2", "box/t/top", "box/nix", "box", "box/t/to"])
    folder, none = fs.FileType.Directory, fs.FileType.NotFound
    assert [info.type for info in looked] == [folder, folder, fs.FileType.File, none, folder, none]
    files.delete_dir("box/t")
    assert files.get_file_info("box/t/ds=1").type == none
    assert files.get_file_info("box/t2/a").type == fs.FileType.File
    with pytest.raises(FileNotFoundError):
        files.get_file_info(fs.FileSelector("box/nix"))
    assert not files.get_file_info(fs.FileSelector("box/nix", allow_not_found=True))
    with pytest.raises(FileNotFoundError):
        files.open_input_file("box/nix")


def test_a_bucket_is_never_emptied(files: fs.FileSystem) -> None:
    with files.open_output_stream("box/kept/a") as file:
        file.write(b"1")
    for root in ("box", "box/"):
        with pytest.raises(NotImplementedError, match="box is not emptied"):
            files.delete_dir(root)
    assert files.get_file_info("box/kept/a").type == fs.FileType.File


def test_long_files_are_written_and_read_in_parts(
    files: fs.FileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_streams, "_PART_BYTES", 1000)
    pq.write_table(ROWS, "box/rows", filesystem=files)
    with files.open_input_file("box/rows") as opened:
        assert pq.ParquetFile(opened).read().equals(ROWS)
    whole = files.open_input_stream("box/rows").read()
    assert len(whole) == files.get_file_info("box/rows").size > 3000
    files.move("box/rows", "box/moved")
    assert files.open_input_file("box/moved").read() == whole
    assert files.get_file_info("box/rows").type == fs.FileType.NotFound


def test_what_a_store_refuses_is_an_error_of_files(
    files: fs.FileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise obstore.exceptions.PermissionDeniedError("Generic S3 error: Access Denied")

    monkeypatch.setattr(obstore, "head", refuse)
    with pytest.raises(OSError, match="Generic S3 error: Access Denied"):
        files.open_input_file("box/t/top")


def test_a_short_file_of_known_size_is_had_by_one_request(
    store: MemoryStore, files: fs.FileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(ROWS, "box/rows", filesystem=files)
    size = files.get_file_info("box/rows").size
    asked: list[str] = []
    for name in ("head", "get", "get_range", "list"):
        kept = getattr(obstore, name)
        monkeypatch.setattr(
            obstore, name, lambda *a, _n=name, _k=kept, **m: (asked.append(_n), _k(*a, **m))[1]
        )
    monkeypatch.setattr(store_files, "open_object", lambda address: (store, "rows"))
    monkeypatch.setattr(store_files, "open_root", lambda address: (files, "box/rows"))
    assert open_parquet("s3://box/rows", size).read().equals(ROWS)
    assert asked == ["get"]
    monkeypatch.setattr(store_files, "_WHOLE_BYTES", size - 1)
    assert open_parquet("s3://box/rows", size, by_row_group=True).read(["a"]) == ROWS.select(["a"])
    assert asked[1] == "head"
    assert set(asked[2:]) == {"get_range"}


def test_tables_follow_what_others_write(tmp_path: Path) -> None:
    tables, others = Tables(str(tmp_path)), Tables(str(tmp_path))
    tables.create(["runs"])
    handle = tables.delta("runs")
    assert is_newest(handle, tables.path("runs"))
    other = others.delta("runs")
    other.alter.set_table_properties({"delta.appendOnly": "true"})
    assert handle.version() == other.version() - 1
    assert not is_newest(handle, tables.path("runs"))
    assert tables.version("runs") == DeltaTable(tables.path("runs")).version()
    assert is_newest(handle, tables.path("runs"))
