"""Documents of Great Expectations that are read without a network.

As it writes them they load styles and scripts from eight hosts and a picture that says who reads.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Protocol

from pipelines.plain import finalized

_FETCHED = re.compile(
    r"""<script[^>]+\bsrc=["']https?://[^>]*>\s*</script>
    |<link[^>]+\bhref=["']https?://[^>]*>
    |<img[^>]+\bsrc=["']https?://[^>]*>
    |<link[^>]+favicon[^>]*>
    |<style\b.*?</style>""",
    re.VERBOSE | re.DOTALL,
)
_STATIC = "static"


def offline(page: str, style: str) -> str:
    """Take out of a page all that a browser would fetch, and give it a style of its own."""
    return _FETCHED.sub("", page).replace("</head>", f"<style>{style}</style></head>", 1)


class Judged(Protocol):
    """One expectation of a suite."""

    @property
    def success(self) -> bool:
        """Whether it holds."""


def make_offline(
    written: Path, folder: Path, run: str, suites: Mapping[str, Sequence[Judged]]
) -> None:
    """Move written documents to their place, without what they would fetch, with a first page.

    Parameters
    ----------
    written : pathlib.Path
        As Great Expectations has left them; gone afterwards.
    folder : pathlib.Path
        What was there before is replaced.
    run : str
        Name of the run.
    suites : mapping
        What was judged by the name of the suite.
    """
    from jinja2 import Environment, PackageLoader

    style = resources.files("pipelines.quality").joinpath("templates/data_docs.css").read_text()
    rows = []
    for name, judged in sorted(suites.items()):
        page = next((written / "validations" / name).rglob("*.html"))
        broken = sum(not expectation.success for expectation in judged)
        rows.append((name, len(judged), broken, page.relative_to(written).as_posix()))
    template = Environment(
        loader=PackageLoader("pipelines.quality"),
        autoescape=True,
        finalize=finalized,
        trim_blocks=True,
    ).get_template("data_docs.html.j2")
    index = template.render(run=run, suites=rows, style=style)
    (written / "index.html").write_text(index, encoding="utf-8")
    # Fonts and moving pictures that explain the tool: 5 MB a run.
    shutil.rmtree(written / _STATIC, ignore_errors=True)
    for path in written.glob("*/**/*.html"):
        path.write_text(offline(path.read_text(encoding="utf-8"), style), encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    written.rename(folder)


def prune(folder: Path, keep: int) -> None:
    """Remove all but the newest documents of a folder, whose names sort by day."""
    if not folder.is_dir():
        return
    kept = sorted(path for path in folder.iterdir() if path.is_dir())
    for path in kept[: max(0, len(kept) - keep)]:
        shutil.rmtree(path)
