"""Cold and warm: whether a listing has enough history for the historical model."""

import math

import numpy as np
import numpy.typing as npt

MIXED = "mixed"
COLD = "cold"
WARM = "warm"
SEGMENTS = (MIXED, COLD, WARM)

# The AdKDD paper calls the share of its cold traffic small without stating a threshold; our choice.
DEFAULT_COLD_SHARE = 0.045


def cold_threshold(window_impressions: npt.ArrayLike, share: float = DEFAULT_COLD_SHARE) -> int:
    """Smallest threshold below which at least ``share`` of the traffic lies.

    Parameters
    ----------
    window_impressions
        One integer per impression of the day: how often its listing was shown in the window
        before. A listing is cold when this is below the threshold.
    share
        Share of the traffic to call cold, in (0, 1].

    Returns
    -------
    int
        At least 1, so that a listing never shown is always cold, also on a day without traffic.

    Raises
    ------
    ValueError
        The share is outside (0, 1], or a count is negative or not an integer.

    Examples
    --------
    >>> cold_threshold([0, 3, 3, 9], share=0.25), cold_threshold([0, 3, 3, 9], share=0.3)
    (1, 4)
    """
    if not 0.0 < share <= 1.0:
        raise ValueError(f"share must lie in (0, 1], got {share}")
    counts = np.asarray(window_impressions)
    if not counts.size:
        return 1
    if not np.issubdtype(counts.dtype, np.integer):
        raise ValueError(f"window impressions must be integers, got {counts.dtype}")
    if counts.min() < 0:
        raise ValueError("window impressions must not be negative")
    needed = math.ceil(share * counts.size)
    if needed > 1 and (needed - 1) / counts.size >= share:
        needed -= 1
    return int(np.partition(counts, needed - 1)[needed - 1]) + 1


def segment_masks(is_cold: npt.NDArray[np.bool_]) -> dict[str, npt.NDArray[np.bool_]]:
    """Rows of each segment: all of them, the cold ones and the warm ones."""
    return {MIXED: np.ones(len(is_cold), dtype=bool), COLD: is_cold, WARM: ~is_cold}
