"""The small planted world of the joint model as a market whose last two days are judged."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.features.joint_registry import JointRegistry
from tests.benchmarks.joint_market import JointDay, JointMarket
from tests.benchmarks.peers.markets import Market
from tests.support.joint import LISTINGS, SPEC, ids, traffic, world

PLANTED = world()
_FIRST = date(2026, 1, 1)


def planted_day(number: int, rows: int = 600) -> JointDay:
    """A day whose every second row is promoted, and every sixth cold; true is .2 everywhere."""
    values, clicked = traffic(PLANTED, number, rows=rows)
    words = [(50_000 + np.flatnonzero(row)).tolist() for row in PLANTED["has_word"]]
    return JointDay(
        _FIRST + timedelta(days=number),
        ids(values),
        np.arange(rows) + 10_000 * number,
        clicked,
        np.full(rows, 0.3),
        np.full(rows, 0.2),
        np.ones(rows, dtype=bool),
        np.arange(rows) % 2 == 0,
        np.arange(rows) % 6 == 0,
        pa.table(
            {
                "entity": pa.repeat(pa.scalar("listing"), LISTINGS),
                "id": 10_000 + np.arange(LISTINGS),
                "parts": pa.array(words, pa.list_(pa.int64())),
                "kinds": pa.array([[0] * len(own) for own in words], pa.list_(pa.int32())),
                "values": pa.array([[1.0] * len(own) for own in words], pa.list_(pa.float32())),
            }
        ),
    )


def planted_market(count: int = 8) -> JointMarket:
    """So many days."""
    days = tuple(planted_day(number) for number in range(count))
    judged = tuple(day.day for day in days[-2:])
    return JointMarket(Market("planted", Path(), judged), JointRegistry([]), SPEC, days)
