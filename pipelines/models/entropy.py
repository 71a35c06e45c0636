"""Log loss, Brier score and normalized entropy, with each row's influence on them."""

import math

import numpy as np
import numpy.typing as npt

from pipelines.models.isotonic import pool_adjacent_violators
from pipelines.models.ranks import Ranks

FloatArray = npt.NDArray[np.float64]


def mean_with_influence(losses: FloatArray) -> tuple[float, FloatArray]:
    """Mean of the rows' losses and each row's influence on it, shape (rows,)."""
    value = float(np.add.reduce(losses)) / len(losses)
    return value, (losses - value) / len(losses)


def click_rate_entropy(clicks: int, rows: int) -> float:
    """Entropy of a click rate in nats; 0 where one class is empty."""
    return -sum(n * math.log(n / rows) for n in (clicks, rows - clicks) if n) / rows


def normalized_entropy(
    losses: FloatArray, clicked: npt.NDArray[np.bool_]
) -> tuple[float, FloatArray]:
    """Log loss over the entropy of the same rows' click rate (He et al., AdKDD 2014).

    Parameters
    ----------
    losses
        Shape (rows,), in nats.
    clicked
        Shape (rows,); both classes are present.

    Returns
    -------
    value, influence
        1 is as good as predicting the rows' own click rate; the influence, shape (rows,),
        counts that the click rate is estimated from the same rows.
    """
    rows, clicks = len(losses), int(np.count_nonzero(clicked))
    rate = clicks / rows
    entropy = click_rate_entropy(clicks, rows)
    loss, influence = mean_with_influence(losses)
    slope = math.log((1.0 - rate) / rate)
    of_rate = (clicked - rate) / rows
    return loss / entropy, influence / entropy - (loss * slope / entropy**2) * of_rate


def miscalibration_and_discrimination(loss: float, ranks: Ranks) -> tuple[float, float]:
    """Split the normalized entropy: 1 + miscalibration - discrimination.

    The best increasing recalibration on the same rows (pooled adjacent violators) divides what
    calibration loses from what ranking wins; both are not negative, and both are flattered by
    the recalibration having seen the rows (Dimitriadis, Gneiting, Jordan, PNAS 2021).

    Parameters
    ----------
    loss
        Log loss of the rows.
    """
    clicks, rows, _ = pool_adjacent_violators(ranks.clicks, ranks.rows)
    total, clicked = int(ranks.rows.sum()), int(ranks.clicks.sum())
    blocks = zip(clicks.tolist(), rows.tolist(), strict=True)
    pooled = math.fsum(n * click_rate_entropy(int(c), int(n)) for c, n in blocks) / total
    entropy = click_rate_entropy(clicked, total)
    return (loss - pooled) / entropy, (entropy - pooled) / entropy
