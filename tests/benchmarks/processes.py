"""CPU seconds and memory of this process and all that it started: JVM and Python workers."""

from __future__ import annotations

import os
import threading
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def process_tree(root: int | None = None) -> list[int]:
    """A process, this one by default, and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, pending = [], [os.getpid() if root is None else root]
    while pending:
        pid = pending.pop()
        found.append(pid)
        pending += children.get(pid, [])
    return found


def cpu_seconds(root: int | None = None) -> float:
    """CPU seconds of the process tree so far, children that have ended included."""
    ticks = 0
    for pid in process_tree(root):
        fields = _stat(pid)
        if fields:
            ticks += sum(int(fields[k]) for k in range(11, 15))
    return ticks / _TICKS


def resident_bytes(root: int | None = None) -> int:
    """Memory of the process tree; pages that processes share count once (proportional set size)."""
    return sum(_resident(pid) for pid in process_tree(root))


def resident_by_role(root: int | None = None) -> dict[str, int]:
    """Memory of this process, of all JVMs together, and of the largest Python worker."""
    own = os.getpid() if root is None else root
    roles = {"driver": _resident(own), "jvm": 0, "worker": 0}
    for pid in process_tree(own)[1:]:
        size = _resident(pid)
        if _command(pid) == "java":
            roles["jvm"] += size
        else:
            roles["worker"] = max(roles["worker"], size)
    return roles


def _resident(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None


class PeakMemory:
    """Watches the process tree's memory, a look every half second.

    Parameters
    ----------
    root : int, optional
        The process at the root of the tree; this one by default, which then is what looks, too.
    """

    def __init__(self, root: int | None = None) -> None:
        self._root = root
        self.bytes = 0
        self.by_role: dict[str, int] = {}
        """Of this process, all JVMs and the largest worker, each at its own peak."""
        self._ticks: dict[tuple[int, str], int] = {}
        self.begin()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def cpu_seconds(self) -> float:
        """CPU seconds of all processes that were seen, also of those that nobody waited for."""
        self._look_at_cpu()
        return sum(self._ticks.values()) / _TICKS

    def _look_at_cpu(self) -> None:
        for pid in process_tree(self._root):
            fields = _stat(pid)
            if fields:
                # The number of a process is given again; with its start it is the only one.
                self._ticks[pid, fields[19]] = int(fields[11]) + int(fields[12])

    def cpu_seconds_besides(self) -> float:
        """CPU seconds of all processes that were seen but the one at the root."""
        root = os.getpid() if self._root is None else self._root
        return sum(t for (pid, _), t in self._ticks.items() if pid != root) / _TICKS

    def begin(self) -> None:
        """A part begins whose own peaks are wanted."""
        self._of_part: dict[str, int] = {}

    def since_begun(self) -> dict[str, int]:
        """The peaks by role since then."""
        return dict(self._of_part)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            self._look_at_cpu()
            self.bytes = max(self.bytes, resident_bytes(self._root))
            for role, size in resident_by_role(self._root).items():
                for peaks in (self.by_role, self._of_part):
                    peaks[role] = max(peaks.get(role, 0), size)
