"""Object stores as an Arrow file system: S3, Google's and Azure's by the client of the lease.

Arrow has clients of its own, which look elsewhere for credentials and settings than delta-rs does
(of Azure they know no key from the environment) and ask an S3 server three times as often.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import fs

from jobs.storage.object_streams import ObjectReader, ObjectWriter, told_as_files

if TYPE_CHECKING:
    from obstore.store import ObjectStore


class ObjectFiles(fs.FileSystemHandler):
    """The objects of a bucket, by paths that begin with its name.

    Folders are there as long as they hold something. What fails is an `OSError` in the words of the
    store.
    """

    def __init__(self, store: ObjectStore, bucket: str) -> None:
        self._store = store
        self._bucket = bucket

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectFiles) and other._bucket == self._bucket

    def __hash__(self) -> int:
        return hash(self._bucket)

    def get_type_name(self) -> str:
        """Name of the kind of file system."""
        return "objects"

    def normalize_path(self, path: str) -> str:
        """The path as it is kept."""
        return path.rstrip("/")

    def get_file_info(self, paths: list[str]) -> list[fs.FileInfo]:
        """Look at files or folders."""
        return [self._info(path) for path in paths]

    def _info(self, path: str) -> fs.FileInfo:
        import obstore

        name = self._name(path)
        with told_as_files():
            try:
                found = obstore.head(self._store, name) if name else None
            except FileNotFoundError:
                found = None
            if found is not None and (found["size"] or not self._holds(name)):
                return self._file(found)
            is_folder = found is not None or self._holds(name)
        return fs.FileInfo(path, fs.FileType.Directory if is_folder else fs.FileType.NotFound)

    def _holds(self, name: str) -> bool:
        """Whether anything is below a name."""
        import obstore

        first = next(iter(obstore.list(self._store, prefix=name or None, chunk_size=2)), [])
        return any(found["path"] != name for found in first)

    def get_file_info_selector(self, selector: fs.FileSelector) -> list[fs.FileInfo]:
        """What is in a folder; of all below it, the files alone.

        Raises
        ------
        FileNotFoundError
            There is nothing, and that was not allowed.
        """
        import obstore

        # A prefix is of whole names: "a" is one of "a/b", not of "ab".
        name = self._name(selector.base_dir)
        below = name or None
        with told_as_files():
            if selector.recursive:
                chunks = obstore.list(self._store, prefix=below)
                found = [one for chunk in chunks for one in chunk]
                folders: set[str] = set()
                # Some tools leave an empty object in the place of a folder.
                for one in found:
                    parts = one["path"].split("/")
                    folders |= {"/".join(parts[:k]) for k in range(1, len(parts))}
                infos = []
            else:
                listed = obstore.list_with_delimiter(self._store, prefix=below)
                found = [*listed["objects"]]
                folders = {*listed["common_prefixes"], name}
                infos = [
                    fs.FileInfo(f"{self._bucket}/{folder}", fs.FileType.Directory)
                    for folder in sorted(listed["common_prefixes"])
                ]
        infos += [self._file(one) for one in found if one["path"] not in folders]
        if not infos and not selector.allow_not_found:
            raise FileNotFoundError(f"there is nothing in {selector.base_dir}")
        return infos

    def open_input_file(self, path: str) -> pa.PythonFile:
        """Open a file to read parts of it."""
        import obstore

        with told_as_files():
            size = obstore.head(self._store, self._name(path))["size"]
        return pa.PythonFile(ObjectReader(self._store, self._name(path), size), mode="r")

    def open_input_stream(self, path: str) -> pa.NativeFile:
        """Open a file to read it from its beginning."""
        return self.open_input_file(path)

    def open_output_stream(self, path: str, metadata: object) -> pa.PythonFile:
        """Open a file to write; it is there once it is closed."""
        return pa.PythonFile(ObjectWriter(self._store, self._name(path)), mode="w")

    def open_append_stream(self, path: str, metadata: object) -> pa.NativeFile:
        """Refuse: an object is written whole."""
        raise NotImplementedError(f"nothing can be added to {path}")

    def create_dir(self, path: str, recursive: bool) -> None:
        """Do nothing: a folder comes with its first file."""

    def delete_file(self, path: str) -> None:
        """Remove a file."""
        import obstore

        with told_as_files():
            obstore.delete(self._store, self._name(path))

    def delete_dir(self, path: str) -> None:
        """Remove a folder with all it holds."""
        import obstore

        name = self._name(path)
        if not name:
            self.delete_root_dir_contents()
        with told_as_files():
            for chunk in obstore.list(self._store, prefix=name).collect():
                obstore.delete(self._store, chunk["path"])

    def delete_dir_contents(self, path: str, missing_dir_ok: bool) -> None:
        """Remove what a folder holds."""
        self.delete_dir(path)

    def delete_root_dir_contents(self) -> None:
        """Refuse: a bucket is not emptied."""
        raise NotImplementedError(f"{self._bucket} is not emptied")

    def copy_file(self, src: str, dest: str) -> None:
        """Copy a file."""
        import obstore

        with told_as_files():
            obstore.copy(self._store, self._name(src), self._name(dest))

    def move(self, src: str, dest: str) -> None:
        """Move a file."""
        self.copy_file(src, dest)
        self.delete_file(src)

    def _name(self, path: str) -> str:
        return path.strip("/").removeprefix(self._bucket).strip("/")

    def _file(self, found: Any) -> fs.FileInfo:
        at = found["last_modified"]
        path = f"{self._bucket}/{found['path']}"
        return fs.FileInfo(path, fs.FileType.File, size=found["size"], mtime=at)
