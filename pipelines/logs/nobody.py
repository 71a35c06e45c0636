"""User ids that are nobody's: what a site writes where it does not know who came."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.logs.labels import LabelRules

if TYPE_CHECKING:
    import pyarrow.dataset as ds

_MOST_OF_ITS_CLICKS = 0.5
_TIMES_THE_RATE = 3.0

Frequent = dict[str, int]
"""Impressions of a day by user id."""


def frequent_ids(impressions: ds.Dataset | pa.Table, rows: int, rules: LabelRules) -> Frequent:
    """The user ids that carry more of a day than a person does, and those named as nobody's.

    Parameters
    ----------
    impressions : pyarrow dataset or table
        user_id of all impressions of a day.
    rows : int
        How many these are.

    Returns
    -------
    dict of str to int
        By id, in order.
    """
    with duckdb.connect() as connection:
        connection.register("impressions", impressions)
        found = connection.execute(
            "SELECT user_id, count(*) FROM impressions WHERE user_id IS NOT NULL GROUP BY user_id "
            "HAVING count(*) > $limit OR list_contains($named, lower(trim(user_id))) "
            "ORDER BY user_id",
            {"limit": rules.most_impressions(rows), "named": list(rules.nobody)},
        )
        return dict(found.fetchall())


def nobodys_ids(frequent: Frequent, rows: int, first: pa.Table, rules: LabelRules) -> list[str]:
    """Which frequent ids are nobody's, rather than a machine's.

    Many people under one id click about as often as all others, and on many listings. A machine
    clicks on one, or far more often: `bursts` are for that.

    Parameters
    ----------
    frequent : dict
        As of `frequent_ids`.
    rows : int
        Impressions of the day.
    first : pyarrow.Table
        Clicked impressions of the day, as of `first_clicks`.
    """
    named = set(rules.nobody)
    found = []
    for user, shown in frequent.items():
        clicked = first.filter(pc.equal(first["user_id"], user))
        others = (len(first) - len(clicked)) / max(rows - shown, 1)
        rate = len(clicked) / shown
        most = max(pc.value_counts(clicked["listing_id"]).field("counts").to_pylist(), default=0)
        is_on_one = most > rules.max_clicks_per_user_and_listing and (
            most > _MOST_OF_ITS_CLICKS * len(clicked)
        )
        is_eager = len(clicked) > rules.max_clicks_per_user and rate > _TIMES_THE_RATE * others
        if user.strip().lower() in named or not (is_on_one or is_eager):
            found.append(user)
    return found


def without_nobody(rows: pa.Table, nobody: list[str]) -> pa.Table:
    """The same rows; where the user id is nobody's it is null."""
    if not nobody:
        return rows
    users = rows["user_id"]
    known = pc.if_else(pc.is_in(users, pa.array(nobody, pa.string())), None, users)
    return rows.set_column(
        rows.schema.get_field_index("user_id"), rows.schema.field("user_id"), known
    )
