"""How often listings were shown in the windows before a day, from the days as simulated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.simulation.calibration import PROMOTED_WINDOW_DAYS, SEARCH_WINDOW_DAYS
from pipelines.simulation.randomness import Ints


class WindowCounts:
    """Search impressions of 14 days and promoted ones of 30 days that end the day before.

    Parameters
    ----------
    listings
        Number of listings in the catalogue.
    truth_path
        Gives the truth file of a day index, which is read when the day was made earlier.
    """

    def __init__(self, listings: int, truth_path: Callable[[int], Path]) -> None:
        self._listings = listings
        self._truth_path = truth_path
        self._counts: dict[int, Ints] = {}

    def add(self, day: int, counts: Ints) -> None:
        """Remember a day's counts, (2, listings): search, promoted."""
        self._counts[day] = counts
        self._counts.pop(day - PROMOTED_WINDOW_DAYS - 1, None)

    def before(self, day: int) -> Ints:
        """Impressions of every listing in the windows before a day index."""
        total = np.zeros(self._listings, np.int64)
        for surface, window in enumerate((SEARCH_WINDOW_DAYS, PROMOTED_WINDOW_DAYS)):
            for past in range(max(day - window, 0), day):
                if past not in self._counts:
                    self._counts[past] = self._read(past)
                total += self._counts[past][surface]
        return total

    def _read(self, day: int) -> Ints:
        columns = ["surface", "listing_id"]
        rows = pq.read_table(self._truth_path(day), columns=columns, partitioning=None)
        digits = pc.utf8_slice_codeunits(rows["listing_id"], len("listing-"))
        listing = pc.cast(digits, pa.int64()).to_numpy()
        is_promoted = pc.equal(rows["surface"], "promoted").to_numpy()
        surfaces = (listing[~is_promoted], listing[is_promoted])
        return np.stack([np.bincount(shown, minlength=self._listings) for shown in surfaces])
