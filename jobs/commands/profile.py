"""Draft a rule file for a table from what its last days hold."""

from __future__ import annotations

import argparse
import re
import tomllib
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.commands.arguments import iso_date
from jobs.planning.any_checks import find_table
from jobs.planning.own_quality import rules_for
from jobs.planning.record import now
from jobs.setup.config import Config
from jobs.setup.exits import ExitCode, InputMissing, UsageError
from jobs.storage.any_table import AnyTable
from jobs.storage.tables import Tables
from pipelines.quality.any_rows import judge_rows
from pipelines.quality.drafts import Draft
from pipelines.quality.profiling import draft, file_text
from pipelines.quality.rule_files import load_rules
from schemas.catalog import TABLES

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset
    from rich.console import Console

EXAMPLES = """examples:
  promoted-ctr profile listings --output rules/listings.toml
  promoted-ctr profile /data/prices --keys article,shop --output prices.toml
  promoted-ctr check --table /data/prices --rules prices.toml

The file holds on the days that were measured; read it before it judges others."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Own flags of the command ``profile``."""
    parser.epilog = EXAMPLES
    parser.add_argument("table", metavar="TABLE", help="a stored table, or the address of any")
    parser.add_argument(
        "--days", type=int, default=14, metavar="N", help="days that are measured (default 14)"
    )
    parser.add_argument(
        "--date", type=iso_date, metavar="D", help="the last of them; default: newest"
    )
    parser.add_argument("--day-column", metavar="COLUMN", help="its days; default: ds, if there")
    parser.add_argument(
        "--keys", default="", metavar="A,B", help="columns that no two rows of a day share"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="where the draft goes; default: printed"
    )
    parser.add_argument("--force", action="store_true", help="write over a file that is there")


def run(arguments: argparse.Namespace, config: Config, tables: Tables, console: Console) -> int:
    """Draft a rule file."""
    output: Path | None = arguments.output
    if arguments.days < 1:
        raise UsageError("--days needs at least one day")
    if output is not None and output.exists() and not arguments.force:
        raise UsageError(f"{output} is there: take another --output, or --force")
    text = draft_file(
        tables, config, arguments.table,
        days=arguments.days, last=arguments.date, day_column=arguments.day_column,
        keys=[key.strip() for key in arguments.keys.split(",") if key.strip()],
    )  # fmt: skip
    if output is None:
        console.print(text, markup=False, highlight=False, soft_wrap=True, end="")
        return ExitCode.DONE
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise UsageError(f"cannot write {output}: {problem.strerror}") from None
    count = len(tomllib.loads(text)["rule"])
    console.print(f"wrote {output}: {count} rules", markup=False, highlight=False, soft_wrap=True)
    return ExitCode.DONE


def draft_file(
    tables: Tables,
    config: Config,
    named: str,
    *,
    days: int,
    last: date | None,
    day_column: str | None,
    keys: list[str],
) -> str:
    """Draft the rule file of a table.

    Returns
    -------
    str
        TOML that loads as it is, and whose rules hold on the days it was drafted from.
    """
    table = find_table(tables, named, day_column)
    if unknown := [key for key in keys if key not in table.columns]:
        raise UsageError(f"--keys: {named} has no column {', '.join(unknown)}")
    name = table.name or re.sub(r"\W+", "_", Path(named).stem)
    known = rules_for(config).get(table.name)
    taken = [rule.name for rule in known.rule] if known else []
    keys = [key for key in TABLES[name].keys if key != table.day_column] if table.name else keys
    said_keys = [] if table.name else keys
    rows, sql = _last_days(table, days, last)
    drafts = draft(rows, name, keys, day=sql, day_column=table.day_column, taken=taken)
    content = tomllib.loads(file_text(drafts, [], name, said_keys))
    (rules,) = load_rules({name: content}, None if table.name else table.columns).values()
    judged = judge_rows(
        rules, rows, sql,
        last=now().date(), min_history_days=config.quality.min_history_days, run_id="", now=now(),
    )  # fmt: skip
    broken = {
        r.check for results in judged.values() for r in results if r.status not in ("PASS", "SKIP")
    }
    head = _head(table, sorted(judged), [made for made in drafts if made.name in broken])
    kept = [made for made in drafts if made.name not in broken]
    return file_text(kept, head, name, said_keys)


def _last_days(table: AnyTable, days: int, last: date | None) -> tuple[Dataset, str]:
    if not table.day_column:
        return table.rows, f"DATE '{now().date()}'"
    last = last or table.newest_day()
    rows = table.between(last - timedelta(days=days - 1), last)
    if not rows.count_rows():
        raise InputMissing(f"{table.address} has no row in the {days} days to {last}")
    return rows, table.day_sql


def _head(table: AnyTable, days: list[date], broken: list[Draft]) -> list[str]:
    span = f"{len(days)} days, {days[0]} .. {days[-1]}" if table.day_column else "all rows"
    lines = [
        f"Drafted from {span}, of {Path(table.address).name}.",
        "Every rule holds on them; bounds leave room around what was measured. All of them warn:",
        "severity `block` stops a run, `quarantine` and `info` are the others (docs/rules.md).",
    ]
    if broken:
        names = ", ".join(made.name for made in broken)
        lines.append(f"Left out, for they do not hold on each of these days: {names}.")
    return lines
