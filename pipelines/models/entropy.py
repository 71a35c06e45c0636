"""Mean losses and normalized entropy, with each row's influence on them."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.models.isotonic import pool_adjacent_violators
from pipelines.models.ranks import Ranks

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Influenced:
    """An estimate with what each row has to do with it.

    Attributes
    ----------
    value : float
    influence : numpy.ndarray of float64, shape (rows,)
        Influence of each row, as it was clicked or not.
    of_click : numpy.ndarray of float64, shape (rows,)
        Influence that each row would have, had it been clicked.
    """

    value: float
    influence: FloatArray
    of_click: FloatArray


def mean_loss(losses: FloatArray, if_clicked: FloatArray) -> Influenced:
    """Mean of the rows' losses, given with the losses they would have, had they been clicked."""
    value = float(np.add.reduce(losses)) / len(losses)
    return Influenced(value, (losses - value) / len(losses), (if_clicked - value) / len(losses))


def click_rate_entropy(clicks: int, rows: int) -> float:
    """Entropy of a click rate in nats; 0 where one class is empty."""
    return -sum(n * math.log(n / rows) for n in (clicks, rows - clicks) if n) / rows


def normalized_entropy(
    losses: FloatArray, if_clicked: FloatArray, clicked: npt.NDArray[np.bool_]
) -> Influenced:
    """Log loss over the entropy of the same rows' click rate (He et al., AdKDD 2014).

    Parameters
    ----------
    losses, if_clicked
        Shape (rows,), in nats: of each row, and of each row had it been clicked.
    clicked
        Shape (rows,); both classes are present.

    Returns
    -------
    Influenced
        1 is as good as predicting the rows' own click rate; the influences count that the click
        rate is estimated from the same rows.
    """
    rows, clicks = len(losses), int(np.count_nonzero(clicked))
    rate = clicks / rows
    entropy = click_rate_entropy(clicks, rows)
    loss = mean_loss(losses, if_clicked)
    of_rate = loss.value * math.log((1.0 - rate) / rate) / entropy**2 / rows
    return Influenced(
        loss.value / entropy,
        loss.influence / entropy - of_rate * (clicked - rate),
        loss.of_click / entropy - of_rate * (1.0 - rate),
    )


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
