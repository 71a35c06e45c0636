"""What becomes of a task whose command ended with a code that is not 0."""

from __future__ import annotations

import re

SKIP = 99
"""Nothing to do for this date."""

RETRIES = {
    1: 1,  # unexpected; a lost executor or a full disk ends so as well, and a second run is safe
    2: 0,  # usage or configuration: the same call fails again
    10: 0,  # refused by a check or a gate: the same data are refused again
    20: 8,  # input is not there or stale: it may come
    30: 8,  # another run is writing: it will end
    143: 3,  # terminated: what was made is kept, the next run goes on from there
}
"""How often a task is tried again, by exit code."""

MEANING = {
    1: "unexpected error",
    2: "wrong usage or configuration",
    10: "stopped by quality, nothing published",
    20: "input not there or stale",
    30: "another run is writing",
    99: "nothing to do for this date",
    143: "terminated",
}


def exit_code(message: str) -> int:
    """The code in what spark-submit's hook says; of a driver on Kubernetes its own, not the client's.

    A signal, which Python tells as a negative number and a shell as 128 and more, is a termination;
    no code at all is an unexpected error.
    """
    found = re.findall(r"(?:Error code|spark exit code) is: (-?\d+)", message)
    code = int(found[-1]) if found else 1
    return 143 if code < 0 or code > 128 else code


def is_final(code: int, attempt: int) -> bool:
    """Whether the attempt, counted from 1, was the last that the code allows."""
    return attempt > RETRIES.get(code, RETRIES[1])
