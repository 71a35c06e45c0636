"""The generated documents are what the declarations generate."""

import re
from pathlib import Path

import pytest

from jobs import Read
from jobs.commands.document import days_read, documents, main
from jobs.setup.exits import ExitCode
from tests.contracts.test_imports import ROOMS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# What CHANGELOG.md names may be gone.
WRITTEN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
OURS = ("jobs/", "pipelines/", "schemas/", "conf/", "tests/", "docs/", "requirements/")


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


@pytest.mark.parametrize("document", WRITTEN, ids=lambda path: path.name)
def test_paths_that_a_document_names_are_there(document):
    text = document.read_text(encoding="utf-8")
    named = {path for path in re.findall(r"`([^`\s]+)`", text) if path.startswith(OURS)}
    named |= {path for path in re.findall(r"\]\(([^)#\s]+)\)", text) if "://" not in path}
    known = [document.parent, ROOT]
    assert not [path for path in named if not any(list(folder.glob(path)) for folder in known)]


def test_the_rooms_of_jobs_are_all_in_the_layout():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `jobs/(\w*)/?` \| [^|]+ \| `(\S+)` \|$", text, flags=re.MULTILINE)
    assert [room for room, _ in named] == ["", *ROOMS]
    assert all((ROOT / first).exists() and room in first for room, first in named)
