"""What comes with the wheel is listed, each package with its version and SHA-256."""

from __future__ import annotations

import re
from pathlib import Path

from jobs.setup.jars import DELTA_JARS
from jobs.setup.sbom import bill_of_materials

LOCK = Path(__file__).parents[2] / "requirements" / "runtime.lock"


def test_it_lists_every_package_of_the_lock_and_every_jar() -> None:
    lock = LOCK.read_text(encoding="utf-8")
    made = bill_of_materials(lock)
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.6")
    pins = re.findall(r"^([\w.-]+)==([^\s\\]+)", lock, re.MULTILINE)
    listed = {(one["name"], one["version"]): one for one in made["components"]}
    assert set(listed) == {*pins, *((jar.artifact, jar.version) for jar in DELTA_JARS)}
    assert all(one["hashes"] for one in listed.values())
    hashes = re.findall(r"sha256:([0-9a-f]{64})", lock)
    told = [h["content"] for one in made["components"] for h in one["hashes"]]
    assert told == hashes + [jar.sha256 for jar in DELTA_JARS]
    assert listed["pyarrow", dict(pins)["pyarrow"]]["purl"].startswith("pkg:pypi/pyarrow@")
    assert any("licenses" in one for one in listed.values())
