"""A real server of S3 on loopback, for as long as the tests run."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import obstore
from obstore.store import S3Store

KEY, SECRET = "planted-key", "planted-secret"
STARTS_WITHIN_S = 60


@dataclass(frozen=True)
class ObjectStore:
    """A server, and what reaches it."""

    port: int

    @property
    def options(self) -> dict[str, str]:
        """As `storage.options` take them."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
        }

    @property
    def settings(self) -> list[str]:
        """The options as settings."""
        return [f"storage.options.{name}='{value}'" for name, value in self.options.items()]

    @property
    def credentials(self) -> dict[str, str]:
        """As the environment gives them."""
        return {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}

    def bucket(self) -> str:
        """The address of a bucket that is new."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        keys = {"access_key_id": KEY, "secret_access_key": SECRET}
        options = {name.lower(): value for name, value in self.options.items()}
        # The server makes a bucket with its first object.
        obstore.put(S3Store(name, config={**options, **keys}), "first", b"")  # type: ignore[typeddict-item]
        return f"s3://{name}"


@contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """Start the server, and end it by its process id."""
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    master, volume, filer, port = free_ports(4)
    weed = Path(sys.executable).with_name("weed")
    command = [
        str(weed), "server", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}",
        "-master.volumeSizeLimitMB=64", "-volume.max=200", "-s3", f"-s3.port={port}",
        "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={folder / 's3.json'}",
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        _wait(server, port, folder / "log")
        yield ObjectStore(port)
    finally:
        # It would take ten seconds to end in order, and keeps nothing.
        server.kill()
        server.wait()


@contextmanager
def bucket_at_hand(folder: Path) -> Iterator[str]:
    """The address of a bucket that this process, and those that it starts, can reach."""
    folder.mkdir()
    with object_store(folder) as store:
        os.environ.update({**store.options, **store.credentials})
        yield store.bucket()


def free_ports(count: int) -> list[int]:
    """Ports that are free, and those 10,000 above them too, which the server takes beside them."""
    found: list[int] = []
    candidate = random.randrange(20_000, 30_000)
    while len(found) < count:
        candidate += 1
        with ExitStack() as opened:
            try:
                for port in (candidate, candidate + 10_000):
                    opened.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(candidate)
    return found


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urlopen(f"http://127.0.0.1:{port}/", timeout=5)
            return
        except HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the object store did not start: {log.read_text()[-2000:]}")
