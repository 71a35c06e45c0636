"""DuckDB over Arrow, for rules that anybody may have written: it reaches no file and no network."""

from __future__ import annotations

import duckdb


def connect() -> duckdb.DuckDBPyConnection:
    """A database in memory that knows only what it is handed."""
    return duckdb.connect(config={"enable_external_access": "false"})
