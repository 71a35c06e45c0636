"""Features of a user's own that learn nothing, as no row of a day holds what they read."""

from __future__ import annotations

from datetime import date

from jobs.landing.feature_inputs import empty_inputs, own_inputs
from jobs.setup.config import Config
from jobs.storage.tables import Tables
from pipelines.quality.report_data import Remark
from schemas.logs import LOGS

STAGE = "features"


def empty_features(tables: Tables, config: Config, day: date) -> list[Remark]:
    """Inputs that no stored row of a day has; those of a log without the day are not judged."""
    found: list[Remark] = []
    own = own_inputs(config)
    for log in LOGS:
        wanted = [one for one in own if one.log == log]
        if wanted and day in tables.days(log):
            columns = sorted({one.column for one in wanted})
            batches = tables.dataset(log, [day]).to_batches(columns=columns)
            found += [Remark(STAGE, one.text) for one in empty_inputs(wanted, batches)]
    return found


def newest_day(tables: Tables, last: date) -> date | None:
    """The newest stored day of impressions up to a day."""
    return max((day for day in tables.days("impressions") if day <= last), default=None)
