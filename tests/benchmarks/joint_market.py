"""Drawn markets as rows of the joint model, made once by the product's jobs and then learnt often.

What differs between two ways of learning is seen on the same stored rows in seconds, without the
rest of the chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.special import expit

from jobs.planning.joint_inputs import day_registry, joint_spec, read_namespaces
from pipelines.days import day_number
from pipelines.features.joint_columns import row_columns
from pipelines.features.joint_registry import JointRegistry
from pipelines.models.joint import JointModel
from pipelines.models.joint_state import JointSpec, JointState
from pipelines.models.joint_tables import to_contents
from pipelines.samples.balanced import order_key
from tests.benchmarks.peers.comparison import Figures, figures
from tests.benchmarks.peers.markets import JudgedRows, Market, judged_rows, simulated
from tests.benchmarks.peers.measured import Cost
from tests.support.chain import Chain

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class JointDay:
    """A day's rows in learning order, with their truth.

    Attributes
    ----------
    ids : numpy.ndarray of int64, shape (n, K)
    order : numpy.ndarray of int64, shape (n,)
    clicked : numpy.ndarray of uint8, shape (n,)
    offset, truth : numpy.ndarray of float64, shape (n,)
        What sampling adds to a logit, and the true click probability.
    is_learnt, is_promoted, is_cold : numpy.ndarray of bool, shape (n,)
        Cold is told of the promoted rows of judged days.
    entities : pyarrow.Table
        Rows of `joint_entities`.
    """

    day: date
    ids: Ids
    order: Ids
    clicked: npt.NDArray[np.uint8]
    offset: Floats
    truth: Floats
    is_learnt: Flags
    is_promoted: Flags
    is_cold: Flags
    entities: pa.Table


@dataclass(frozen=True)
class JointMarket:
    """A market whose last days are judged."""

    market: Market
    registry: JointRegistry
    spec: JointSpec
    days: tuple[JointDay, ...]

    def is_judged(self, day: JointDay) -> bool:
        """Whether a day is among those that are judged."""
        return day.day in self.market.judged


@dataclass(frozen=True)
class Replayed:
    """What one way of learning promised for the promoted rows of the judged days.

    Attributes
    ----------
    day : numpy.ndarray of datetime64, shape (n,)
    p : numpy.ndarray of float64, shape (n,)
    rows : JudgedRows
        By `order_key` instead of the impression's id.
    state : JointState
        After the last day before the last judged one.
    """

    day: npt.NDArray[np.datetime64]
    p: Floats
    rows: JudgedRows
    state: JointState

    @property
    def figures(self) -> Figures:
        """Excess and promised over true clicks by segment."""
        return figures(self.p, self.rows, Cost(0.0, 0))


def joint_market(seed: int, scale: str, keep: Path) -> JointMarket:
    """Simulate a market and make its joint rows unless they are there, in this process."""
    place = keep.absolute() / f"{seed}-{scale}"
    market = simulated(seed, scale, place)
    chain = studied(market)
    landed = sorted(
        date.fromisoformat(folder.name.removeprefix("ds="))
        for folder in (market.landing / "listings").iterdir()
    )
    chain.make("build_joint_rows", *landed)
    known = _Known.of(market)
    tables = chain.tables
    # A simulated market has the same attributes on all days.
    registry = day_registry(chain.config, read_namespaces(tables, landed[-1]))
    days = []
    for day in landed:
        rows = tables.read_arrow("joint_rows", [day]).sort_by("order_key").combine_chunks()
        order = rows["order_key"].to_numpy()
        truth, is_cold = known.at(order)
        days.append(
            JointDay(
                day,
                row_columns(registry, rows["ids"]),
                order,
                rows["clicked"].cast(pa.uint8()).to_numpy(),
                -np.log(rows["sampling_rate"].fill_null(1.0).to_numpy()),
                truth,
                rows["sampling_rate"].is_valid().to_numpy(),
                pc.equal(rows["surface"], "promoted").to_numpy(),
                is_cold,
                tables.read_arrow("joint_entities", [day]).combine_chunks(),
            )
        )
    return JointMarket(market, registry, joint_spec(chain.config, registry), tuple(days))


def studied(market: Market) -> Chain:
    """The product on a market, by its defaults, without Java."""
    return Chain(market.place / "studied", market.landing, settings=())


@dataclass(frozen=True)
class _Known:
    """Truth by `order_key`, ascending."""

    order: Ids
    truth: Floats
    cold: Ids

    @classmethod
    def of(cls, market: Market) -> _Known:
        paths = sorted((market.place / "truth").glob("ds=*.parquet"))
        planted = pa.concat_tables(
            pq.read_table(path, columns=["impression_id", "probability"], partitioning=None)
            for path in paths
        )
        order = order_key(planted["impression_id"])
        ascending = np.argsort(order)
        judged = judged_rows(market)
        cold = pa.chunked_array([pa.array(judged.impression_id[judged.is_cold], pa.string())])
        return cls(
            order[ascending],
            planted["probability"].to_numpy()[ascending],
            np.sort(order_key(cold)),
        )

    def at(self, order: Ids) -> tuple[Floats, Flags]:
        """Truth of some rows, and whether they are cold."""
        place = np.searchsorted(self.order, order)
        if not np.array_equal(self.order[np.minimum(place, len(self.order) - 1)], order):
            raise ValueError("rows that the truth does not know")
        return self.truth[place], np.isin(order, self.cold)


def learnt_days(
    spec: JointSpec,
    days: Sequence[JointDay],
    between: Callable[[JointState], JointState] = lambda state: state,
) -> Iterator[tuple[JointDay, JointModel]]:
    """Learn day after day; give each day with the model as of the day before, not yet learnt.

    Parameters
    ----------
    between : callable
        What is done to a state before the next day begins.
    """
    state = JointState.new(spec)
    for day in days:
        contents = {name: to_contents(day.entities, name) for name in spec.entities}
        own = day.is_learnt
        if not state.rows and spec.base >= 0:
            # As `train_joint` begins: at the log odds of the first day, its sample weighed.
            clicks = float(np.count_nonzero(day.clicked[own]))
            others = float(np.exp(day.offset[own][day.clicked[own] == 0]).sum())
            odds = np.log((clicks + 0.5) / (others + 0.5))
            state = state.at_base(spec, int(day.ids[own][0, spec.base]), float(odds))
        model = JointModel(spec, between(state), contents)
        yield day, model
        model.learn(day.ids[own], day.clicked[own], day.order[own], offset=day.offset[own])
        state = model.end(day_number(day.day))


def promised(model: JointModel, day: JointDay) -> Floats:
    """Probabilities of a day's promoted rows by the chosen scale."""
    index = model.index(day.ids[day.is_promoted])
    return np.asarray(expit(model.sums(index, model.means(model.state.chosen))))


