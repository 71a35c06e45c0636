"""A little made-up traffic: rows of labelled impressions and listings of some days."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta

from tests.support.rows import DAY, Row, later

SHOPS, CATEGORIES = ("s1", "s2", "s3"), ("home > mugs", "home > cups", "toys")
WORDS = ("blue", "red", "mug", "cup", "big")


def listings(day: date, count: int = 8) -> list[Row]:
    """Changes to the base listing; the words, shop and category follow from the number."""
    return [
        {
            "listing_id": f"l{k}",
            "shop_id": SHOPS[k % 3],
            "category": CATEGORIES[k % 2 if k < 6 else 2],
            "title": f"{WORDS[k % 5]} {WORDS[(k * 2) % 5]}",
            "tags": None if k == 1 else [WORDS[(k + 3) % 5]],
            "price": None if k == 2 else 1.5 * k,
            "ds": day,
        }
        for k in range(count)
    ]


def impressions(
    day: date, count: int, *, clicks_seed: int = 0, listing_count: int = 8
) -> list[Row]:
    """Changes to the base labelled impression. Only `clicked` depends on `clicks_seed`."""
    shown = random.Random(f"shown {day}")
    clicked = random.Random(f"clicked {day} {clicks_seed}")
    rows: list[Row] = []
    for k in range(count):
        is_clicked = clicked.random() < 0.25
        rows.append(
            {
                "impression_id": f"{day}/{k}",
                "ts": later(day, minutes=shown.randrange(1440)),
                "surface": shown.choice(("search", "promoted")),
                "user_id": shown.choice(("u1", "u2", "u3", None)),
                "query": shown.choice((None, "blue mug", "red cup", "big")),
                "listing_id": f"l{shown.randrange(listing_count)}",
                "position": shown.randrange(1, 5),
                "device": shown.choice(("mobile", "desktop", None)),
                "attributes": shown.choice((None, {"page_type": "home"})),
                "clicked": is_clicked,
                "click_delay_s": 5 if is_clicked else None,
                "is_valid_traffic": shown.random() > 0.03,
                "ds": day,
            }
        )
    return rows


def days_before(count: int, last: date = DAY) -> Sequence[date]:
    """`count` days that end with `last`, ascending."""
    return [last - timedelta(days=back) for back in range(count - 1, -1, -1)]
