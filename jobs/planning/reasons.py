"""Why a step is due: which input, setting or code is another than what a day was made from.

A fingerprint says only that something is. What went into it is recorded beside it in `details` of
`runs`, short: values of settings as they are, lists and inputs by a digest.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from jobs import Job
from jobs.planning.record import UNKNOWN
from jobs.setup.config import Config
from schemas.catalog import TABLES
from schemas.logs import LOGS

if TYPE_CHECKING:
    from jobs.planning.planner import PlannedStep, Planner

MADE_FROM = "made_from"
"""Detail of a record: as of `made_from`."""
_LONGEST = 40
LANDED_FILES = {log: f"files or SELECT of {log}" for log in LOGS}
"""What landing days are made from, in words."""


def made_from(planner: Planner, job: Job, day: date) -> dict[str, Any]:
    """What a job's day is made from: `code`, `settings` by their names, `inputs` by table."""
    return {
        "code": job.output_version,
        "settings": settings_of(planner.config, job.sections),
        "inputs": {
            table: _short(sorted(values.items()))
            for table, values in _inputs(planner, job, day).items()
        },
    }


def _inputs(planner: Planner, job: Job, day: date) -> dict[str, dict[str, str]]:
    """Digests of what a job's day reads: by table, or landed log, and day."""
    if not job.reads:
        landed = planner.landing_digests(day)
        return {LANDED_FILES[log]: {str(day): value} for log, value in landed.items()}
    found: dict[str, dict[str, str]] = {}
    for read in job.reads:
        of_table = found.setdefault(read.table, {})
        of_table |= {str(at): value for at, value in planner.read_fingerprints(read, day)}
    return found


def settings_of(config: Config, sections: Sequence[str]) -> dict[str, str]:
    """The settings of sections by their dotted names, long ones by a digest."""
    values = config.model_dump(mode="json", include=set(sections))
    return dict(sorted(_flat(values, "")))


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            text = json.dumps(value, sort_keys=True)
            yield f"{prefix}{name}", text if len(text) <= _LONGEST else f"#{_short(text)}"


def _short(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:8]


def why(planner: Planner, step: PlannedStep, planned: Sequence[PlannedStep]) -> list[str]:
    """Why a step is due, the reason of most days first.

    Parameters
    ----------
    planned : sequence of PlannedStep
        The whole plan: an input that is made in it is told as such.
    """
    again = {table: other.job.name for other in planned for table in other.job.writes}
    counted: Counter[str] = Counter()
    for day in step.days:
        counted.update(_of_day(planner, step.job, day))
    # What follows from other steps of the plan is one reason, and the last.
    after = {again[table] for table in counted if table in again}
    told = {
        f"{text}, which it reads, is another" if text in TABLES else text: days
        for text, days in counted.most_common()
        if text not in again
    }
    every = len(step.days)
    reasons = [
        text if days == every else f"{text} ({days} of {every} days)" for text, days in told.items()
    ]
    if len(after) > 1:
        after.discard(step.job.name)
    ordered = [other.job.name for other in planned if other.job.name in after]
    return reasons + ([f"follows {', '.join(dict.fromkeys(ordered))}"] if after else [])


def _of_day(planner: Planner, job: Job, day: date) -> list[str]:
    """Reasons in words, and tables that have changed by their names."""
    record = planner.records.get((job.name, day))
    if record is None:
        is_there = any(day in planner.present.get(table, ()) for table in job.writes)
        return ["to be made again"] if is_there else ["not made yet"]
    if record.fingerprint == UNKNOWN:
        return ["the last attempt was refused, or broke off while it wrote"]
    if record.fingerprint == planner.fingerprint(job.name, day):
        return ["its rows are gone"]
    before = record.details.get(MADE_FROM)
    if before is None:
        return ["made before it was recorded what from"]
    now = made_from(planner, job, day)
    reasons = []
    if before["code"] != now["code"]:
        reasons.append(f"code: output version {before['code']} is {now['code']} now")
    for name in sorted(set(before["settings"]) | set(now["settings"])):
        old, new = (at["settings"].get(name, "not there") for at in (before, now))
        if old != new:
            is_told = not (old + new).count("#")
            reasons.append(f"{name}: {old} is {new} now" if is_told else f"{name} has changed")
    for table in sorted(set(before["inputs"]) | set(now["inputs"])):
        if before["inputs"].get(table) != now["inputs"].get(table):
            reasons.append(_input(table, before["inputs"], now["inputs"]))
    return reasons or ["what was taken in of its refused rows"]


def _input(name: str, before: Mapping[str, str], now: Mapping[str, str]) -> str:
    if name in TABLES:
        return name
    landed = "have landed" if name not in before else "are others"
    return f"{name} {landed if name in now else 'are gone'}"
