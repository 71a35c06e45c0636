"""What stopped a command, in one line that keeps its cause."""

from __future__ import annotations

import errno
import re
import traceback

from pipelines.plain import one_line

_LONGEST = 500
_TRACE = re.compile(r"\n\s*(?:at |JVM stacktrace|Driver stacktrace|Caused by|\d+: )")
_CAUSED = re.compile(r"\n\s*Caused by: ([^\n]+)")
_WAITED = "Exception thrown in awaitResult:"
"""What Java says where another of its threads knows the cause."""
_PYTHON = "Traceback (most recent call last):"
_DATA_FILE = re.compile(r"[^\s'/]*/?part-[\w-]*[0-9a-f]{12}[\w.-]*\.parquet")
_LOST = re.compile(r"not found|No such file|NotFound", re.IGNORECASE)
_MACHINE = (
    (
        ("No space left on device", "Disk quota exceeded", "File too large"),
        (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
        "the disk is full: free space where the tables, the reports or Spark's own files are, and "
        "run again",
    ),
    (
        ("Read-only file system",),
        (errno.EROFS,),
        "the disk can only be read: mend that, or set storage.root and storage.reports, and run "
        "again",
    ),
    (
        ("Too many open files",),
        (errno.EMFILE, errno.ENFILE),
        "this machine allows too few open files: raise `ulimit -n`, and run again",
    ),
)  # fmt: skip

_JAVA = (
    "JAVA_GATEWAY_EXITED", "Answer from Java side is empty", "connect to the Java server",
    "CANNOT_OPEN_SOCKET",
)  # fmt: skip


def said_of(problem: BaseException) -> str:
    """What a problem says: without its traces, but with the cause at the end of one of Python's."""
    text = str(problem)
    if _PYTHON in text:
        # What Spark tells of a task: the last line of the trace is what went wrong in it.
        text = _TRACE.split(text.rpartition(_PYTHON)[2])[0].strip().rpartition("\n")[2] or text
    said = _TRACE.split(text)[0]
    if said.rstrip().endswith(_WAITED) and (cause := _CAUSED.search(text)):
        said = cause[1]
    return one_line(said)[:_LONGEST]


def machine_problem(problem: BaseException) -> str:
    """What the machine lacks, and what to do; empty for any other problem.

    delta-rs and Arrow tell what the system said in the text of errors of their own.
    """
    number = getattr(problem, "errno", None)
    text = str(problem)
    if (lost := _DATA_FILE.search(text)) and _LOST.search(text):
        return f"{lost[0]} of a table is lost: `promoted-ctr mend` takes it out, then run again"
    if java_ended(problem):
        return "Java was ended, perhaps for its memory (spark.driver.memory): run again"
    for marks, numbers, advice in _MACHINE:
        if number in numbers or any(mark in text for mark in marks):
            return advice
    return ""


def java_ended(problem: BaseException) -> bool:
    """Whether the JVM of this process is gone: killed, by a person or for its memory."""
    kind, text = type(problem).__name__, str(problem)
    if kind == "Py4JNetworkError" or any(mark in text for mark in _JAVA):
        return True
    if kind == "Py4JError":
        # Where Java has answered, its trace is told; where the answer was cut off, nothing is.
        return "Trace:" not in text
    if not isinstance(problem, (ConnectionError, EOFError)):
        return False
    files = (frame.f_code.co_filename for frame, _ in traceback.walk_tb(problem.__traceback__))
    return any("py4j" in file or "pyspark" in file for file in files)
