"""What passes ends with code 20 and is tried again; what lasts ends with 2: one line says which."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from deltalake import DeltaTable

from jobs.__main__ import main
from jobs.setup.exits import ExitCode, StoreUnavailable, UsageError, exit_code_of
from jobs.setup.store_errors import store_cause, store_error
from jobs.setup.stores import open_store
from tests.support.object_store import ObjectStore

ADDRESS = "s3://bucket/warehouse"
IMPATIENT = {"max_retries": "1", "retry_timeout": "2s"}

ANSWERS = {
    "slow down": (503, "SlowDown", "asks for fewer requests", ExitCode.INPUT),
    "too many": (429, "TooManyRequests", "asks for fewer requests", ExitCode.INPUT),
    "its own failure": (500, "InternalError", "failed by itself", ExitCode.INPUT),
    "a gateway": (502, "", "failed by itself", ExitCode.INPUT),
    "unavailable": (503, "ServiceUnavailable", "failed by itself", ExitCode.INPUT),
    "no bucket": (404, "NoSuchBucket", "the bucket is not there", ExitCode.USAGE),
    "no right": (403, "AccessDenied", "may not do this there", ExitCode.USAGE),
    "a wrong key": (403, "InvalidAccessKeyId", "does not know AWS_ACCESS_KEY_ID", ExitCode.USAGE),
    "a wrong secret": (403, "SignatureDoesNotMatch", "SECRET_ACCESS_KEY is wrong", ExitCode.USAGE),
}
"""What a server says: status and code; what is made of it."""


class Ill(BaseHTTPRequestHandler):
    """A store that is not well."""

    status, code, is_broken = 500, "", False

    def log_message(self, *told: object) -> None:
        """Say nothing."""

    def answer(self) -> None:
        """The same to all."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.is_broken:
            # Closed at once, with what was not sent.
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            self.connection.close()
            return
        body = f"<Error><Code>{self.code}</Code></Error>".encode() if self.code else b""
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/xml")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


for _verb in ("GET", "PUT", "HEAD", "POST", "DELETE"):
    setattr(Ill, f"do_{_verb}", Ill.answer)


@contextmanager
def ill(monkeypatch: pytest.MonkeyPatch, **how: object) -> Iterator[None]:
    """Have a server that is not well stand for every store."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("AsTold", (Ill,), how))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with monkeypatch.context() as patched:
        reached = ObjectStore(server.server_port)
        for name, value in {**reached.options, **reached.credentials}.items():
            patched.setenv(name, value)
        open_store.cache_clear()
        try:
            yield
        finally:
            open_store.cache_clear()
            server.shutdown()
            server.server_close()
            thread.join()


@pytest.mark.parametrize("name", ANSWERS)
def test_a_run_ends_with_the_code_of_what_the_store_said(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, code, said, ends = ANSWERS[name]
    with ill(monkeypatch, status=status, code=code):
        assert main(["run", "--root", ADDRESS, "--date", "2026-01-01"]) == ends
    told = capsys.readouterr().err
    assert said in told
    assert (len(told.splitlines()), "\x1b" in told) == (1, False)


@pytest.mark.parametrize("name", ANSWERS)
def test_delta_rs_tells_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    status, code, said, ends = ANSWERS[name]
    with (
        ill(monkeypatch, status=status, code=code),
        pytest.raises(Exception, match=r".") as stopped,
    ):
        DeltaTable(f"{ADDRESS}/runs", storage_options=IMPATIENT)
    if status != 404:  # a table that is not there is none, whatever the reason
        cause = store_cause(stopped.value)
        assert cause is not None
        assert said in cause.text
        assert exit_code_of(stopped.value) == ends


def test_a_broken_connection_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    with ill(monkeypatch, is_broken=True):
        assert main(["run", "--root", ADDRESS, "--date", "2026-01-01"]) == ExitCode.INPUT
        with pytest.raises(OSError, match=r".") as stopped:
            DeltaTable(f"{ADDRESS}/runs", storage_options=IMPATIENT)
    assert exit_code_of(stopped.value) == ExitCode.INPUT


SAID_BY_ARROW = (
    "When getting information for key 'x/y' in bucket 'b': AWS Error UNKNOWN (HTTP status 503) "
    "during HeadObject operation: No response body.",
    "AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 28, Timeout was reached",
    "AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 56, Failure when "
    "receiving data from the peer; Details: Recv failure: Connection reset by peer",
    "AWS Error SLOW_DOWN during PutObject operation: Please reduce your request rate.",
)
SAID_BY_SPARK = (
    "org.apache.hadoop.fs.s3a.AWSStatus500Exception: getFileStatus on s3a://b/x: "
    "software.amazon.awssdk.services.s3.model.S3Exception: null (Service: S3, Status Code: 503)",
    "software.amazon.awssdk.core.exception.SdkClientException: Unable to execute HTTP request: "
    "Connect to 127.0.0.1:9 failed: Connection refused",
)


@pytest.mark.parametrize("said", [*SAID_BY_ARROW, *SAID_BY_SPARK])
def test_what_arrow_and_spark_say_of_what_passes_is_known(said: str) -> None:
    told = store_error(OSError(said), "landing directory s3://b/x cannot be read")
    assert isinstance(told, StoreUnavailable)
    assert str(told).startswith("landing directory s3://b/x cannot be read: ")


def test_what_lasts_is_a_wrong_configuration() -> None:
    said = "When listing objects: AWS Error ACCESS_DENIED during ListObjectsV2 operation"
    assert isinstance(store_error(OSError(said), "reading"), UsageError)


@pytest.mark.parametrize("said", ["No such file: /landing/x", "Permission denied", "status 503"])
def test_other_problems_are_none_of_a_store(said: str) -> None:
    assert store_error(OSError(said), "reading") is None
    assert exit_code_of(OSError(said)) == ExitCode.UNEXPECTED


def test_a_commit_that_a_store_failed_is_no_conflict() -> None:
    class CommitFailedError(Exception):
        """As delta-rs names it."""

    assert exit_code_of(CommitFailedError("version 3 is there already")) == ExitCode.LOCKED
    failed = CommitFailedError("Generic S3 error: status code: 503 Service Unavailable")
    assert exit_code_of(failed) == ExitCode.INPUT
