"""Reports on their way to an object store."""

from __future__ import annotations

from pathlib import Path

import obstore
import pytest
from obstore.store import MemoryStore

from jobs.reporting import report_folder
from jobs.reporting.pages import write_page
from jobs.reporting.report_folder import has_report, reports_at_hand
from jobs.setup.config_layers import load_config
from jobs.setup.exits import UsageError
from tests.support.rows import DAY


def test_a_report_that_was_not_sent_to_its_end_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, sent = MemoryStore(), []
    config = load_config(settings=["storage.reports='s3://bucket/reports'"], environment={})
    monkeypatch.setattr(report_folder, "open_store", lambda _: store)
    put = obstore.put

    def put_one(to: MemoryStore, name: str, content: bytes, **more: object) -> None:
        if sent:
            raise OSError("the connection is gone")
        sent.append(name)
        put(to, name, content)

    def write() -> None:
        with reports_at_hand(config) as local:
            for ending in ("html", "json"):
                write_page(Path(local.storage.reports) / f"{DAY}.{ending}", "text")

    monkeypatch.setattr(obstore, "put", put_one)
    with pytest.raises(UsageError):
        write()
    assert sent
    assert not has_report(config, DAY)
    monkeypatch.setattr(obstore, "put", put)
    write()
    assert has_report(config, DAY)
