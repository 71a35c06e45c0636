"""What the machine must have is said in one line; the jars are the right ones or refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from jobs.setup import environment, jars
from jobs.setup.config import Config
from jobs.setup.environment import (
    check_java,
    check_readable,
    check_user,
    conf_directory,
    project_root,
)
from jobs.setup.exits import ExitCode, UsageError
from jobs.setup.jars import DELTA_JARS, Jar, ensure_delta_jars
from jobs.setup.session import check_spark


def make_java(directory: Path, output: str) -> Path:
    """A `java` that prints, to stderr as Java does, and nothing else."""
    java = directory / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\ncat >&2 <<'TEXT'\n{output}\nTEXT\n")
    java.chmod(0o755)
    return java


@pytest.fixture
def java_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without Java."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(environment.shutil, "which", lambda name: None)
    return tmp_path


@pytest.mark.parametrize(
    "output",
    [
        'openjdk version "17.0.15" 2025-04-15',
        'openjdk version "21" 2023-09-19 LTS',
        'Picked up JAVA_TOOL_OPTIONS: -Xmx1g\njava version "25.0.1" 2025-10-21',
    ],
)
def test_java_17_to_25_is_taken(
    java_free: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    java = make_java(java_free, output)
    monkeypatch.setenv("JAVA_HOME", str(java_free))
    assert check_java() == java


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ('openjdk version "11.0.22" 2024-01-16', "is Java 11"),
        ('java version "1.8.0_392"', "is Java 8"),
        ("Unable to locate a Java Runtime.", "is no working Java"),
    ],
)
def test_other_java_is_refused_in_one_line_with_advice(
    java_free: Path, monkeypatch: pytest.MonkeyPatch, output: str, said: str
) -> None:
    make_java(java_free, output)
    monkeypatch.setenv("JAVA_HOME", str(java_free))
    with pytest.raises(UsageError, match=said) as refusal:
        check_java()
    assert "openjdk-17-jre-headless" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("version", ["26-ea", "24.0.2", "18"])
def test_a_java_that_spark_was_not_tried_on_is_refused(
    version: str, java_free: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_java(java_free, f'openjdk version "{version}" 2026-03-17')
    monkeypatch.setenv("JAVA_HOME", str(java_free))
    said = rf"is Java {version[:2]}, .*set JAVA_HOME to one of 17, 21, 25$"
    with pytest.raises(UsageError, match=said):
        check_java()


@pytest.mark.parametrize("version", ["17.0.15", "21.0.8", "25"])
def test_a_java_that_spark_was_tried_on_is_taken(
    version: str, java_free: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_java(java_free, f'openjdk version "{version}" 2025-04-15')
    monkeypatch.setenv("JAVA_HOME", str(java_free))
    assert check_java() == java_free / "bin" / "java"


def test_a_spark_without_a_jvm_or_of_another_version_is_refused(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_spark(config)
    monkeypatch.setenv("SPARK_REMOTE", "sc://cluster:15002")
    with pytest.raises(UsageError, match=r"Spark Connect has no JVM at hand.*unset SPARK_REMOTE"):
        check_spark(config)
    monkeypatch.delenv("SPARK_REMOTE")
    monkeypatch.setattr("pyspark.__version__", "4.1.1")
    with pytest.raises(UsageError, match=r"this is Spark 4\.1\.1, .*made for 4\.2\.x"):
        check_spark(config)


def test_missing_java_is_said_with_advice(java_free: Path) -> None:
    with pytest.raises(UsageError, match=r"no Java found.*apt-get install"):
        check_java()


def test_java_home_without_java_is_not_passed_over(
    java_free: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java_free / "gone"))
    with pytest.raises(UsageError, match=r"JAVA_HOME is .*gone"):
        check_java()


@pytest.mark.parametrize("module", ["jobs.setup.environment", "jobs.setup.jars"])
def test_checks_need_nothing_but_the_standard_library(module: str) -> None:
    # `make` calls them before anything is installed; -S leaves out site-packages.
    code = f"import sys; sys.path.insert(0, {str(project_root())!r}); import {module}"
    subprocess.run([sys.executable, "-S", "-I", "-c", code], check=True)


def test_checkout_has_its_settings() -> None:
    assert sorted((conf_directory() / "base").glob("*.toml"))


def test_settings_are_found_when_the_code_runs_out_of_an_archive(tmp_path: Path) -> None:
    archive = tmp_path / "code.zip"
    sources = ["jobs/__init__.py", "jobs/setup/__init__.py", "jobs/setup/environment.py"]
    plain = ["pipelines/__init__.py", "pipelines/plain.py"]
    with zipfile.ZipFile(archive, "w") as packed:
        for name in [*sources, "jobs/setup/exits.py", "jobs/setup/problems.py", *plain]:
            packed.write(project_root() / name, name)
        packed.writestr("conf/base/a.toml", "x = 1")
    code = (
        f"import sys; sys.path.insert(0, {str(archive)!r})\n"
        "from jobs.setup.environment import conf_directory\n"
        "print(conf_directory(), (conf_directory() / 'base' / 'a.toml').read_text())"
    )
    call = [sys.executable, "-I", "-S", "-c", code]
    directory, text = subprocess.run(call, capture_output=True, text=True, check=True).stdout.split(
        maxsplit=1
    )
    assert text.strip() == "x = 1"
    assert not Path(directory).exists()


def make_jars(monkeypatch: pytest.MonkeyPatch, mirror: Path) -> dict[str, bytes]:
    """Two small archives in a repository on disk, in place of Delta's."""
    content = {"one": b"first archive", "two": b"second archive"}
    declared = tuple(
        Jar("org.example", name, "1.0", sha256(data).hexdigest()) for name, data in content.items()
    )
    for jar in declared:
        path = mirror / jar.path
        path.parent.mkdir(parents=True)
        path.write_bytes(content[jar.artifact])
    monkeypatch.setattr(jars, "DELTA_JARS", declared)
    monkeypatch.setenv("DEFAULT_ARTIFACT_REPOSITORY", mirror.as_uri())
    return {f"{name}-1.0.jar": data for name, data in content.items()}


