"""When something wrong becomes an alert, gets worse, and is over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from pipelines.quality.alert_text import MOST_LINES, Surroundings, message, plain, title
from pipelines.quality.alerts import Alert, Change, Judgement, Mute, Problem, settle

DAY = date(2026, 2, 6)
AT = datetime(2026, 2, 7, 4, tzinfo=UTC)


def problem(name: str = "listings.rows", day: int = 0, **changes: Any) -> Problem:
    ds = DAY + timedelta(days=day)
    values = {
        "cause": "listings are missing", "judge": "checks of listings", "first_day": ds, "ds": ds,
        "severity": "ticket", "what": f"{name}: 0, expected >= 1",
    }  # fmt: skip
    return Problem(name=name, **(values | changes))


def said(*wrong: Problem, day: int = 0, undecided: Sequence[str] = ()) -> Judgement:
    return Judgement("checks of listings", DAY + timedelta(days=day), wrong, undecided)


class Book:
    """Alerts that live through several judgements."""

    def __init__(self) -> None:
        self.alerts: dict[str, Alert] = {}
        self.at = AT

    def hear(self, *judgements: Judgement) -> list[str]:
        self.at += timedelta(hours=1)
        changes = settle(self.alerts, judgements, self.at)
        self.alerts |= {change.alert.key: change.alert for change in changes}
        return [change.event for change in changes]


@pytest.fixture
def book() -> Book:
    return Book()


def test_failures_of_one_cause_are_one_alert(book: Book) -> None:
    assert book.hear(said(problem("a"), problem("b"), problem("c"))) == ["opened"]


def test_a_problem_that_lasts_is_one_alert_since_its_first_day(book: Book) -> None:
    book.hear(said(problem()))
    assert book.hear(said(problem(day=1), day=1)) == ["continued"]
    (alert,) = book.alerts.values()
    assert (alert.first_day, alert.ds) == (DAY, DAY + timedelta(days=1))
    assert alert.worst_first[0].first_day == DAY


def test_the_same_news_twice_is_none(book: Book) -> None:
    book.hear(said(problem()))
    assert book.hear(said(problem())) == []


def test_another_check_or_a_higher_severity_is_worse(book: Book) -> None:
    book.hear(said(problem("a")))
    assert book.hear(said(problem("a"), problem("b"))) == ["worsened"]
    assert book.hear(said(problem("a", severity="page"), problem("b"))) == ["worsened"]
    assert book.hear(said(problem("a", severity="page"))) == ["eased"]


def test_a_later_good_day_or_the_day_made_again_resolves(book: Book) -> None:
    book.hear(said(problem()))
    assert book.hear(said(day=1)) == ["resolved"]
    book.hear(said(problem()))
    assert book.hear(said()) == ["resolved"]


def test_an_earlier_good_day_resolves_nothing(book: Book) -> None:
    book.hear(said(problem()))
    assert book.hear(said(day=-1)) == []


def test_what_could_not_be_judged_stays_as_it_is(book: Book) -> None:
    book.hear(said(problem("a")))
    assert book.hear(said(day=1, undecided=["a"])) == []


def test_other_judges_resolve_nothing(book: Book) -> None:
    book.hear(said(problem()))
    assert book.hear(Judgement("checks of clicks", DAY + timedelta(days=1))) == []


def test_what_began_and_ended_in_one_backfill_is_no_news(book: Book) -> None:
    assert book.hear(said(problem()), said(day=1)) == []


def test_a_problem_found_to_have_another_cause_moves_there(book: Book) -> None:
    book.hear(said(problem("a")))
    moved = problem("a", day=1, cause="clicks stopped arriving")
    assert sorted(book.hear(said(moved, day=1))) == ["opened", "resolved"]


def test_what_is_only_recorded_opens_nothing(book: Book) -> None:
    assert book.hear(said(problem(severity="none"))) == []


def test_what_comes_again_is_a_new_alert_with_another_id(book: Book) -> None:
    book.hear(said(problem()))
    first = book.alerts["listings are missing"].alert_id
    book.hear(said(day=1))
    assert book.hear(said(problem(day=2), day=2)) == ["opened"]
    assert book.alerts["listings are missing"].alert_id != first


def test_a_mute_covers_its_pattern_until_its_end() -> None:
    mute = Mute("listings*", AT, "moved")
    assert mute.covers("listings are missing", AT - timedelta(seconds=1))
    assert not mute.covers("listings are missing", AT)
    assert not mute.covers("clicks", AT - timedelta(hours=1))


def test_a_message_is_ten_lines_at_most_however_much_is_wrong() -> None:
    problems = {
        f"p{n}": problem(f"p{n}", severity="page", stops=True, why="w " * 900, what="x\n" * 500)
        for n in range(40)
    }
    alert = Alert("k", "id", "open", AT, DAY, problems)
    text = message(Change("opened", alert), Surroundings(served_day=DAY - timedelta(days=1)))
    assert len(text.splitlines()) <= MOST_LINES
    assert max(map(len, text.splitlines())) <= 240
    assert "consumers read the scores of 2026-02-05" in text
    assert len(title(alert, "opened")) <= 120


@pytest.mark.parametrize("bad", ["\x1b[31m", "\r\nBcc: x", "\x00", "\u202etxt", "\x9b0m", "\u2028"])
def test_control_characters_of_data_reach_nobody(bad: str) -> None:
    text = plain(f"a{bad}b")
    assert text.isprintable()
    assert "\n" not in text
