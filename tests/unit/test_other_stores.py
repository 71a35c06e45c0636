"""A warehouse, landing files and reports in Azure's blob store, as on a local disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import fs

from jobs.__main__ import main
from jobs.setup.exits import ExitCode, LockHeld
from jobs.setup.stores import open_store
from jobs.storage.lease import read_lease
from jobs.storage.lock import WriterLock
from jobs.storage.store_files import open_root
from jobs.storage.tables import Tables
from tests.golden.digests import table_digest
from tests.support.chain import Chain
from tests.support.other_stores import ACCOUNT, azure_store, azurite
from tests.support.races import KINDS, races

BOX = f"abfss://box@{ACCOUNT}.dfs.core.windows.net"


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a container that is reached by the environment."""
    command = azurite()
    if command is None:
        pytest.skip("no azurite-blob on the path, nor named by AZURITE: npm install -g azurite")
    with azure_store(command, tmp_path) as reached:
        for name, value in reached.items():
            monkeypatch.setenv(name, value)
        open_store.cache_clear()
        yield BOX


def test_the_chain_in_azure_gives_the_tables_that_it_gives_on_a_disk(
    chain: Chain, box: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target, path = open_root(f"{box}/landing")
    for file in sorted(chain.landing.rglob("*.parquet")):
        with target.open_output_stream(f"{path}/{file.relative_to(chain.landing)}") as stream:
            stream.write(file.read_bytes())
    words = ["run", "--root", f"{box}/warehouse", "--landing", f"{box}/landing"]
    for setting in (*chain.settings, f"storage.reports='{box}/reports'"):
        words += ["--set", setting]
    days = sorted(chain.tables.days("listing_scores"))
    words += ["--start", str(days[0]), "--end", str(days[-1])]
    assert main(words) in (ExitCode.DONE, ExitCode.QUALITY), capsys.readouterr().err
    stored = type("Stored", (), {"tables": Tables(f"{box}/warehouse")})
    for table in ("listing_scores", "joint_state", "predictions", "quarantine", "listings"):
        assert table_digest(stored, table) == table_digest(chain, table), table
    pages = {
        info.base_name for info in target.get_file_info(fs.FileSelector(f"{path[:-8]}/reports"))
    }
    assert f"{days[-1]}.html" in pages


def test_of_two_writers_in_azure_one_wins_and_one_is_told(box: str) -> None:
    seen = list(races([f"{box}/{k}" for k in range(len(KINDS))]))
    assert [race for race in seen if not race.is_right] == []
    with WriterLock(f"{box}/warehouse", "first") as lock:
        with pytest.raises(LockHeld, match="run first"), WriterLock(f"{box}/warehouse"):
            pass
        lock.confirm()
    assert read_lease(f"{box}/warehouse") is None
