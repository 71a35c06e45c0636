"""Every job, loaded."""

from __future__ import annotations

import importlib

from jobs import FLOW

for _job in FLOW:
    importlib.import_module(f"jobs.{_job.name}")
