"""Command line arguments that several commands share."""

from __future__ import annotations

import argparse
import getpass
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

from jobs.planning.record import code_version
from jobs.setup.config import Config
from jobs.setup.config_layers import load_config
from jobs.setup.exits import UsageError
from jobs.setup.stores import use_options
from jobs.storage.side import main_of


class Parser(argparse.ArgumentParser):
    """A parser that takes no abbreviations and keeps the layout of examples.

    Attributes
    ----------
    called : str
        The command whose flags are meant, of the parser of all commands.
    """

    called = ""

    def __init__(self, *args: object, **kwargs: object) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        kwargs["allow_abbrev"] = False
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]

    def error(self, message: str) -> None:  # type: ignore[override]
        """One clear line instead of the whole usage."""
        asked = f"{self.prog} {self.called}".strip()
        raise UsageError(f"{message}; see {asked} --help")


def iso_date(text: str) -> date:
    """A date of the form 2026-01-31."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date like 2026-01-31") from None


def add_common(parser: argparse.ArgumentParser) -> None:
    """What every command takes: where things are and how it is configured."""
    group = parser.add_argument_group("common options")
    group.add_argument("--root", metavar="DIR", help="where the tables are (storage.root)")
    group.add_argument("--landing", metavar="DIR", help="where raw files land (storage.landing)")
    group.add_argument(
        "--project", metavar="DIR", help="your own settings, rules and sources (storage.project)"
    )
    group.add_argument("--source", metavar="NAME", help="source name or folder (source.name)")
    group.add_argument("--env", metavar="NAME", help="a file of conf/env: dev, test, prod")
    group.add_argument(
        "--conf", metavar="FILE", action="append", default=[], help="more TOML; repeatable"
    )
    group.add_argument(
        "--set",
        metavar="A.B=C",
        dest="settings",
        action="append",
        default=[],
        help="one setting; repeatable, wins over everything",
    )
    group.add_argument(
        "--log-format",
        choices=("auto", "text", "json"),
        default="auto",
        help="auto: a live table of steps on a terminal, lines of text otherwise",
    )
    group.add_argument("--verbose", action="store_true", help="show stack traces")
    group.add_argument(
        "--print-config", action="store_true", help="print the effective configuration and stop"
    )
    if "--version" not in parser._option_string_actions:
        said = f"promoted-ctr {code_version()}"
        group.add_argument("--version", action="version", version=said)


def add_common_of_action(parser: argparse.ArgumentParser) -> None:
    """`add_common` for an action of a command, which takes them before the action too."""
    known = set(parser._actions)
    add_common(parser)
    for option in parser._actions:
        # What stands before the action is not to be undone by defaults after it.
        if option not in known:
            option.default = argparse.SUPPRESS


def user() -> str:
    """Who calls, for the records; empty where the machine does not know."""
    with suppress(Exception):
        return getpass.getuser()
    return ""


def add_days(parser: argparse.ArgumentParser, *, needs_range: bool = False) -> None:
    """Which days to make."""
    if not needs_range:
        parser.add_argument(
            "--date", type=iso_date, metavar="D", help="log day; default: the last that landed"
        )
    for name, metavar, text in (
        ("--start", "A", "first day of a range"),
        ("--end", "B", "last day of it, inclusive"),
    ):
        parser.add_argument(name, type=iso_date, required=needs_range, metavar=metavar, help=text)
    parser.add_argument("--dry-run", action="store_true", help="show the plan, write nothing")
    parser.add_argument("--force", action="store_true", help="make the days again")
    parser.add_argument(
        "--side",
        metavar="DIR",
        help="try it beside the warehouse: shares its unchanged days, tells nobody, see `compare`",
    )
    parser.add_argument("--run-id", metavar="ID", help="name of this run in the records")


def effective_config(arguments: argparse.Namespace) -> Config:
    """The configuration that the arguments ask for."""
    places = {
        "storage.root": arguments.root,
        "storage.landing": arguments.landing,
        "source.name": arguments.source,
        "storage.project": getattr(arguments, "project", None),
    }
    side = getattr(arguments, "side", None)
    if side is not None and arguments.dry_run and not main_of(side):
        # Until it is made it would be what the main one is.
        side = None
    if side is not None:
        # What is tried is read by nobody: it overwrites no report, and no alert goes out.
        places |= {"storage.root": side, "storage.reports": f"{side}/reports"}
    settings = [f"{key}={_quoted(value)}" for key, value in places.items() if value is not None]
    if side is not None:
        settings += ["alerts.routes=[]", 'alerts.metrics=""']
    config = load_config(
        env=arguments.env,
        files=[Path(f) for f in arguments.conf],
        settings=[*arguments.settings, *settings],
    )
    use_options(config.storage.options)
    return config


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def names_days(arguments: argparse.Namespace) -> bool:
    """Whether any day is named."""
    return any(getattr(arguments, name, None) for name in ("date", "start", "end"))


def chosen_days(arguments: argparse.Namespace, last: date | None) -> list[date]:
    """The days asked for; the last complete one where none is named.

    Raises
    ------
    UsageError
        Half a range, a range backwards, or no date where none can be found.
    """
    start, end = arguments.start, arguments.end
    single = getattr(arguments, "date", None)
    if single and (start or end):
        raise UsageError("give --date or --start and --end, not both")
    if bool(start) != bool(end):
        raise UsageError("--start and --end go together")
    if start:
        if end < start:
            raise UsageError(f"--end {end} is before --start {start}")
        return [start + timedelta(days=k) for k in range((end - start).days + 1)]
    day = single or last
    if day is None:
        raise UsageError("no --date given and nothing has landed to take it from")
    return [day]
