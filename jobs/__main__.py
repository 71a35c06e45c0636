"""The command line: ``promoted-ctr <command>`` or ``python -m jobs <command>``."""

from __future__ import annotations

import argparse
import gc
import io
import os
import sys
import traceback
from collections.abc import Sequence
from types import ModuleType

from jobs import FLOW, JOBS
from jobs.commands.arguments import Parser, add_common, add_days, effective_config
from jobs.planning.record import code_version
from jobs.setup.environment import check_readable
from jobs.setup.exits import ExitCode, JobError, exit_code_of, leave
from jobs.setup.problems import machine_problem, said_of
from jobs.setup.store_errors import store_cause
from pipelines.plain import one_line

EXAMPLES = """examples:
  promoted-ctr simulate                       write a simulated marketplace to data/landing
  promoted-ctr run                            make and publish the last day that has landed
  promoted-ctr run --date 2026-02-06 --dry-run
  promoted-ctr backfill --start 2026-02-01 --end 2026-02-06
  promoted-ctr scores --limit 10              the best listings of the newest published day
  promoted-ctr check-source my_logs           is my source right?

exit codes: 0 done, 1 unexpected, 2 usage or configuration, 10 stopped by quality (nothing
published), 20 input not there, 30 another run is writing, 99 nothing to do, 143 terminated"""

RUN_EXAMPLES = """examples:
  promoted-ctr run                            the last day that has landed
  promoted-ctr run --date 2026-02-06          one day
  promoted-ctr run --dry-run                  what would be made, and nothing else
  promoted-ctr run --source trivago_2019 --landing /data/trivago --root /data/hotels
  promoted-ctr run --side data/tried --set joint.strength=20
                                              try a setting beside what is published

Makes exactly what is missing or was made from other inputs, configuration or code, up to the
published scores of the day. A day that is done is left alone."""

BACKFILL_EXAMPLES = """examples:
  promoted-ctr backfill --start 2026-02-01 --end 2026-02-06
  promoted-ctr backfill --start 2026-02-01 --end 2026-02-06 --dry-run

The steps up to the predictions take the whole range at once. A backfill that was stopped goes on
where it stopped: days that are made and up to date are left alone."""


