"""The 3 x 3 table of the AdKDD paper: models by segments by metrics, against a baseline."""

from collections.abc import Iterable
from dataclasses import replace

from pipelines.models.judged import AUC, DIFFERENCE, LOG_LOSS, NORMALIZED_ENTROPY, MetricRow

# AUC in %, log loss and normalized entropy x 1000.
_SCALE = {AUC: 100.0, LOG_LOSS: 1000.0, NORMALIZED_ENTROPY: 1000.0}


def difference_table(rows: Iterable[MetricRow]) -> dict[tuple[str, str, str], MetricRow]:
    """Pick the paper's table out of `evaluate`'s rows: differences to the baseline, scaled.

    Returns
    -------
    dict
        (model, segment, metric) to the row, with value, low and high in % for the AUC and times
        1000 for log loss and normalized entropy (Aryafar, Guillory, Hong, AdKDD 2017, table 1).
    """
    table = {}
    for row in rows:
        metric = row.metric.removesuffix(DIFFERENCE)
        if row.baseline is None or metric == row.metric:
            continue
        value, low, high = (
            None if part is None else part * _SCALE[metric]
            for part in (row.value, row.low, row.high)
        )
        scaled = replace(row, metric=metric, value=value, low=low, high=high)
        table[row.model, row.segment, metric] = scaled
    return table
