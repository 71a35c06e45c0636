"""The lease of a warehouse in an object store: one small object that says who writes.

Nothing there goes with a process, so the holder renews it. It is replaced on condition only: by
whoever knows what it holds now. A lease that nobody renews runs out; whoever takes it over has
watched it stay the same, so that no two clocks need to agree.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.setup.exits import LockHeld
from jobs.setup.store_errors import said_of_store
from jobs.setup.stores import open_store

NAME = ".lease"
HEARTBEAT_S = 15.0
EXPIRES_S = 60.0
"""A holder that could not renew for this long has lost it; four heartbeats may fail."""
WATCH_S = 20.0
"""How long a lease that seems to have run out is watched: more than a heartbeat."""
_FRESH_S = 1.0
"""A renewal is good for so long: commits that follow each other at once share one."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lease.

    Attributes
    ----------
    beat : int
        Counts renewals, so that each leaves another object.
    """

    token: str
    run_id: str
    owner: str
    host: str
    pid: int
    since: str
    beat: int = 0
    is_free: bool = False

    def __str__(self) -> str:
        run = f"run {self.run_id}, " if self.run_id else ""
        return f"{run}{self.owner} on {self.host}, process {self.pid}, since {self.since}"


def read_lease(root: str) -> tuple[Holder, dict[str, Any]] | None:
    """Who holds the lease of a warehouse, and what the store says of it; None where nobody does."""
    found = _last(root)
    return None if found is None or found[0].is_free else found


def _last(root: str) -> tuple[Holder, dict[str, Any]] | None:
    """Who holds the lease or has given it back."""
    import obstore

    try:
        found = obstore.get(open_store(root), NAME)
        return Holder(**json.loads(bytes(found.bytes()))), dict(found.meta)
    except FileNotFoundError:
        return None


def free_lease(root: str) -> None:
    """Take the lease from whoever holds it; he ends before his next commit."""
    found = read_lease(root)
    if found is not None:
        _put(root, replace(found[0], is_free=True), _as_it_is(found[1]))


def _put(root: str, holder: Holder, mode: Any) -> Any:
    """Write it on a condition; give that on which it is still as written."""
    import obstore

    made = obstore.put(open_store(root), NAME, json.dumps(asdict(holder)).encode(), mode=mode)
    return _as_it_is(made)


def _as_it_is(found: Any) -> Any:
    """The condition that an object is still what was found: some stores know it by a version."""
    return {name: found[name] for name in ("e_tag", "version") if found.get(name)}


class Lease:
    """The lease of a storage root in an object store, for one run."""

    def __init__(self, root: str, run_id: str) -> None:
        self.root = root
        owner = "unknown"
        with suppress(Exception):
            owner = getpass.getuser()
        since = datetime.now(UTC).isoformat(timespec="seconds")
        self._me = Holder(uuid.uuid4().hex, run_id, owner, socket.gethostname(), os.getpid(), since)
        self._as_written: Any = {}
        self._renewed = 0.0
        self._lost = ""
        self._mutex = threading.Lock()
        self._ended = threading.Event()

    def take(self) -> None:
        """Take the lease and renew it from now on.

        Raises
        ------
        LockHeld
            Another run holds it.
        """
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        try:
            self._as_written = _put(self.root, self._me, self._current())
        except (AlreadyExistsError, PreconditionError):
            raise LockHeld(f"another run began to write to {self.root} just now") from None
        self._renewed = time.monotonic()
        threading.Thread(target=self._keep, daemon=True, name="lease").start()

    def _current(self) -> Any:
        """The condition on which the lease is free to take."""
        found = _last(self.root)
        if found is None:
            return "create"
        holder, meta = found
        if not holder.is_free:
            age = datetime.now(UTC) - meta["last_modified"]
            if age < timedelta(seconds=EXPIRES_S) or not self._stays(str(meta["e_tag"])):
                raise LockHeld(
                    f"another run is writing to {self.root} ({holder}; heard of "
                    f"{max(age.total_seconds(), 0):.0f} s ago); wait for it to end, or if it has "
                    f'been killed, {EXPIRES_S:.0f} s, or promoted-ctr unlock --reason "..."'
                )
        return _as_it_is(meta)

    def _stays(self, tag: str) -> bool:
        """Whether nobody renews it."""
        import obstore

        time.sleep(WATCH_S)
        return str(obstore.head(open_store(self.root), NAME)["e_tag"]) == tag

    def confirm(self) -> None:
        """Renew the lease before a commit.

        Raises
        ------
        LockHeld
            It is lost.
        """
        with self._mutex:
            if not self._lost and time.monotonic() - self._renewed > _FRESH_S:
                self._renew()
        if self._lost:
            raise LockHeld(f"this run no longer holds the lease of {self.root}: {self._lost}")

    def _renew(self) -> None:
        from obstore.exceptions import PreconditionError

        self._me = replace(self._me, beat=self._me.beat + 1)
        try:
            self._as_written = _put(self.root, self._me, self._as_written)
            self._renewed = time.monotonic()
        except (PreconditionError, FileNotFoundError):
            self._look_again()
        except Exception as problem:
            if time.monotonic() - self._renewed > EXPIRES_S - HEARTBEAT_S:
                self._lost = f"it could not be renewed ({said_of_store(problem).text})"

    def _look_again(self) -> None:
        """Tell a renewal that came through, though its answer did not, from a lost lease."""
        found = read_lease(self.root)
        if found is not None and found[0].token == self._me.token:
            self._as_written, self._renewed = _as_it_is(found[1]), time.monotonic()
        elif found is None:
            self._lost = "it was taken from it, see promoted-ctr runs --job unlock"
        else:
            self._lost = f"it has been taken by {found[0]}"

    def _keep(self) -> None:
        while not self._ended.wait(HEARTBEAT_S):
            with self._mutex, suppress(Exception):
                if self._ended.is_set() or self._lost:
                    return
                self._renew()

    def give_back(self) -> None:
        """Let others write; what cannot be given back runs out."""
        self._ended.set()
        with self._mutex, suppress(Exception):
            if not self._lost:
                _put(self.root, replace(self._me, is_free=True), self._as_written)