def build_parser(command: str | None = None) -> Parser:
    """The command line.

    Parameters
    ----------
    command : str, optional
        The command that is called: only its module is imported, for its own flags.
    """
    parser = Parser(
        prog="promoted-ctr",
        description="Click probabilities for promoted listings, every day, with their proof.",
        epilog=EXAMPLES,
    )
    parser.add_argument("--version", action="version", version=f"promoted-ctr {code_version()}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)

    def add(name: str, text: str, epilog: str | None = None) -> Parser:
        made: Parser = commands.add_parser(name, help=text, description=text, epilog=epilog)
        return made

    run = add("run", "make and publish a day, or a range of days", RUN_EXAMPLES)
    add_days(run)
    backfill = add("backfill", "make and publish every day of a range", BACKFILL_EXAMPLES)
    add_days(backfill, needs_range=True)
    for name, text in (
        ("simulate", "write the landing files of a simulated marketplace"),
        ("check-source", "check a source without running the chain"),
        ("compare", "compare a side warehouse with the main one, on the same rows"),
        ("scores", "show scores: the top listings, or why one listing has its number"),
        ("features", "show the joint model's namespaces and what each is worth"),
        ("export", "write one file from which a server scores any request"),
        ("runs", "show the record of runs"),
        ("report", "write the report of a day again"),
        ("quarantine", "show refused rows, and take them in when what was wrong is mended"),
        ("leave-out", "go on without a day whose logs cannot be mended, or take it back"),
        ("publish", "list publications; publish a day as it was, or what a gate refused"),
        ("unpublish", "take a day's scores back; consumers go back to the day before"),
        ("maintain", "merge small files, sum up logs, remove what no promise needs any more"),
        ("mend", "find damaged tables, and go back to what is whole of them"),
        ("unlock", "say who writes to a warehouse; take the lease from a run that is gone"),
        ("alerts", "show alerts and act on them: acknowledge, mute, test, raise, late"),
        ("profile", "draft a rule file from what a table's last days hold"),
        ("check", "check tables by rules: stored ones, or any Delta or Parquet table"),
    ):
        with_flags = add(name, text)
        if name == command:
            _module(name).configure(with_flags)
    add("config", "print the effective configuration")
    for job in FLOW:
        one = add(
            job.name,
            job.what,
            f"Makes this job's days only, where its inputs are made. Reads "
            f"{', '.join(sorted({read.table for read in job.reads})) or 'the landing files'}; "
            f"writes {', '.join(job.writes) or 'the record of runs'}.",
        )
        add_days(one)
    for name, chosen in commands.choices.items():
        add_common(chosen)
        if name == command:
            parser.called = name
    return parser


def _module(command: str) -> ModuleType:
    import importlib

    return importlib.import_module(f"jobs.commands.{command.replace('-', '_')}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns
    -------
    int
        Exit code; a problem is told in one line on standard error.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    verbose = "--verbose" in words
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Letters that a terminal's locale has not are no reason to stop.
            stream.reconfigure(errors="replace")
    try:
        check_readable(words)
        command = next((word for word in words if not word.startswith("-")), None)
        return int(_dispatch(build_parser(command).parse_args(words)))
    except JobError as problem:
        if verbose:
            traceback.print_exc()
        print(f"promoted-ctr: {one_line(str(problem))}", file=sys.stderr)
        return int(problem.exit_code)
    except KeyboardInterrupt:
        print("promoted-ctr: interrupted", file=sys.stderr)
        return int(ExitCode.TERMINATED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.DONE)
    except Exception as problem:
        if verbose:
            traceback.print_exc()
        said, code = said_of(problem), exit_code_of(problem)
        if of_machine := machine_problem(problem):
            message = f"{of_machine} ({said})"
        elif of_store := store_cause(problem):
            message = f"object store: {of_store.text}"
        elif code is ExitCode.LOCKED:
            message = f"another run wrote at the same time: {said}"
        else:
            message = f"unexpected {type(problem).__name__}: {said} (--verbose shows the trace)"
        print(f"promoted-ctr: {message}", file=sys.stderr)
        return int(code)


def _dispatch(arguments: argparse.Namespace) -> int:
    from jobs.reporting.terminal import PlainConsole
    from jobs.storage.tables import Tables

    console = PlainConsole(soft_wrap=False)
    config = effective_config(arguments)
    if arguments.print_config or arguments.command == "config":
        console.print_json(config.model_dump_json(), highlight=False)
        return ExitCode.DONE
    name = arguments.command
    if name in ("run", "backfill") or name in JOBS:
        from jobs.commands.run import run

        if arguments.side is not None and not arguments.dry_run:
            from jobs.storage.side import make_side

            beside = argparse.Namespace(**(vars(arguments) | {"side": None}))
            main = effective_config(beside).storage.root
            if make_side(main, arguments.side):
                console.print(f"{arguments.side} shares the days of {main}", highlight=False)
        job = None if name in ("run", "backfill") else name
        return run(arguments, config, console, job=job)
    if name == "simulate":
        from jobs.commands.simulate import run as simulate

        return simulate(arguments, config, console)
    if name == "check-source":
        from jobs.commands.check_source import run as check

        return check(arguments, config, console)
    tables = Tables(config.storage.root)
    return int(_module(name).run(arguments, config, tables, console))


def console() -> None:
    """Entry point of the installed command."""
    # Hardly anything of ours is in cycles; looking for them as often as Python does takes a third
    # of reading some thousand records.
    gc.set_threshold(50_000, 20, 100)
    leave(main())


if __name__ == "__main__":
    console()
