"""Every stored table, by name."""

from __future__ import annotations

from schemas import features, joint, logs, models, quality, samples, scores
from schemas.table import Table

TABLES: dict[str, Table] = {
    table.name: table
    for module in (logs, samples, features, joint, models, scores, quality)
    for table in module.TABLES
}
