"""What stopped a command is told in one line that keeps its cause."""

from __future__ import annotations

import doctest
import errno

import pytest
from py4j.java_gateway import GatewayParameters, JavaGateway
from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark.errors import PySparkRuntimeError

from jobs.__main__ import main
from jobs.setup.exits import ExitCode, exit_code_of
from jobs.setup.problems import machine_problem, said_of
from pipelines import plain

OF_DELTA = OSError(
    "Generic LocalFileSystem error\n   \x1b[31m↳\x1b[0m Unable to copy data to file\n"
    "      \x1b[31m↳\x1b[0m No space left on device (os error 28)\n"
)
OF_A_TASK = RuntimeError(
    "An exception was thrown from the Python worker. Please see the stack trace below.\n"
    "Traceback (most recent call last):\n"
    '  File "rows.py", line 1, in run\n'
    "ValueError: the price is no number\n"
    "\n\tat org.apache.spark.api.python.BasePythonRunner.compute(PythonRunner.scala:1)\n"
)
OF_A_THREAD = RuntimeError(
    "An error occurred while calling o91.getResult.\n"
    ": org.apache.spark.SparkException: Exception thrown in awaitResult: \n"
    "\tat org.apache.spark.util.SparkThreadUtils$.awaitResult(SparkThreadUtils.scala:53)\n"
    "Caused by: org.apache.spark.SparkException: Lost task 1.0: "
    'Cannot run program "python": error=13\n'
    "\tat java.base/java.lang.ProcessBuilder.start(ProcessBuilder.java:1143)\n"
    "Caused by: java.io.IOException: error=13\n"
)


def test_the_cause_is_in_the_line_and_no_trace_is():
    assert said_of(OF_DELTA) == (
        "Generic LocalFileSystem error ↳ Unable to copy data to file ↳ No space left on device "
        "(os error 28)"
    )
    assert said_of(OF_A_TASK) == "ValueError: the price is no number"
    assert said_of(ValueError("two\nlines\n  at somewhere")) == "two lines"
    assert said_of(OF_A_THREAD) == (
        'org.apache.spark.SparkException: Lost task 1.0: Cannot run program "python": error=13'
    )


@pytest.mark.parametrize(
    ("problem", "advice"),
    [
        (OF_DELTA, "free space"),
        (OSError(errno.EDQUOT, "whatever this system calls it"), "free space"),
        (OSError("Generic error: Read-only file system (os error 30)"), "can only be read"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
    ],
)
def test_what_the_machine_lacks_is_named_with_what_to_do(problem: OSError, advice: str):
    assert advice in machine_problem(problem)
    assert exit_code_of(problem) is ExitCode.USAGE
    assert machine_problem(OSError(errno.ENOENT, "No such file")) == ""


def test_a_java_that_was_killed_is_a_reason_to_run_again():
    told = [
        RuntimeError("[JAVA_GATEWAY_EXITED] Java gateway process exited before sending its port"),
        Py4JNetworkError("Answer from Java side is empty"),
        Py4JError("An error occurred while calling o1419.getResult"),
        PySparkRuntimeError(
            errorClass="CANNOT_OPEN_SOCKET", messageParameters={"errors": "Connection refused"}
        ),
    ]
    gateway = JavaGateway(gateway_parameters=GatewayParameters(port=1))
    try:
        gateway.jvm.System.nanoTime()
    except (ConnectionError, Py4JNetworkError) as refused:
        told.append(refused)
    assert len(told) == 5
    for problem in told:
        assert "run again" in machine_problem(problem)
        assert exit_code_of(problem) is ExitCode.TERMINATED
    for problem in (
        ConnectionRefusedError(errno.ECONNREFUSED, "by a server"),
        EOFError("a file ended"),
        Py4JError("An error occurred while calling o1.no. Trace:\npy4j.Py4JException: no method"),
    ):
        assert machine_problem(problem) == ""


def test_a_command_that_ends_for_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fail(_: object) -> int:
        raise OF_DELTA

    monkeypatch.setattr("jobs.__main__._dispatch", fail)
    assert main(["config"]) == ExitCode.USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("promoted-ctr: the disk is full: free space")
    assert "No space left on device" in line
    assert "\x1b" not in line


def test_text_from_outside_does_nothing():
    assert doctest.testmod(plain).failed == 0
    assert plain.escaped("a\u202eb\x9b2J\u2028c") == r"a\u202eb\x9b2J\u2028c"
