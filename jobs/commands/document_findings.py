"""The text of docs/findings.md: what checks find, by which of them, and what to do about it."""

from __future__ import annotations

from jobs.planning.checks import listed_causes
from jobs.planning.own_quality import rules_of
from jobs.setup.environment import conf_directory
from pipelines.quality.findings import SEVERITIES

INTRO = """# Findings

What the checks that come with the project may find, from where logs land to what is served. Failed
checks of a day that share a cause are one finding and one alert; where one cause explains another,
the other is told with it. [quality.md](quality.md) says how checks judge."""


def findings_document(notice: str) -> str:
    """Describe every cause: the checks that find it, what else it explains, the next step."""
    conf = conf_directory()
    parts = [INTRO, notice]
    found_by: dict[str, list[str]] = {}
    for table, rules in rules_of(conf / "quality").items():
        for rule in rules.rule:
            if rule.cause and rule.severity in SEVERITIES:
                check = f"- `{table}.{rule.name}` ({rule.severity}). {rule.why}"
                found_by.setdefault(rule.cause, []).append(check)
    for cause, what in listed_causes(conf).items():
        parts.append(f"## {cause[0].upper()}{cause[1:]}")
        parts.append(f"**What to do.** {what.do}")
        if what.explains:
            parts.append(f"Explains: {'; '.join(what.explains)}.")
        checks = found_by.get(cause, ["- gates of `publish_scores` (block), see operations.md"])
        parts.append("Found by\n\n" + "\n".join(checks))
    return "\n\n".join(parts) + "\n"
