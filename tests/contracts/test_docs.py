"""The generated documents are what the declarations generate."""

from pathlib import Path

import pytest

from jobs import Read
from jobs.commands.document import days_read, documents, main
from jobs.setup.exits import ExitCode

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", sorted(documents()))
def test_the_document_is_what_the_declarations_generate(name):
    stored = (DOCS / name).read_text(encoding="utf-8")
    assert stored == documents()[name], "run: python -m jobs.commands.document"


def test_check_tells_by_its_exit_code():
    assert main(["--check"]) == ExitCode.DONE


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (Read("t"), "ds"),
        (Read("t", 7), "ds-6 to ds"),
        (Read("t", 3, end=-1), "ds-3 to ds-1"),
        (Read("t", "history.window_days", end=-1), "`history.window_days` days to ds-1"),
        (Read("t", optional=True), "ds, where there are any"),
    ],
)
def test_look_back_is_told_in_days(read, text):
    assert days_read(read) == text
