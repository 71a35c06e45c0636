"""Checks of any Delta or Parquet table by a rule file: nothing is recorded."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.planning.own_quality import rule_file
from jobs.planning.record import now
from jobs.setup.config import Config
from jobs.setup.exits import InputMissing, UsageError
from jobs.storage.any_table import AnyTable, open_table
from jobs.storage.tables import Tables
from pipelines.quality.any_rows import judge_rows
from pipelines.quality.comparison_rules import CompareRule, ComparisonRule
from pipelines.quality.own_rules import joined
from pipelines.quality.results import QualityResult
from pipelines.quality.rule_files import RuleError, TableRules, load_rules
from schemas.catalog import TABLES

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset


def check_any(
    tables: Tables,
    config: Config,
    file: Path,
    address: str | None,
    *,
    day: date | None,
    day_column: str | None,
    run_id: str,
) -> tuple[str, list[QualityResult]]:
    """Check a day of a table.

    Parameters
    ----------
    address : str or None
        Of the table, or the name of a stored one; by default the name that the file says.
    day : date or None
        By default the newest; a table without days is one batch.

    Returns
    -------
    str
        The table's name.
    list of QualityResult
        In the order of the rules.

    Raises
    ------
    UsageError
        The file is no rule file for this table.
    InputMissing
        There is no such table, or no row of the day.
    """
    content = rule_file(file)
    table = find_table(tables, address or str(content.get("table", "")), day_column)
    rules = _rules(file, content, table)
    judged_day, rows, day_sql = _rows(config, rules, table, day)
    judged = judge_rows(
        rules, rows, day_sql,
        last=judged_day, min_history_days=config.quality.min_history_days, run_id=run_id, now=now(),
    )  # fmt: skip
    if judged_day not in judged:
        raise InputMissing(f"{table.address} has no row of {judged_day}")
    return rules.table, judged[judged_day]


def find_table(tables: Tables, named: str, day_column: str | None) -> AnyTable:
    """Open a stored table by its name, or any table by its address."""
    if named in TABLES and not Path(named).exists():
        if not tables.exists(named):
            raise InputMissing(f"there is no table {named} in {tables.root}")
        return replace(open_table(tables.path(named), day_column), name=named)
    if not named:
        raise UsageError("which table? give its address with --table")
    return open_table(named, day_column)


def _rules(file: Path, content: dict[str, object], table: AnyTable) -> TableRules:
    # The keys of our own tables are declared.
    columns = None if table.name and table.name == content.get("table") else table.columns
    try:
        (rules,) = load_rules(joined({}, {str(file): content}), columns).values()
    except RuleError as problem:
        raise UsageError(f"quality rules: {problem}") from None
    return rules


def _rows(
    config: Config, rules: TableRules, table: AnyTable, day: date | None
) -> tuple[date, Dataset, str]:
    """The day, the rows that judging it needs, and the SQL of a row's day."""
    if not table.day_column:
        if day is not None:
            raise UsageError(f"{table.address} has no column ds: name its days with --day-column")
        batch = now().date()
        return batch, table.rows, f"DATE '{batch}'"
    day = day or table.newest_day()
    # Only rules about earlier days need those.
    compares = any(
        isinstance(rule, ComparisonRule) and not isinstance(rule, CompareRule)
        for rule in rules.rule
    )
    first = day - timedelta(days=config.quality.history_days) if compares else day
    return day, table.between(first, day), table.day_sql
