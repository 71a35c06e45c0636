"""A server that speaks as Azure's blob store does, where there is one on this machine."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from tests.support.object_store import STARTS_WITHIN_S, free_ports

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""What Azurite is known to have; no secret of anybody."""
_VERSION = "2021-08-06"


def azurite() -> str | None:
    """The command that starts Azurite: as AZURITE says, or on the path."""
    return os.environ.get("AZURITE") or shutil.which("azurite-blob")


@contextmanager
def azure_store(command: str, folder: Path) -> Iterator[dict[str, str]]:
    """Start the server with a container `box`; give the variables by which it is reached."""
    (port,) = free_ports(1)
    words = [command, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder)]
    words += ["--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(words, stdout=log, stderr=log)
    endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
    try:
        _make_container(endpoint, "box", server)
        yield {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "AZURE_STORAGE_ENDPOINT": endpoint,
            "AZURE_ALLOW_HTTP": "true",
        }
    finally:
        server.kill()
        server.wait()


def _make_container(endpoint: str, name: str, server: subprocess.Popen[bytes]) -> None:
    """Make a container as soon as the server answers."""
    at = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    signed = f"x-ms-date:{at}\nx-ms-version:{_VERSION}\n/{ACCOUNT}/{ACCOUNT}/{name}\n"
    signed = "PUT" + 12 * "\n" + signed + "restype:container"
    proof = hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()
    headers = {
        "x-ms-date": at, "x-ms-version": _VERSION, "Content-Length": "0",
        "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(proof).decode()}",
    }  # fmt: skip
    wanted = Request(f"{endpoint}/{name}?restype=container", method="PUT", headers=headers)
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urlopen(wanted, timeout=5)
            return
        except URLError:
            time.sleep(0.2)
    raise RuntimeError("Azurite did not start")
