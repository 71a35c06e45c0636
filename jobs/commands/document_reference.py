"""The text of docs/reference.md: settings, encodings with their bands, rule kinds, exit codes."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import get_args

import pyarrow as pa

from jobs.setup.environment import conf_directory
from jobs.setup.exits import MEANINGS
from pipelines.features.batch import Batch
from pipelines.features.encodings import ENCODINGS, PAIR_ENCODINGS
from pipelines.features.tokens import Tokens
from pipelines.quality.rules import Rule

INTRO = """# Reference

Every setting with its default, every encoding with its bands, every kind of rule, every exit code.
`promoted-ctr config` prints what is in force; operations.md says how settings are given."""

_SECTION = re.compile(r"^\[([\w.]+)\]\s*(?:#\s*(.*))?$")
_KEY = re.compile(r"""^("[^"]+"|[\w.-]+)\s*=\s*((?:"[^"]*"|[^#"])*)(?:#\s*(.*))?$""")
_ELSEWHERE = {
    "cross": "the values of several namespaces of one scope together; lists cannot be crossed",
    "shared_words": "the words that query and listing share, one value each",
    "shared_word_count": "how many words query and listing share",
    "usual": "how a row stands to what is usual for its entity and value (joint model, once)",
    "dense": "a number or list of numbers of a listing, standardized (joint model, of listings)",
}
_DAY = date(2026, 1, 10)
_NUMBERS = (-1.0, 0.5, 1.0, 10.0, 100.0, 1000.0)
_AGES = (0, 1, 7, 30, 365)


def reference_document(notice: str) -> str:
    """Describe all that can be set, named or returned."""
    parts = [INTRO, notice, "## Settings", *_settings(), "## Encodings", _encodings()]
    parts += ["## Bands", _bands(), "## Kinds of rules", _kinds(), "## Exit codes", _codes()]
    return "\n\n".join(parts) + "\n"


def _settings() -> list[str]:
    """A table per section of `conf/base`, with what stands beside each default."""
    tables: dict[str, list[str]] = {}
    for path in sorted((conf_directory() / "base").glob("*.toml")):
        section, above = "", ""
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("#"):
                above = f"{above} {line.lstrip('# ')}"
                continue
            if line.startswith("[["):
                section = ""
            elif found := _SECTION.match(line):
                section = found[1]
            elif section and (found := _KEY.match(line)):
                value = found[2].strip()
                shown = f"`{value}`" if not value.endswith(("[", "{")) else "see the file"
                row = f"| `{found[1].strip(chr(34))}` | {shown} | {cell(found[3] or above)} |"
                tables.setdefault(f"{section}` of `conf/base/{path.name}", []).append(row)
            above = ""
    heading = "| setting | default | what it says |\n|---|---|---|\n"
    return [f"### `{name}`\n\n{heading}" + "\n".join(rows) for name, rows in tables.items()]


def _encodings() -> str:
    told = {name: (encode.__doc__ or "").strip() for name, encode in ENCODINGS.items()}
    told |= {name: _ELSEWHERE[name] for name in (*PAIR_ENCODINGS, "cross", "usual", "dense")}
    rows = [f"| `{name}` | {cell(text.splitlines()[0])} |" for name, text in sorted(told.items())]
    return "\n".join(["| encoding | what it makes |", "|---|---|", *rows])


def _bands() -> str:
    """What the encodings of numbers make of some values, by running them."""
    made = []
    for name in ("log_band", "number"):
        values = pa.array([*_NUMBERS, None], pa.float64())
        made.append((name, [*map("{:g}".format, _NUMBERS), "null"], _coded(name, values)))
    end = datetime(_DAY.year, _DAY.month, _DAY.day, 23, tzinfo=UTC)
    created = pa.array([end - timedelta(days=age) for age in _AGES], pa.timestamp("us", "UTC"))
    made.append(("age_band", [f"{age} days" for age in _AGES], _coded("age_band", created)))
    made.append(("hour", ["23:00 UTC"], _coded("hour", created[:1])))
    made.append(("weekday", [f"{_DAY:%A}"], _coded("weekday", pa.array([_DAY]))))
    rows = []
    for name, values_told, codes in made:
        pairs = zip(values_told, codes, strict=True)
        rows.append(f"| `{name}` | {', '.join(f'{value} → {code}' for value, code in pairs)} |")
    edges = (
        "Edges: `log_band` at every half power of two, `age_band` at 1, 2, 4, ... days, "
        "`count_band` at 1, 2, 4, ... impressions of the window, `rate_band` at every quarter step "
        "of the natural logarithm of the smoothed click ratio."
    )
    return "\n".join([edges, "", "| encoding | value → band |", "|---|---|", *rows])


def _coded(name: str, values: pa.Array) -> list[str]:
    days = pa.array([_DAY] * len(values))
    tokens: Tokens = ENCODINGS[name](
        Batch(pa.RecordBatch.from_pydict({"value": values, "ds": days}), {}), ("value",)
    )
    valid = [True] * len(values) if tokens.valid is None else tokens.valid.tolist()
    labels, codes = tokens.labels.to_pylist(), tokens.codes.tolist()
    return [
        str(labels[code]) if is_there else "nothing"
        for code, is_there in zip(codes, valid, strict=True)
    ]


def _kinds() -> str:
    names = [
        str(get_args(k.model_fields["kind"].annotation)[0]) for k in get_args(get_args(Rule)[0])
    ]
    return "[rules.md](rules.md) says what each takes: " + ", ".join(
        f"[`{name}`](rules.md#{name})" for name in names
    )


def _codes() -> str:
    rows = [f"| {int(code)} | {meaning} |" for code, meaning in MEANINGS.items()]
    return "\n".join(["| code | meaning |", "|---|---|", *rows])


def cell(text: str) -> str:
    """A text as a cell of a table: in one line, its bars not taken for those of the table."""
    return " ".join(text.split()).replace("|", "\\|")
