"""What somebody outside a run tells: a scheduler, a person, the clock."""

from __future__ import annotations

from datetime import date

from jobs.planning.publications import decision_of
from jobs.reporting.alert_log import AlertLog, read_alerts
from jobs.reporting.alerting import Teller
from jobs.storage.reading import published_days, read_runs
from pipelines.quality.alert_text import plain, title
from pipelines.quality.alerts import SEVERITIES, Alert, Judgement, Problem, Severity

LATE = "publication is late"


def tell_raised(
    teller: Teller, key: str, day: date, what: str, severity: Severity, owner: str = ""
) -> None:
    """Open an alert for what a scheduler has seen, unless a run has told the cause of it.

    Parameters
    ----------
    key : str
        What it is about; the same key is the same alert until it is resolved.
    day : date
        Log day.
    what : str
        What is wrong, in a line.
    """
    if _is_told(teller, key, day, severity):
        return
    problem = Problem(
        cause=key, name=key, judge=f"told {key}", first_day=day, ds=day, severity=severity,
        what=plain(what), owner=owner, stops=True,
        fix=f"see the scheduler's log; promoted-ctr runs --date {day} says how far the day came",
    )  # fmt: skip
    teller.tell([Judgement(problem.judge, day, [problem])])


def tell_resolved(teller: Teller, key: str, day: date) -> None:
    """Tell that what was raised for this day or an earlier one is over."""
    teller.tell([Judgement(f"told {key}", day)])


def tell_late(teller: Teller, day: date) -> None:
    """Page if a day is not published; called at the hour at which it must be."""
    runs = read_runs(teller.tables)
    if day in published_days(runs):
        teller.tell([Judgement("late", day)])
        teller.say(f"{day} is published")
        return
    of_day = [row for row in runs if row["ds"] == day]
    last = of_day[-1] if of_day else None
    why = f"last was {last['job']}, {last['status']}" if last else "nothing was run for it"
    if last and last["details"].get("error"):
        why += f": {plain(str(last['details']['error']))}"
    if last and (decision := decision_of(last["details"])):
        why += f": {decision}"
    teller.say(f"{day} is not published: {why}")
    severity = teller.config.alerts.severity.late
    if _is_told(teller, LATE, day, severity):
        return
    problem = Problem(
        cause=LATE, name=LATE, judge="late", first_day=day, ds=day,
        severity=severity, what=f"no scores are published for {day}; {why}",
        why="consumers go on with older scores", stops=True,
        fix=f"promoted-ctr runs --date {day}; is the scheduler alive, have the logs landed? "
        f"then promoted-ctr run --date {day}",
    )  # fmt: skip
    teller.tell([Judgement("late", day, [problem])])


def _is_told(teller: Teller, key: str, day: date, severity: Severity) -> bool:
    """Whether an open alert says already why a day was stopped; what it owes is sent."""
    same = _covering(read_alerts(teller.tables), key, day, severity)
    if same is None:
        return False
    teller.say(f"already told by alert {same.alert_id}: {title(same, 'opened')}")
    teller.tell([])
    return True


def _covering(log: AlertLog, key: str, day: date, severity: Severity) -> Alert | None:
    rank = SEVERITIES.index
    return next(
        (
            alert
            for alert in log.alerts.values()
            if alert.state == "open" and alert.ds == day and alert.key != key
            if any(problem.stops for problem in alert.problems.values())
            if rank(alert.severity) >= rank(severity)
        ),
        None,
    )
