"""Area under the ROC curve, with each row's influence on it."""

import numpy as np
import numpy.typing as npt

from pipelines.models.ranks import Ranks

FloatArray = npt.NDArray[np.float64]


def auc(ranks: Ranks, clicked: npt.NDArray[np.bool_]) -> tuple[float, FloatArray]:
    """Chance that a click ranks above a non-click, ties counted half.

    Parameters
    ----------
    ranks
        The rows grouped by equal probability; both classes are present.
    clicked
        Shape (rows,).

    Returns
    -------
    value
        Exact up to one division, from integer counts.
    influence
        Shape (rows,): DeLong's structural components, centred; summed per user they give the
        clustered variance (Obuchowski 1997).
    """
    clicks, others = ranks.clicks, ranks.rows - ranks.clicks
    positives, negatives = int(clicks.sum()), int(others.sum())
    # Twice the counts, so that half a tie is an integer.
    beaten = 2 * np.cumsum(others) - others
    beaten_by = 2 * (positives - np.cumsum(clicks)) + clicks
    value = int((clicks * beaten).sum()) / (2 * positives * negatives)
    of_click = (beaten / (2 * negatives) - value) / positives
    of_other = (beaten_by / (2 * positives) - value) / negatives
    return value, np.where(clicked, of_click[ranks.group], of_other[ranks.group])
