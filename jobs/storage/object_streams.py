"""Objects of a store as files that are read in parts, or written from end to end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_PART_BYTES = 8 * 2**20
_PARTS_AT_ONCE = 2
"""What is held in memory of a file that is written, and had by a request of one that is read."""


@contextmanager
def told_as_files() -> Iterator[None]:
    """Tell what a store says as errors of files, as Arrow does."""
    from obstore.exceptions import BaseError

    try:
        yield
    except OSError:
        raise
    except BaseError as problem:
        raise OSError(str(problem)) from problem


class ObjectReader:
    """A file of which each read is a request."""

    closed = False

    def __init__(self, store: ObjectStore, name: str, size: int) -> None:
        self._store, self._name, self._size, self._at = store, name, size, 0

    def read(self, count: int = -1) -> Any:
        """Read from where it is."""
        import obstore

        left = max(self._size - self._at, 0)
        wanted = left if count is None or count < 0 else min(count, left)
        found = []
        # A request must be over in half a minute, whatever the line.
        for start in range(self._at, self._at + wanted, _PART_BYTES):
            length = min(_PART_BYTES, self._at + wanted - start)
            with told_as_files():
                found.append(obstore.get_range(self._store, self._name, start=start, length=length))
        self._at += wanted
        return found[0] if len(found) == 1 else b"".join(found)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """Where it is."""
        return self._at

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """End it."""
        self.closed = True


class ObjectWriter:
    """A file that is sent by one request where it is short, else in parts as it grows."""

    closed = False

    def __init__(self, store: ObjectStore, name: str) -> None:
        import obstore

        self._writer = obstore.open_writer(
            store, name, buffer_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE
        )
        self._at = 0

    def write(self, data: Any) -> int:
        """Add bytes."""
        # Arrow's buffers are of signed bytes, which are none for the client.
        held = memoryview(data).cast("B")
        with told_as_files():
            self._writer.write(held)
        self._at += len(held)
        return len(held)

    def tell(self) -> int:
        """Where it is."""
        return self._at

    def flush(self) -> None:
        """Nothing is sent before there is enough of it."""

    def writable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """End it."""
        if not self.closed:
            self.closed = True
            with told_as_files():
                self._writer.close()
