"""What a day's clicks say of its users, found in parts of the users and put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.logs.labels import Bursts, LabelRules, bursts, clicks_of, first_clicks
from pipelines.logs.nobody import Clicked, Frequent, is_nobody


def click_facts(
    clicks: pa.Table, day: date, frequent: Frequent, rules: LabelRules
) -> dict[str, Any]:
    """Find what `ClickFacts.of` puts together.

    Parameters
    ----------
    clicks : pyarrow.Table
        Columns of `clicks`: those of the day and of the next, all of some users.
    frequent : dict
        As of `count_frequent`, of the whole day.

    Returns
    -------
    dict
        Plain values.
    """
    of_day = clicks_of(clicks, day)
    in_time = pc.sum(pc.less(of_day["ts"].cast(pa.int64()), rules.cutoff(day))).as_py() or 0
    first = first_clicks(clicks, day, rules)
    found = bursts(first, rules)
    clicked = {user: Clicked.of(first, user) for user in frequent}
    return {
        "in_time": in_time,
        "late": len(of_day) - in_time,
        "clicked": len(first),
        "frequent": {user: [c.count, c.most_on_a_listing] for user, c in clicked.items()},
        "users": found.users.to_pylist(),
        "pairs": found.pairs.to_pylist(),
    }


@dataclass(frozen=True)
class ClickFacts:
    """What the clicks of a day say of its users.

    Attributes
    ----------
    in_time, late : int
        Clicks on the day's impressions before the cut-off and after it.
    nobody : list of str
        Ids that are nobody's.
    bursts : Bursts
        Of somebody.
    """

    in_time: int
    late: int
    nobody: list[str]
    bursts: Bursts

    @classmethod
    def of(
        cls,
        found: Sequence[Mapping[str, Any]],
        frequent: Frequent,
        rows: int,
        rules: LabelRules,
    ) -> ClickFacts:
        """Put together what `click_facts` found in all parts of the users.

        Parameters
        ----------
        rows : int
            Impressions of the day.
        """
        clicks = sum(part["clicked"] for part in found)

        def clicked(user: str) -> Clicked:
            of_user = [Clicked(*part["frequent"][user]) for part in found]
            return max(of_user, key=lambda own: own.count, default=Clicked(0))

        nobody = [
            user
            for user, shown in frequent.items()
            if is_nobody(user, shown, clicked(user), rows=rows, clicks=clicks, rules=rules)
        ]
        users = pa.array([user for part in found for user in part["users"]], pa.string())
        pairs = pa.array([pair for part in found for pair in part["pairs"]], pa.string())
        return cls(
            sum(part["in_time"] for part in found),
            sum(part["late"] for part in found),
            nobody,
            Bursts(users, pairs).without(nobody),
        )
