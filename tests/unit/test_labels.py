"""Which clicks count for an impression, and which traffic no person made."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipelines.logs.labels import LabelRules, bursts, first_clicks, label_impressions
from tests.support.rows import DAY, arrow_rows, later

NOON, EVENING = later(DAY, hours=12), later(DAY, hours=23)
NEXT = DAY + timedelta(days=1)
TICK = timedelta(microseconds=1)
RULES = LabelRules(
    click_window_hours=24,
    cutoff_hours=2,
    max_clicks_per_user_and_listing=2,
    max_clicks_per_user=5,
    nobody=("-", "null"),
    max_user_share=0.2,
    max_user_impressions=100,
)
# Name, time of the impression, times of its clicks, the delay that must be told.
CASES = [
    ("without", NOON, [], None),
    ("at_once", NOON, [NOON], 0),
    ("before", NOON, [NOON - TICK], None),
    ("seconds_are_whole", NOON, [NOON + timedelta(seconds=2, microseconds=999_999)], 2),
    ("first_of_several", NOON, [NOON + timedelta(seconds=s) for s in (90, 30, 60)], 30),
    ("first_in_time", NOON, [NOON - TICK, NOON + timedelta(seconds=9)], 9),
    ("next_day_in_time", EVENING, [later(NEXT, minutes=90)], 9000),
    ("last_before_cut_off", EVENING, [later(NEXT, hours=2) - TICK], 10_799),
    ("at_cut_off", EVENING, [later(NEXT, hours=2)], None),
    ("early_and_late", EVENING, [later(NEXT, hours=9), later(NEXT, hours=1)], 7200),
]
CLICK_WINDOW = [
    ("at_the_end_of_the_window", NOON, [NOON + timedelta(hours=3)], 10_800),
    ("after_the_window", NOON, [NOON + timedelta(hours=3) + TICK], None),
]


# When an impression of another day was shown and clicked, in time to count if it were of this day.
OTHER_DAYS = [
    (later(DAY, minutes=-1), later(DAY, minutes=30)),
    (later(NEXT, minutes=30), later(NEXT, minutes=60)),
]


def a_click(name, number, shown_at, at):
    return {
        "click_id": f"{name}/{number}", "impression_id": name, "ts": at, "ds": at.date(),
        "impression_ts": shown_at, "impression_ds": shown_at.date(),
    }  # fmt: skip


def tables(cases):
    """The day's impressions, and all clicks of the day and the next, in which its ids recur."""
    shown = [{"impression_id": name, "ts": at, "ds": DAY} for name, at, *_ in cases]
    clicks = [
        a_click(name, number, shown_at, time)
        for name, at, times, _ in cases
        for number, (shown_at, time) in enumerate([*((at, time) for time in times), *OTHER_DAYS])
    ]
    return arrow_rows("impressions", shown), arrow_rows("clicks", clicks)


@pytest.mark.parametrize(("cases", "window"), [(CASES, 24.0), (CLICK_WINDOW, 3.0)])
def test_the_first_click_in_time_labels_an_impression(cases, window):
    impressions, clicks = tables(cases)
    rules = replace(
        RULES, click_window_hours=window, max_clicks_per_user_and_listing=99, max_clicks_per_user=99
    )
    first = first_clicks(clicks, DAY, rules)
    rows = label_impressions(impressions, first, bursts(first, rules)).to_pylist()
    assert {r["impression_id"]: r["click_delay_s"] for r in rows} == {
        name: delay for name, _, _, delay in cases
    }
    assert len(rows) == len(cases)
    assert all(r["clicked"] == (r["click_delay_s"] is not None) for r in rows)
    assert all(r["is_valid_traffic"] for r in rows)


def test_clicks_on_impressions_of_other_days_are_no_burst_of_this_day():
    clicks = [a_click(f"i{k}", 0, *OTHER_DAYS[k % 2]) for k in range(20)]
    own = [a_click("own", k, NOON, later(DAY, hours=13)) for k in range(2)]
    first = first_clicks(arrow_rows("clicks", [*clicks, *own]), DAY, RULES)
    assert first["impression_id"].to_pylist() == ["own"]
    assert len(bursts(first, RULES)) == 0


def test_bursts_on_a_listing_and_over_all_listings_are_flagged_where_they_are():
    shown = []
    for user, listing, count in (
        ("one", "l1", 3), ("one", "l2", 2), ("all", "l1", 2), ("all", "l2", 2), ("all", "l3", 2),
        ("good", "l1", 2), (None, "l1", 9),
    ):  # fmt: skip
        shown += [(f"{user}/{listing}/{k}", user, listing) for k in range(count)]
    views = [("one/view", "one", "l1"), ("all/view", "all", "l9"), ("good/view", "good", "l9")]
    impressions = arrow_rows(
        "impressions",
        [{"impression_id": i, "user_id": u, "listing_id": at} for i, u, at in shown + views],
    )
    clicks = arrow_rows(
        "clicks",
        [
            {"click_id": f"{i}{k}", "impression_id": i, "user_id": u, "listing_id": at}
            for i, u, at in shown
            for k in range(2)  # the second click of an impression is no second one
        ],
    )
    first = first_clicks(clicks, DAY, RULES)
    invalid = bursts(first, RULES)
    assert invalid.users.to_pylist() == ["all"]
    assert len(invalid) == 2
    rows = label_impressions(impressions, first, invalid).to_pylist()
    flagged = {r["impression_id"] for r in rows if not r["is_valid_traffic"]}
    assert flagged == {i for i, u, at in shown + views if (u, at) == ("one", "l1") or u == "all"}
    assert len(rows) == len(shown + views)
