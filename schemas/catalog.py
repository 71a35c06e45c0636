"""Every stored table, by name."""

from __future__ import annotations

from schemas import features, logs, models, quality, samples, scores
from schemas.table import Table

TABLES: dict[str, Table] = {
    table.name: table
    for stage in (logs, samples, features, models, scores, quality)
    for table in stage.TABLES
}
