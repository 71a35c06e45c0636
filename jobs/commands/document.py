"""Write tables.md, flow.md, rules.md, findings.md and reference.md of docs from the declarations.

``python -m jobs.commands.document``. They are never edited by hand; a test holds them against
what this writes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from jobs import FLOW, WRITER, Job, Read
from jobs.commands.document_findings import findings_document
from jobs.commands.document_reference import cell, reference_document
from jobs.commands.document_rules import rules_document
from jobs.planning.passing import PASSING
from jobs.setup.environment import project_root
from jobs.setup.exits import ExitCode
from schemas.catalog import TABLES
from schemas.table import STAGES, Table

GENERATED = (
    "<!-- Written by `python -m jobs.commands.document`: "
    "change the declarations, not this file. -->"
)

TABLES_INTRO = """# Tables

Every table is a Delta table in a folder of its name under `storage.root`, readable by Spark,
delta-rs, DuckDB and Polars. Dates and times are UTC. `ds` is the log day."""

FLOW_INTRO = """# Flow

Every table's day is a pure function of the days it reads, the configuration and the code.
`promoted-ctr run` makes exactly the days that are missing or were made from other inputs."""


def documents() -> dict[str, str]:
    """Give the text of every generated document, by file name."""
    return {
        "tables.md": tables_document(),
        "flow.md": flow_document(),
        "rules.md": rules_document(GENERATED),
        "findings.md": findings_document(GENERATED),
        "reference.md": reference_document(GENERATED),
    }


def tables_document() -> str:
    """Describe every stored table: grain, keys, constraints, columns."""
    parts = [TABLES_INTRO, GENERATED]
    for stage in STAGES:
        parts.append(f"## {stage.capitalize()}")
        parts += [_table(table) for table in TABLES.values() if table.stage == stage]
    return "\n\n".join(parts) + "\n"


def flow_document() -> str:
    """Describe every job: what it reads and writes, and what makes its days outdated."""
    parts = [FLOW_INTRO, GENERATED, _diagram()]
    parts += [_job(number, job) for number, job in enumerate(FLOW, start=1)]
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    lines = [f"### {table.name}", "", f"One row per {table.grain}."]
    facts = [
        f"Key: {_code(table.keys)}." if table.keys else "No key.",
        f"Partitioned by {_code(table.partition_by)}."
        if table.partition_by
        else "Not partitioned.",
        f"Older versions are kept for {table.retention_days} days." if table.name in WRITER else "",
        "Upkeep lets go of days further back than `storage.passing_days`."
        if table.name in PASSING
        else "",
        f"Written by [{WRITER[table.name]}](flow.md#{WRITER[table.name]})."
        if table.name in WRITER
        else "Written by the runner.",
    ]
    lines += [" ".join(fact for fact in facts if fact), ""]
    lines += ["| column | type | null | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{c.name}` | {c.type.simpleString()} | {'yes' if c.nullable else 'no'} "
        f"| {cell(c.comment)} |"
        for c in table.columns
    ]
    if table.constraints:
        lines += ["", "Constraints enforced by the table:", ""]
        lines += [f"- `{name}`: `{sql}`" for name, sql in table.constraints.items()]
    return "\n".join(lines)


def _job(number: int, job: Job) -> str:
    text = job.what[0].upper() + job.what[1:]
    lines = [f"## {job.name}", "", f"Step {number}, stage {job.stage}. {text}.", ""]
    if job.reads:
        lines += ["| reads | days |", "|---|---|"]
        lines += [f"| {_link(read.table)} | {days_read(read)} |" for read in job.reads]
        lines += [""]
    else:
        lines += ["Reads the landing files through the source.", ""]
    written = ", ".join(_link(name) for name in job.writes)
    lines += [f"Writes {written}." if written else "Writes no table: its record is in `runs`."]
    sections = ", ".join(f"`[{name}]`" for name in job.sections)
    lines += ["", f"Made again when one of these changes: {sections} of the configuration, the days"
              f" read, or the output version (now {job.output_version})."]  # fmt: skip
    return "\n".join(lines)


def days_read(read: Read) -> str:
    """Say which days of a table a job reads for day ds.

    >>> days_read(Read("clicks", end=1, kind="head"))
    'ds+1, only the rows before the label cut-off'
    >>> days_read(Read("entity_counts", 3, end=-1))
    'ds-3 to ds-1'
    """
    last = _offset(read.end)
    if read.kind == "anchor":
        return "the day of the last refit"
    if isinstance(read.window, str):
        days = f"`{read.window}` days to {last}"
    elif read.window == 1:
        days = last
    else:
        days = f"{_offset(read.end - read.window + 1)} to {last}"
    if read.kind == "head":
        days += ", only the rows before the label cut-off"
    return days + (", where there are any" if read.optional else "")


def _offset(days: int) -> str:
    return f"ds{days:+d}" if days else "ds"


def _diagram() -> str:
    lines = ["```mermaid", "flowchart TD"]
    for stage in STAGES:
        jobs = [job for job in FLOW if job.stage == stage]
        if jobs:
            lines += [f"  subgraph {stage}", *(f"    {job.name}" for job in jobs), "  end"]
    edges = dict.fromkeys(
        (WRITER[read.table], job.name, read.table)
        for job in FLOW
        for read in job.reads
        if WRITER[read.table] != job.name
    )
    lines += [f"  {writer} -- {table} --> {reader}" for writer, reader, table in edges]
    return "\n".join([*lines, "```"])


def _link(table: str) -> str:
    return f"[`{table}`](tables.md#{table})"


def _code(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def arg_parser() -> argparse.ArgumentParser:
    """Command line of the module."""
    parser = argparse.ArgumentParser(prog="python -m jobs.commands.document", allow_abbrev=False)
    parser.description = "Write the generated documents of docs from the declarations."
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if they differ")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Write the documents, or say which of them differ from the declarations."""
    arguments = arg_parser().parse_args(argv)
    folder = project_root() / "docs"
    stale = [
        name
        for name, text in documents().items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]
    if arguments.check:
        for name in stale:
            print(f"docs/{name} differs from the declarations: python -m jobs.commands.document")
        return ExitCode.UNEXPECTED if stale else ExitCode.DONE
    folder.mkdir(exist_ok=True)
    for name in stale:
        (folder / name).write_text(documents()[name], encoding="utf-8")
        print(f"wrote docs/{name}")
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
