"""What ``--help`` of each command says."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

from jobs.__main__ import build_parser
from tests.support.world import call

STORED = Path(__file__).parent / "help"
WIDTH = "100"


def help_texts() -> dict[str, str]:
    """Text by command; `promoted-ctr` is the program itself."""
    actions = build_parser()._subparsers
    assert actions is not None
    commands = next(iter(actions._group_actions)).choices
    assert commands is not None
    with patch.dict(os.environ, {"COLUMNS": WIDTH}):
        texts = {name: call([name, "--help"]).out for name in commands}
        return {"promoted-ctr": call(["--help"]).out} | texts


def read_stored() -> dict[str, str]:
    """The stored texts."""
    return {path.stem: path.read_text() for path in sorted(STORED.glob("*.txt"))}
