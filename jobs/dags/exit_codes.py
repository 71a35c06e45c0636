"""What becomes of a task whose command ended with a code that is not 0."""

from __future__ import annotations

import re

SKIP = 99
"""Nothing to do for this date."""

RETRIES = {
    1: 1,  # unexpected; a lost executor or a full disk ends so as well, and a second run is safe
    2: 0,  # usage or configuration: the same call fails again
    10: 0,  # refused by a check or a gate: the same data are refused again
    20: 8,  # input is not there or stale, or a store does not answer: it may come
    30: 8,  # another run is writing: it will end
    143: 3,  # terminated: what was made is kept, the next run goes on from there
}
"""How often a task is tried again, by exit code."""

MEANING = {
    1: "unexpected error",
    2: "wrong usage or configuration",
    10: "stopped by quality, nothing published",
    20: "input not there or stale, or a store does not answer",
    30: "another run is writing",
    99: "nothing to do for this date",
    143: "terminated",
}

WHAT_TO_DO = {
    1: "read the last lines of the task's log; run the command with `--verbose` for the trace",
    2: "the line names the argument or key; correct the variable `promoted_ctr` and clear the task",
    10: "the last good scores stay; open the report of the day, mend the source or the rule, clear",
    20: "the line names the file, or what the store said; once it has landed, or the store "
    "answers, clear the task if its attempts are spent",
    30: "`promoted-ctr runs` shows who writes; nothing to do unless it stays for hours",
    99: "the date is before the first log: nothing",
    143: "killed, or out of memory or time; what was made is kept, the next attempt goes on",
}


def table() -> str:
    """Exit codes for whoever reads a runbook at night."""
    lines = ["| code | means | tried again | what to do |", "|---|---|---|---|"]
    for code, meaning in MEANING.items():
        times = "skipped" if code == SKIP else f"{RETRIES[code]} times" if RETRIES[code] else "no"
        lines.append(f"| {code} | {meaning} | {times} | {WHAT_TO_DO[code]} |")
    return "\n".join(lines)


def exit_code(message: str) -> int:
    """The code in what spark-submit's hook says; on Kubernetes that of the driver, not the client.

    A signal, which Python tells as a negative number and a shell as 128 and more, is a termination;
    no code at all is an unexpected error.
    """
    found = re.findall(r"(?:Error code|spark exit code) is: (-?\d+)", message)
    code = int(found[-1]) if found else 1
    return 143 if code < 0 or code > 128 else code


def is_final(code: int, attempt: int) -> bool:
    """Whether the attempt, counted from 1, was the last that the code allows."""
    return attempt > RETRIES.get(code, RETRIES[1])
