"""A marketplace of any size, quickly: for measuring cost and memory, not for judging models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.storage.contracts import arrow_schema
from pipelines.days import day_number
from pipelines.splitmix import mix_bits
from schemas.logs import LOGS

FIRST = date(2026, 3, 1)
_PER_REQUEST = 10
_PROMOTED = 4
_DAY_US = 86_400_000_000
_ROW_GROUP = 262_144

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ScaleWorld:
    """How large a day is; users, listings and queries in proportion.

    Attributes
    ----------
    rows : int
        Impressions a day.
    files : int
        Landing files a day of impressions.
    skewed : bool
        A user, a query and a listing with a fifth of the rows each, and half of the rows without
        a user.
    """

    rows: int
    days: int
    files: int = 1
    skewed: bool = False

    @property
    def last(self) -> date:
        """The last day."""
        return FIRST + timedelta(days=self.days - 1)

    def write(self, landing: Path) -> None:
        """Write all days of all logs."""
        for k in range(self.days):
            day = FIRST + timedelta(days=k)
            folders = {log: landing / log / f"ds={day}" for log in LOGS}
            for folder in folders.values():
                folder.mkdir(parents=True)
            _write(self.listings(), "listings", folders["listings"] / "part-0.parquet")
            clicks = []
            for number, (shown, clicked) in enumerate(self.traffic(day)):
                _write(shown, "impressions", folders["impressions"] / f"part-{number}.parquet")
                clicks.append(clicked)
            _write(pa.concat_tables(clicks), "clicks", folders["clicks"] / "part-0.parquet")

    def listings(self) -> pa.Table:
        """The snapshot, the same each day."""
        count = self.rows // 20
        rng = np.random.default_rng(1)
        words = [_named("word", rng.integers(0, 3000, count)) for _ in range(5)]
        category = _category_of(np.arange(count))
        return _canonical(
            "listings",
            count,
            listing_id=_named("l", np.arange(count)),
            shop_id=_named("s", np.arange(count) // 8),
            title=pc.binary_join_element_wise(*words, " "),
            category=pc.binary_join_element_wise(
                _named("top", category // 10), _named("c", category), " > "
            ),
            price=pa.array(np.exp(rng.normal(3, 1, count))),
            quantity=pa.array(np.ones(count, dtype=np.int32)),
            is_promoted=pa.array(np.arange(count) % 2 == 0),
        )

    def traffic(self, day: date) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Impressions and clicks of a day, a file at a time."""
        bounds = np.linspace(0, self.rows, self.files + 1).astype(int)
        for start, end in pairwise(bounds):
            yield self._part(day, int(start), int(end))

    def _part(self, day: date, start: int, end: int) -> tuple[pa.Table, pa.Table]:
        rng = np.random.default_rng([day_number(day), start])
        number = np.arange(start, end)
        request = number // _PER_REQUEST
        place = number % _PER_REQUEST
        # What a page has in common follows from its number, whatever file a row lies in.
        of_page = np.random.default_rng([day_number(day), 1_000_000_007]).random(
            (self.rows // _PER_REQUEST + 1, 2)
        )[request]
        user = (of_page[:, 0] * 0.4 * self.rows).astype(np.int64)
        query = (of_page[:, 1] ** 3 * (self.rows // 50)).astype(np.int64)
        listing = (rng.random(end - start) ** 2 * (self.rows // 20)).astype(np.int64)
        nobody = of_page[:, 0] < 0.2
        if self.skewed:
            nobody = of_page[:, 0] < 0.5
            user = np.where(of_page[:, 0] > 0.8, 7, user)
            query = np.where(of_page[:, 1] > 0.8, 7, query)
            listing = np.where(rng.random(end - start) > 0.8, 7, listing)
        promoted = place < _PROMOTED
        position = np.where(promoted, place, place - _PROMOTED) + 1
        effect = _effect(listing, 11) + 0.5 * _effect(query, 13) + 0.5 * _effect(user, 17)
        logit = -3.2 + 0.6 * effect - 0.25 * (position - 1)
        clicked = rng.random(end - start) < 1 / (1 + np.exp(-logit))
        ts = day_number(day) * _DAY_US + (
            request * (0.99 * _DAY_US / (self.rows // _PER_REQUEST + 1))
        ).astype(int)
        # As long and as hard to compress as ids of the wild.
        ids = _named("", mix_bits(number.astype(np.uint64) + np.uint64(day_number(day) << 40)))
        shown = _canonical(
            "impressions",
            end - start,
            impression_id=ids,
            ts=_times(ts),
            surface=pa.array(["search", "promoted"]).take(pa.array(promoted.astype(int))),
            request_id=_named(f"r{day_number(day)}-", request),
            user_id=pc.if_else(pa.array(nobody), None, _named("u", user)),
            query=_named("query ", query),
            listing_id=_named("l", listing),
            position=pa.array(position.astype(np.int32)),
            device=pa.array(["phone", "desktop"]).take(pa.array(request % 2)),
            country=pa.array(["de", "fr", "us"]).take(pa.array(request % 3)),
        )
        keep = pa.array(np.flatnonzero(clicked))
        taken = ids.take(keep)
        clicks = _canonical(
            "clicks",
            len(taken),
            click_id=pc.binary_join_element_wise("k", taken, ""),
            impression_id=taken,
            ts=_times(ts[clicked] + 20_000_000),
        )
        return shown, clicks


def _effect(number: Ints, salt: int) -> npt.NDArray[np.float64]:
    """A fixed effect in -1 to 1 of each number."""
    mixed = (number * np.int64(2654435761) + salt * 97) % 1_000_003
    return mixed / 500_001.5 - 1.0


def _category_of(listing: Ints) -> Ints:
    return (listing * 31) % 60


def _named(prefix: str, numbers: npt.NDArray[np.integer]) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pa.array(numbers).cast(pa.string()), "")


def _times(micros: Ints) -> pa.Array:
    return pa.array(micros).cast(pa.timestamp("us", "UTC"))


def _canonical(log: str, count: int, **columns: pa.Array) -> pa.Table:
    """All columns of a log; those not given are null."""
    schema = pa.schema([arrow_schema(log).field(column.name) for column in LOGS[log]])
    return pa.table(
        [columns.get(field.name, pa.nulls(count, field.type)).cast(field.type) for field in schema],
        schema=schema,
    )


def _write(table: pa.Table, log: str, path: Path) -> None:
    unique = {f"{log[:-1]}_id", "click_id"}
    dictionary = [name for name in table.column_names if name not in unique]
    pq.write_table(table, path, row_group_size=_ROW_GROUP, use_dictionary=dictionary)
