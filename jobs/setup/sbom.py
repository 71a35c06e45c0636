"""What an installed wheel brings with it, as CycloneDX: ``python -m jobs.setup.sbom LOCK``.

Read from the lock, so that it is of the files that were tried, with their SHA-256.
"""

from __future__ import annotations

import json
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from jobs.setup.jars import DELTA_JARS

_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def bill_of_materials(lock: str) -> dict[str, Any]:
    """CycloneDX 1.6 of a lock's packages, and of Delta's jars.

    Parameters
    ----------
    lock : str
        Text of a requirements file with hashes.
    """
    pins = list(_PIN.finditer(lock))
    ends = [pin.start() for pin in pins[1:]] + [len(lock)]
    components = [
        _package(pin[1], pin[2], _HASH.findall(lock[pin.end() : end]))
        for pin, end in zip(pins, ends, strict=True)
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": "promoted-ctr",
                "version": metadata.version("promoted-ctr"),
            }
        },
        "components": components + _jars(),
    }


def _package(name: str, version: str, hashes: list[str]) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{re.sub('[-_.]+', '-', name).lower()}@{version}",
        # One for each file that the version has: wheels of every platform, and its source.
        "hashes": [{"alg": "SHA-256", "content": one} for one in hashes],
    }
    try:
        licences = metadata.metadata(name).get_all("License-Expression") or []
    except metadata.PackageNotFoundError:
        licences = []
    return component | ({"licenses": [{"expression": licences[0]}]} if licences else {})


def _jars() -> list[dict[str, Any]]:
    return [
        {
            "type": "library",
            "group": jar.group,
            "name": jar.artifact,
            "version": jar.version,
            "purl": f"pkg:maven/{jar.group}/{jar.artifact}@{jar.version}",
            "hashes": [{"alg": "SHA-256", "content": jar.sha256}],
        }
        for jar in DELTA_JARS
    ]


if __name__ == "__main__":
    made = bill_of_materials(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(json.dumps(made, indent=1, sort_keys=True))
