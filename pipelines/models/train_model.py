"""Learning one model for several end days in one pass over the features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pyarrow as pa

from pipelines.days import numbered_day, with_day
from pipelines.models.ftrl_parameters import FtrlParameters
from pipelines.models.level import bias_slot, level_shift
from pipelines.models.level_prior import LevelPrior
from pipelines.models.training import DenseInputs, new_learners, train

Summary = dict[str, float]
"""What a learner says of itself: dense, rows, clicks, first_day, days, log_loss, slots,
level_shift; days since 1970."""

# Rows of each day and surface that the level is found from: some 8,000 clicks know a day to 1 %,
# less than it moves by, and with 45 features a row a month of them takes 400 MB.
_LEVEL_ROWS = 50_000


def train_model(
    features: Iterable[pa.RecordBatch],
    model: str,
    end_days: Sequence[int],
    parameters: FtrlParameters,
    *,
    search_days: int,
    promoted_days: int,
    level: LevelPrior,
    dense: Mapping[int, DenseInputs] | None,
) -> Iterator[tuple[pa.RecordBatch, int, Summary]]:
    """Learn one model for several end days.

    Parameters
    ----------
    features : iterable of pyarrow.RecordBatch
        ds, order_key, clicked, surface, sampling_rate, listing_key and the model's slots, in
        training order.
    end_days : sequence of int
        Days since 1970.
    level : LevelPrior
        How the market moves: by it the intercept is set, when learning is done, for the day after
        the end day; z and n stay as learnt.

    Yields
    ------
    (pyarrow.RecordBatch, int, Summary)
        Columns of `model_weights`, their end day, and the learner's summary.
    """
    learners = new_learners(
        end_days, parameters, search_days=search_days, promoted_days=promoted_days, dense=dense
    )
    kept = train(features, learners, keep_rows=_LEVEL_ROWS)
    for learner in learners:
        coordinates = learner.state.touched()
        size = len(coordinates.slot)
        shift = level_shift(learner, kept, level)
        coordinates.weight[coordinates.slot == bias_slot(parameters.bits)] += shift
        columns = {
            "model": pa.repeat(pa.scalar(model), size),
            "slot": pa.array(coordinates.slot),
            "weight": pa.array(coordinates.weight),
            "z": pa.array(coordinates.z),
            "n": pa.array(coordinates.n),
        }
        days = sorted(learner.days)
        summary = {
            "dense": len(learner.state.dense_weights()),
            "rows": learner.state.rows,
            "clicks": learner.state.clicks,
            "first_day": days[0] if days else learner.end_day,
            "days": len(days),
            "log_loss": learner.log_loss,
            "slots": size,
            "level_shift": shift,
        }
        rows = with_day(pa.RecordBatch.from_pydict(columns), numbered_day(learner.end_day))
        yield rows, learner.end_day, summary
