"""Click probabilities for any request, from the file that `promoted-ctr export` writes.

What a server needs: the modules of this folder, numpy and mmh3. docs/serving.md holds the recipe,
for other languages too.

    scorer = Scorer.load("scores.bin")
    scores = scorer.score(["l-1", "l-2"], {"user_id": ["u-7"], "query": ["blue mug"]}, [0, 0])
    scores.p_click, scores.standard_error
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.scorer.coded import Floats, Labels, distinct, places
from pipelines.scorer.labels import Letters
from pipelines.scorer.rows import Rows
from pipelines.scorer.score_file import BadFile, unpacked
from pipelines.scorer.value_ids import Ints, value_ids

_ATTRIBUTE = "attributes."


class UnknownListing(LookupError):
    """A listing is not in the file."""


@dataclass(frozen=True)
class Scores:
    """Scores of n rows.

    Attributes
    ----------
    logit : numpy.ndarray of float64, shape (n,)
        Before the calibration map.
    standard_error : numpy.ndarray of float64, shape (n,)
        Of the logit: how far what is behind it may be from what is known.
    factor : numpy.ndarray of float64, shape (n,)
        Product of the field factors.
    curve : mapping
        The calibration map.
    """

    logit: Floats
    standard_error: Floats
    factor: Floats
    curve: Mapping[str, Any]

    @property
    def p_click(self) -> Floats:
        """The calibrated click probability of each row, shape (n,)."""
        return self._published(self.logit)

    def at(self, errors: float | Floats) -> Floats:
        """The probability so many standard errors from the middle of the posterior, shape (n,).

        -1.645 and 1.645 bound nine tenths; a normal number a row is a draw from the posterior, as
        Thompson sampling wants it. 0 is the median: `p_click` is the mean, and of a small
        probability whose logarithm is uncertain the mean lies above the median.
        """
        p = 1.0 / (1.0 + np.exp(-np.clip(self.logit, -20.0, 20.0)))
        middle = self.logit - 0.5 * self.standard_error**2 * (1.0 - 2.0 * p)
        return self._published(middle + errors * self.standard_error)

    def _published(self, logit: Floats) -> Floats:
        logit = np.clip(logit, -20.0, 20.0)
        if self.curve["parameters"]:
            a, b, c = self.curve["parameters"]
            logit = c - a * np.logaddexp(0.0, -logit) + b * np.logaddexp(0.0, logit)
        else:
            x, y = np.array(self.curve["knots"]).T
            slope = np.concatenate([[1.0], np.diff(y) / np.diff(x), [1.0]])
            interval = np.searchsorted(x, logit, side="right")
            left = np.maximum(interval - 1, 0)
            logit = y[left] + slope[interval] * (logit - x[left])
        calibrated = 1.0 / (1.0 + np.exp(-np.clip(logit, -700.0, 30.0)))
        capped = np.minimum(calibrated * self.factor, 0.5 * (1.0 + calibrated))
        p: Floats = np.clip(capped, 1e-12, 1.0 - 1e-12)
        return p


class Scorer:
    """Scores listings for requests.

    Parameters
    ----------
    data : bytes-like
        A file's content; it is read in place, so that processes share a mapped file.

    Attributes
    ----------
    header : mapping
        What the file says of itself; `day` is the last day that the models have learnt, `serves`
        the day that it is for.

    Raises
    ------
    BadFile
        It is no such file, of another version, cut short or damaged.
    """

    def __init__(self, data: Any) -> None:
        self.header, self._arrays = unpacked(data)
        self._letters = Letters(self._arrays)
        counts = self._arrays["listing/word_counts"].astype(np.int64)
        owner = np.repeat(np.arange(len(counts), dtype=np.uint64), counts)
        self._words = (owner << np.uint64(32)) | self._arrays["listing/words"]

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Scorer:
        """Map a file into memory.

        Raises
        ------
        OSError
            It cannot be read.
        BadFile
            As of the class.
        """
        try:
            # What is empty cannot be mapped.
            return cls(np.memmap(path, np.uint8, "r") if Path(path).stat().st_size else b"")
        except BadFile as problem:
            raise BadFile(f"{path}: {problem}") from None

    def __len__(self) -> int:
        """Give the number of listings."""
        return len(self._arrays["listing/ids"])

    def listings(self, names: Sequence[str]) -> Ints:
        """Numbers of listings, shape (n,): to be kept where they are scored again and again.

        Raises
        ------
        UnknownListing
            One is not in the file, which holds those of the day's snapshot.
        """
        named = distinct(names)
        at, is_known = places(self._arrays["listing/ids"], value_ids("listing_id", named.values))
        if not is_known.all():
            first = named.values[int(np.argmin(is_known))]
            rest = int(np.count_nonzero(~is_known)) - 1
            raise UnknownListing(
                f"listing {first!r}{f' and {rest} more' if rest else ''}: not in the listings of "
                f"{self.header['day']}"
            )
        return at[named.codes]

    def score(
        self,
        listings: Sequence[str] | Ints,
        requests: Mapping[str, Sequence[Any]],
        at: Sequence[int] | Ints | None = None,
    ) -> Scores:
        """Score listings for requests.

        Parameters
        ----------
        listings : sequence of str, or numpy.ndarray as of `listings`, shape (n,)
        requests : mapping of str to sequence, shape (m,) each
            Columns of the logs: user_id, query, device, country, position, ts,
            ``attributes.<key>`` and so on. None, or a column left out, is unknown; but a surface
            left out is `promoted`, and a ds left out the day that the file is for.
        at : sequence of int, shape (n,), optional
            Which request each row is of; row k is of request k if not given.

        Raises
        ------
        UnknownListing
            As of `listings`.
        ValueError
            No model reads a column, or shapes differ.
        """
        number = listings if isinstance(listings, np.ndarray) else self.listings(listings)
        known = self.header["request_columns"]
        # Attributes come and go: one that no model knows yet says nothing.
        unknown = sorted(n for n in requests.keys() - set(known) if not n.startswith(_ATTRIBUTE))
        if unknown:
            raise ValueError(f"no column {', '.join(unknown)}; there are {', '.join(known)}")
        lengths = sorted({len(column) for column in requests.values()})
        if len(lengths) > 1 or (at is None and lengths not in ([], [len(number)])):
            told = " or ".join(map(str, lengths))
            raise ValueError(f"columns of {told} requests for {len(number)} rows: give `at`")
        given = {name: distinct(column) for name, column in requests.items()}
        if at is not None:
            place = np.asarray(at, dtype=np.int64)
            given = {name: Labels(own.values, own.codes[place]) for name, own in given.items()}
        rows = Rows(self.header, self._arrays, self._letters, self._words, number, given)
        logit, variance, factor = rows.totals()
        return Scores(logit, np.sqrt(variance), factor, self.header["map"])
