"""User ids that are nobody's: what a site writes where it does not know who came."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.logs.labels import LabelRules

_MOST_OF_ITS_CLICKS = 0.5
_TIMES_THE_RATE = 3.0

Frequent = dict[str, int]
"""Impressions of a day by user id."""


def count_frequent(users: pa.ChunkedArray, limit: float, rules: LabelRules) -> Frequent:
    """The user ids that come more often than a limit, and those named as nobody's.

    Parameters
    ----------
    users : pyarrow.ChunkedArray of string
        user_id of any impressions of a day.
    limit : float
        Of a slice of a day, its share of the day's: who is above the day's limit is above that of
        one slice at least.
    """
    counted = pc.value_counts(users.drop_null())
    ids, counts = counted.field("values"), counted.field("counts")
    named = pc.is_in(pc.utf8_lower(pc.utf8_trim(ids, " ")), pa.array(rules.nobody))
    wanted = pc.or_(pc.greater(counts, limit), named)
    return dict(zip(ids.filter(wanted).to_pylist(), counts.filter(wanted).to_pylist(), strict=True))


@dataclass(frozen=True)
class Clicked:
    """Clicked impressions of a day, all of them or one user's.

    Attributes
    ----------
    count : int
    most_on_a_listing : int
    """

    count: int
    most_on_a_listing: int = 0

    @classmethod
    def of(cls, first: pa.Table, user: str) -> Clicked:
        """Those of a user, among rows as of `first_clicks`."""
        own = first.filter(pc.equal(first["user_id"], user))
        most = max(pc.value_counts(own["listing_id"]).field("counts").to_pylist(), default=0)
        return cls(len(own), most)


def is_nobody(
    user: str, shown: int, clicked: Clicked, *, rows: int, clicks: int, rules: LabelRules
) -> bool:
    """Whether a frequent id is nobody's, rather than a machine's.

    Many people under one id click about as often as all others, and on many listings. A machine
    clicks on one, or far more often: `bursts` are for that.

    Parameters
    ----------
    shown : int
        Impressions of the id.
    clicked : Clicked
        Of the id.
    rows, clicks : int
        Impressions of the day, and how many of them were clicked.
    """
    others = (clicks - clicked.count) / max(rows - shown, 1)
    is_on_one = clicked.most_on_a_listing > rules.max_clicks_per_user_and_listing and (
        clicked.most_on_a_listing > _MOST_OF_ITS_CLICKS * clicked.count
    )
    rate = clicked.count / shown
    is_eager = clicked.count > rules.max_clicks_per_user and rate > _TIMES_THE_RATE * others
    return rules.is_named_nobody(user) or not (is_on_one or is_eager)


def without_nobody(rows: pa.Table, nobody: list[str]) -> pa.Table:
    """The same rows; where the user id is nobody's it is null."""
    if not nobody:
        return rows
    users = rows["user_id"]
    known = pc.if_else(pc.is_in(users, pa.array(nobody, pa.string())), None, users)
    return rows.set_column(
        rows.schema.get_field_index("user_id"), rows.schema.field("user_id"), known
    )
