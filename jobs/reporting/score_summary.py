"""The scores of a day in short: how many, how they spread, and the first rows."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.storage.reading import read_rows, read_where
from jobs.storage.tables import Tables
from pipelines.quality.report_data import ScoreRow, Scores

_TOP_ROWS = 10
_HISTOGRAM_BINS = 48
_QUANTILES = (0.0, 0.1, 0.5, 0.9, 1.0)


def score_summary(tables: Tables, ds: date) -> Scores:
    """Count, spread and first rows of the scores of a day; empty where there are none."""
    table = read_where(
        tables, "listing_scores", [ds],
        columns=["listing_id", "p_click", "p_historical", "p_content", "segment",
                 "window_impressions", "standard_error", "model_as_of"],
    )  # fmt: skip
    if table is None or not table.num_rows:
        return Scores()
    p_click = table["p_click"].to_numpy()
    segments = table["segment"].to_numpy(zero_copy_only=False)
    low, high = np.log10(p_click.min()), np.log10(p_click.max())
    middle, half = (low + high) / 2, max((high - low) / 2, 0.05) * 1.02
    edges = np.logspace(middle - half, middle + half, _HISTOGRAM_BINS + 1)
    parts = {str(name): p_click[segments == name] for name in sorted(set(segments))}
    cold = table.filter(pc.equal(table["segment"], "cold"))
    return Scores(
        count=table.num_rows,
        by_segment={name: len(values) for name, values in parts.items()},
        model_as_of=table["model_as_of"][0].as_py(),
        edges=edges.tolist(),
        histogram={n: np.histogram(v, edges)[0].tolist() for n, v in parts.items()},
        quantiles={n: np.quantile(v, _QUANTILES).tolist() for n, v in parts.items()},
        top=top_scores(tables, table, ds, _TOP_ROWS),
        top_cold=top_scores(tables, cold, ds, _TOP_ROWS),
    )


def top_scores(tables: Tables, scores: pa.Table, ds: date, limit: int) -> list[ScoreRow]:
    """The highest p_click first, ties by listing id, with the day's titles."""
    if not scores.num_rows:
        return []
    order = [("p_click", "descending"), ("listing_id", "ascending")]
    chosen = scores.take(pc.select_k_unstable(scores, limit, order)).sort_by(order)
    wanted = pc.field("listing_id").isin(chosen["listing_id"].combine_chunks())
    named = read_rows(tables, "listings", [ds], condition=wanted, columns=["listing_id", "title"])
    titles = {row["listing_id"]: row["title"] for row in named}
    keep = set(ScoreRow.__dataclass_fields__) - {"title"}
    return [
        ScoreRow(title=titles.get(row["listing_id"], ""), **{k: row[k] for k in keep})
        for row in chosen.to_pylist()
    ]