def test_delta_jars_are_those_of_one_release() -> None:
    assert len(DELTA_JARS) == 7
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in DELTA_JARS)
    assert {jar.version for jar in DELTA_JARS if jar.group == "io.delta"} == {"4.4.0"}
    assert DELTA_JARS[0].path == (
        "io/delta/delta-spark_4.2_2.13/4.4.0/delta-spark_4.2_2.13-4.4.0.jar"
    )


def test_missing_jars_are_fetched_and_then_not_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    content = make_jars(monkeypatch, tmp_path / "mirror")
    paths = ensure_delta_jars(tmp_path / "jars")
    assert {path.name: path.read_bytes() for path in paths} == content
    monkeypatch.setenv("DEFAULT_ARTIFACT_REPOSITORY", (tmp_path / "gone").as_uri())
    assert ensure_delta_jars(tmp_path / "jars") == paths


def test_without_a_mirror_the_repository_is_the_one_that_spark_asks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert re.fullmatch(r"https://\S+/maven2/", jars.spark_repository())
    content = make_jars(monkeypatch, tmp_path / "mirror")
    monkeypatch.delenv("DEFAULT_ARTIFACT_REPOSITORY")
    monkeypatch.setattr(jars, "spark_repository", (tmp_path / "mirror").as_uri)
    paths = ensure_delta_jars(tmp_path / "jars")
    assert {path.name: path.read_bytes() for path in paths} == content


def test_spoilt_jar_is_fetched_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = make_jars(monkeypatch, tmp_path / "mirror")
    spoilt = ensure_delta_jars(tmp_path / "jars")[1]
    spoilt.write_bytes(b"sec")
    ensure_delta_jars(tmp_path / "jars")
    assert spoilt.read_bytes() == content[spoilt.name]


def test_jar_of_other_content_is_refused_and_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_jars(monkeypatch, tmp_path / "mirror")
    (tmp_path / "mirror" / jars.DELTA_JARS[0].path).write_bytes(b"a page that asks to log in")
    with pytest.raises(UsageError, match="is not the expected archive"):
        ensure_delta_jars(tmp_path / "jars")
    assert not list((tmp_path / "jars").glob("*.jar"))


def test_jar_put_there_by_hand_is_taken_without_a_repository(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    content = make_jars(monkeypatch, tmp_path / "mirror")
    monkeypatch.setenv("DEFAULT_ARTIFACT_REPOSITORY", (tmp_path / "gone").as_uri())
    (tmp_path / "jars").mkdir()
    for name, data in content.items():
        (tmp_path / "jars" / name).write_bytes(data)
    assert [path.name for path in ensure_delta_jars(tmp_path / "jars")] == list(content)


def test_unreachable_repository_ends_in_one_line_without_its_password(tmp_path: Path) -> None:
    variables = {
        "DEFAULT_ARTIFACT_REPOSITORY": "gopher://user:secret@localhost/maven",
        "PROMOTED_CTR_HOME": str(tmp_path),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "jobs.setup.jars"],
        cwd=project_root(),
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == ExitCode.USAGE
    (line,) = ended.stderr.splitlines()
    assert "DEFAULT_ARTIFACT_REPOSITORY" in line
    assert "secret" not in line


def test_a_user_id_without_a_name_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    check_user()
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)
    with pytest.raises(UsageError, match=r"user id 2147483641 has no name.*/etc/passwd"):
        check_user()


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("PROMOTED_CTR_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(UsageError, match="set PROMOTED_CTR_HOME"):
        jars.default_directory()


def test_an_argument_that_the_locale_cannot_read_is_told() -> None:
    check_readable(["run", "--landing", "/data/ü"])
    with pytest.raises(UsageError, match="LC_ALL"):
        check_readable(["run", "--landing", b"/data/\xfc".decode("ascii", "surrogateescape")])


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_a_terminal_cannot_show_does_not_stop_a_command(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "landing ü ✓").mkdir()
    called = subprocess.run(
        [sys.executable, "-m", "jobs", "config", "--landing", str(tmp_path / "landing ü ✓")],
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"},
        capture_output=True, check=False,
    )  # fmt: skip
    assert (called.returncode, called.stderr) == (0, b"")
    assert b"landing " in called.stdout