def replay(
    market: JointMarket,
    spec: JointSpec | None = None,
    days: Sequence[JointDay] | None = None,
    between: Callable[[JointState], JointState] = lambda state: state,
) -> Replayed:
    """Learn a market's days, those given or all, and judge the last seven.

    Parameters
    ----------
    spec : JointSpec, optional
        The product's own if not given.
    """
    predictions: list[tuple[JointDay, Floats]] = []
    for day, model in learnt_days(spec or market.spec, days or market.days, between):
        if market.is_judged(day):
            predictions.append((day, promised(model, day)))
        state = model.state
    return pooled(predictions, state)


def pooled(predictions: Sequence[tuple[JointDay, Floats]], state: JointState) -> Replayed:
    """Predictions of the promoted rows of several days, with their truth."""
    own = [(day, day.is_promoted) for day, _ in predictions]
    return Replayed(
        np.concatenate(
            [np.repeat(np.datetime64(day.day), np.count_nonzero(rows)) for day, rows in own]
        ),
        np.concatenate([p for _, p in predictions]),
        JudgedRows(
            np.concatenate([day.order[rows] for day, rows in own]),
            np.concatenate([day.truth[rows] for day, rows in own]),
            np.concatenate([day.is_cold[rows] for day, rows in own]),
        ),
        state,
    )
