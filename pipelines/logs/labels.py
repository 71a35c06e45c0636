"""Labels: which impressions were clicked in time, and which no person made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc
from annotated_types import Ge, Gt, Le

from pipelines.days import day_number
from pipelines.parameters import Parameters, Positive
from schemas.logs import LABELED_IMPRESSIONS

_HOUR_US = 3_600_000_000
_NO_TEXT = "\x1f"


def click_cutoff(day: date, hours: int) -> int:
    """When clicks on a day's impressions stop to count, in microseconds since 1970.

    Parameters
    ----------
    hours : int
        After the end of the day.
    """
    return (day_number(day) * 24 + 24 + hours) * _HOUR_US


@dataclass(frozen=True)
class LabelRules(Parameters):
    """What makes a click count, and how much a person clicks.

    Attributes
    ----------
    click_window_hours : float
        A click counts this long after its impression.
    cutoff_hours : int
        Hours after the end of the impression's day from which clicks no longer count.
    max_clicks_per_user_and_listing, max_clicks_per_user : int
        Clicked impressions of a day above which the traffic is not a person's.
    nobody : tuple of str
        User ids that stand for "not known", in small letters.
    max_user_share, max_user_impressions : float, int
        An id with more than both of a day's impressions is not one person's.
    """

    click_window_hours: Positive
    cutoff_hours: Annotated[int, Ge(0), Le(24)]
    max_clicks_per_user_and_listing: Annotated[int, Ge(1)]
    max_clicks_per_user: Annotated[int, Ge(1)]
    nobody: tuple[str, ...]
    max_user_share: Annotated[float, Gt(0), Le(1)]
    max_user_impressions: Annotated[int, Ge(1)]

    def most_impressions(self, rows: int) -> float:
        """Impressions of a day of so many rows above which an id is not one person's."""
        return max(self.max_user_share * rows, self.max_user_impressions)

    def is_named_nobody(self, user: str) -> bool:
        """Whether an id stands for "not known" by its name."""
        return user.strip(" ").lower() in self.nobody

    def cutoff(self, day: date) -> int:
        """When clicks on the day's impressions stop to count, in microseconds since 1970."""
        return click_cutoff(day, self.cutoff_hours)


def clicks_of(clicks: pa.Table, day: date) -> pa.Table:
    """The clicks on impressions of a day, among the clicks of that day and the next."""
    return clicks.filter(pc.equal(clicks["impression_ds"], pa.scalar(day, pa.date32())))


def first_clicks(clicks: pa.Table, day: date, rules: LabelRules) -> pa.Table:
    """The first click that counts of each impression of a day.

    Parameters
    ----------
    clicks : pyarrow.Table
        Columns of `clicks`: those of the day and of the next.

    Returns
    -------
    pyarrow.Table
        One row per clicked impression: impression_id, user_id, listing_id, click_delay_s.
    """
    on_day = clicks_of(clicks, day)
    clicked_at = on_day["ts"].cast(pa.int64())
    delay = pc.subtract(clicked_at, on_day["impression_ts"].cast(pa.int64()))
    counts = pc.and_(
        pc.less(clicked_at, rules.cutoff(day)),
        pc.and_(
            pc.greater_equal(delay, 0),
            pc.less_equal(delay, int(rules.click_window_hours * _HOUR_US)),
        ),
    )
    ids = ["impression_id", "user_id", "listing_id"]
    first = (
        on_day.select(ids)
        .append_column("delay", delay)
        .filter(counts)
        .group_by(ids)
        .aggregate([("delay", "min")])
    )
    seconds = pc.divide(first["delay_min"], 1_000_000).cast(pa.int32())
    return first.select(ids).append_column("click_delay_s", seconds)


@dataclass(frozen=True)
class Bursts:
    """Users who clicked more in a day than a person does.

    Attributes
    ----------
    users : pyarrow.Array of string
        All of whose traffic is meant.
    pairs : pyarrow.Array of string
        Users and listings, as `_pairs` joins them, whose traffic is meant.
    """

    users: pa.Array
    pairs: pa.Array

    def __len__(self) -> int:
        return len(self.users) + len(self.pairs)

    def without(self, users: list[str]) -> Bursts:
        """Those of all other users."""
        left_out = pa.array(users, pa.string())
        of_pairs = [pair.split(_NO_TEXT)[0] for pair in self.pairs.to_pylist()]
        return Bursts(
            self.users.filter(pc.invert(pc.is_in(self.users, left_out))),
            self.pairs.filter(pc.invert(pc.is_in(pa.array(of_pairs, pa.string()), left_out))),
        )


def bursts(first: pa.Table, rules: LabelRules) -> Bursts:
    """Find bursts among a day's clicked impressions, given as of `first_clicks`."""
    known = first.filter(pc.is_valid(first["user_id"]))

    def above(keys: pa.ChunkedArray, limit: int) -> pa.Array:
        counted = pc.value_counts(keys)
        return counted.field("values").filter(pc.greater(counted.field("counts"), limit))

    return Bursts(
        above(known["user_id"], rules.max_clicks_per_user),
        above(_pairs(known), rules.max_clicks_per_user_and_listing),
    )


def _pairs(rows: pa.Table) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(rows["user_id"], rows["listing_id"], _NO_TEXT)


def label_impressions(impressions: pa.Table, first: pa.Table, invalid: Bursts) -> pa.Table:
    """Label impressions of a day, by one definition that is never restated.

    Parameters
    ----------
    impressions : pyarrow.Table
        Columns of `impressions`, any part of a day.
    first : pyarrow.Table
        As of `first_clicks`, of the whole day.

    Returns
    -------
    pyarrow.Table
        Columns of `labeled_impressions`.
    """
    places = pc.index_in(impressions["impression_id"], first["impression_id"].combine_chunks())
    labeled = impressions.append_column("clicked", pc.is_valid(places)).append_column(
        "click_delay_s", first["click_delay_s"].combine_chunks().take(places)
    )
    is_valid = pa.repeat(True, len(impressions))
    if len(invalid):
        is_burst = pc.or_(
            pc.is_in(impressions["user_id"], invalid.users),
            pc.is_in(_pairs(impressions), invalid.pairs),
        )
        is_valid = pc.invert(is_burst)
    return labeled.append_column("is_valid_traffic", is_valid).select(
        list(LABELED_IMPRESSIONS.column_names)
    )
