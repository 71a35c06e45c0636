"""Warehouse, landing files and reports in an object store, as on a local disk."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import obstore
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyarrow import fs

from jobs import FLOW
from jobs.__main__ import main
from jobs.landing.sources import Source
from jobs.planning.runner import Runner
from jobs.setup.config_layers import load_config
from jobs.setup.exits import ExitCode, UsageError
from jobs.setup.session import session_settings
from jobs.setup.stores import open_store
from jobs.storage.published import SCORES, read_scores
from jobs.storage.reading import read_runs
from jobs.storage.tables import Tables
from tests.golden.digests import table_digest
from tests.support.chain import Chain, Silent
from tests.support.local_spark import LocalSpark
from tests.support.object_store import ObjectStore
from tests.support.races import KINDS, races
from tests.unit.conftest import PUBLISHED


def test_the_chain_gives_the_tables_that_it_gives_on_a_disk(
    chain: Chain, reached: ObjectStore
) -> None:
    bucket = reached.bucket()
    target, path = fs.FileSystem.from_uri(f"{bucket}/landing")
    fs.copy_files(str(chain.landing), path, destination_filesystem=target)
    tables = Tables(f"{bucket}/warehouse", LocalSpark)  # type: ignore[arg-type]
    tables.create(["runs"])
    source = Source.load("canonical", f"{bucket}/landing")
    runner = Runner(chain.config, source, tables, "run", Silent())
    assert runner.run([("publish_scores", day) for day in PUBLISHED])
    stored: Any = SimpleNamespace(tables=tables)
    made = [table for job in FLOW for table in job.writes]
    assert made
    for table in made:
        assert table_digest(stored, table) == table_digest(chain, table), table
    assert not runner.run([("publish_scores", day) for day in PUBLISHED])
    go_back_and_forth(tables, chain)


def go_back_and_forth(tables: Tables, like: Chain) -> None:
    """Decide on publications of a warehouse in a store."""
    before, last = PUBLISHED
    at = tables.version(SCORES)
    found = {day: scores_of(like.tables, day) for day in PUBLISHED}

    def decide(*words: str) -> None:
        called = [*words, "--date", str(last), "--reason", "a test", "--root", tables.root]
        assert main(called) == ExitCode.DONE

    def current() -> list[dict[str, Any]]:
        rows = DeltaTable(f"{tables.root}/current_scores").to_pyarrow_table()
        return in_order(rows.drop_columns(["scores_version"]))

    assert current() == found[last]
    decide("unpublish")
    assert current() == found[before]
    decide("publish", "--version", str(at))
    assert current() == found[last]
    assert scores_of(tables, last) == found[last]
    assert [row["details"]["decision"]["reason"] for row in read_runs(tables)[-2:]] == [
        "a test"
    ] * 2


def scores_of(tables: Tables, day: date) -> list[dict[str, Any]]:
    """The published scores of a day."""
    return in_order(read_scores(tables, ds=day).table)


def in_order(scores: pa.Table) -> list[dict[str, Any]]:
    """Scores, but for the fingerprint: landing files have other times elsewhere."""
    return scores.drop_columns(["run_id"]).sort_by("listing_id").to_pylist()


def test_of_two_writers_of_a_day_one_wins_and_one_is_told(reached: ObjectStore) -> None:
    bucket = reached.bucket()
    seen = list(races([f"{bucket}/{k}" for k in range(2 * len(KINDS))]))
    assert [race for race in seen if not race.is_right] == []
    assert any(ExitCode.LOCKED in race.codes for race in seen)


def test_reports_are_pages_in_the_store_and_nothing_is_left_here(
    chain: Chain,
    reached: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    address = f"{reached.bucket()}/reports"
    store = open_store(address)
    old = "great_expectations/2025-01-01/index.html"
    obstore.put(store, "2025-12-31.html", b"kept")
    obstore.put(store, old, b"beyond what is kept")
    called = ["--root", str(chain.root), "--set", f"storage.reports='{address}'"]
    called += ["--set", "quality.documents_kept=1"]
    copy = chain.duplicate(tmp_path / "copy")
    called[1] = str(copy.root)
    assert main(["report", "--date", str(PUBLISHED[-1]), *called]) == ExitCode.DONE
    day = PUBLISHED[-1]
    said = capsys.readouterr().out.replace("\n", "")
    assert f"report: {address}/{day}.html" in said
    assert f"{address}/great_expectations/{day}/index.html" in said
    page = obstore.get(store, f"{day}.html")
    assert page.attributes["Content-Type"] == "text/html"
    assert b"<html" in bytes(page.bytes())
    names = {found["path"] for batch in obstore.list(store) for found in batch}
    assert {f"{day}.json", "history.html", f"great_expectations/{day}/index.html"} <= names
    assert old not in names
    assert bytes(obstore.get(store, "2025-12-31.html").bytes()) == b"kept"
    assert {path.name for path in tmp_path.iterdir()} == {"copy"}


def test_what_keeps_a_store_from_being_reached_is_said_in_one_line(
    reached: ObjectStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = f"{reached.bucket()}/warehouse"

    def said(address: str = root, *, ends: ExitCode = ExitCode.USAGE, **changed: str | None) -> str:
        with monkeypatch.context() as patched:
            for name, value in changed.items():
                patched.delenv(name) if value is None else patched.setenv(name, value)
            open_store.cache_clear()
            code = main(["run", "--root", address, "--date", "2026-01-01"])
        told = capsys.readouterr().err
        assert code == ends
        assert len(told.splitlines()) == 1
        assert "planted" not in told
        return told

    assert "the bucket is not there" in said("s3://there-is-none/warehouse")
    assert "AWS_ALLOW_HTTP=true" in said(AWS_ALLOW_HTTP=None)
    assert "does not know AWS_ACCESS_KEY_ID" in said(AWS_ACCESS_KEY_ID="wrong")
    assert "AWS_SECRET_ACCESS_KEY is wrong" in said(AWS_SECRET_ACCESS_KEY="wrong")
    nowhere = "http://127.0.0.1:9"
    assert "does not answer" in said(ends=ExitCode.INPUT, AWS_ENDPOINT_URL=nowhere)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("dbfs:/mnt/ctr", "/dbfs/"),
        ("main.ctr", "table of a catalog"),
        ("main.ctr.scores", r"\./main\.ctr\.scores"),
        ("hdfs://name/ctr", "hdfs:// cannot work here: give a local folder, s3://"),
        ("ftp://host/ctr", "cannot work here"),
        ("s3://", "names no bucket"),
        ("s3://key:secret@bucket/ctr", "no credentials here"),
    ],
)
@pytest.mark.parametrize("place", ["root", "reports"])
def test_an_address_that_cannot_work_is_refused_and_no_folder_is_made(
    address: str, said: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said):
        load_config(settings=[f"storage.{place}={address!r}"], environment={})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_SAS_TOKEN"])
def test_credentials_are_refused_in_the_configuration(name: str) -> None:
    with pytest.raises(UsageError, match="belongs into the environment"):
        load_config(settings=[f"storage.options.{name}='x'"], environment={})


def test_spark_is_given_what_reads_s3_beside_what_a_user_adds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jobs.setup.session.ensure_delta_jars", lambda: [Path("/jars/delta.jar")])
    monkeypatch.setattr("jobs.setup.session.ensure_jars", lambda jars: [Path("/jars/aws.jar")])
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    own = "spark.settings.'spark.jars'='/own/jdbc.jar'"
    local = load_config(settings=[own], environment={})
    stored = load_config(settings=[own, "storage.landing='s3a://bucket/logs'"], environment={})
    assert stored.storage.landing == "s3://bucket/logs"
    plain, s3 = (session_settings(config, submitted=False) for config in (local, stored))
    assert plain["spark.jars"] == "/jars/delta.jar,/own/jdbc.jar"
    assert s3["spark.jars"] == "/jars/delta.jar,/jars/aws.jar,/own/jdbc.jar"
    assert s3["spark.hadoop.fs.s3a.endpoint"] == "http://127.0.0.1:1"
    assert "spark.hadoop.fs.s3.impl" not in plain
