"""What Great Expectations says of a run: its documents, and one result that tells of agreement.

It comes after publishing and decides nothing: what blocks is judged here, before.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pyarrow.compute as pc

from jobs.planning.checks import record
from jobs.planning.record import now
from jobs.setup.config import Config
from jobs.storage.tables import Tables
from pipelines.quality.data_docs import prune
from pipelines.quality.results import QualityResult, Status

CHECK = "great_expectations"
"""Name of the result, and of the folder of documents in `storage.reports`."""
_TABLE = "quality_results"
_SHOWN = 5


def documents(config: Config, day: date) -> Path:
    """First page of the documents of a day."""
    return Path(config.storage.reports) / CHECK / str(day) / "index.html"


def confirm(tables: Tables, config: Config, run_id: str, day: date) -> list[QualityResult]:
    """Let Great Expectations judge what a run has measured; keep and give what it says.

    Parameters
    ----------
    run_id : str
        All that this run has measured is judged, and all that is known of `day`.
    day : date
        Whose documents these are.

    Returns
    -------
    list of QualityResult
        One of status PASS; ERROR where it disagrees or cannot judge. [] where it is switched off,
        or there is nothing to judge.
    """
    if not config.quality.great_expectations or not tables.exists(_TABLE):
        return []
    from pipelines.quality.agreement import judged

    results = judged(_newest(tables, run_id, day))
    if not results:
        return []
    said = [_judge(results, config, run_id, day)]
    record(tables, said)
    return said


def _judge(
    results: Sequence[QualityResult], config: Config, run_id: str, day: date
) -> QualityResult:
    observed: float | None = None
    status: Status = "ERROR"
    try:
        from pipelines.quality.agreement import disagreements
        from pipelines.quality.expectations import Validations

        validations = Validations(run_id)
        found = disagreements(results, validations)
        first = documents(config, day)
        validations.write_documents(first.parent)
        prune(first.parent.parent, config.quality.documents_kept)
    except (Exception, SystemExit) as problem:
        # A library that breaks must not undo a day that is published.
        lines = str(problem).strip().splitlines() or [""]
        details = f"could not judge: {type(problem).__name__}: {lines[0][:300]}"
    else:
        observed = float(len(found))
        status = "ERROR" if found else "PASS"
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        details = "; ".join(str(f) for f in found[:_SHOWN]) + more
        if not found:
            of = len({result.table for result in results})
            details = f"all {len(results)} verdicts on {of} tables are the same"
    return QualityResult(
        run_id=run_id,
        table=_TABLE,
        check=CHECK,
        slice="",
        severity="warn",
        status=status,
        observed=observed,
        expected="0",
        baseline=None,
        rows=len(results),
        details=details,
        checked_at=now(),
        ds=day,
    )


def _newest(tables: Tables, run_id: str, day: date) -> list[QualityResult]:
    wanted = (pc.field("run_id") == run_id) | (pc.field("ds") == day)
    rows = tables.read_arrow(_TABLE, condition=wanted).sort_by("checked_at").to_pylist()
    newest = {(r["table"], r["check"], r["slice"], r["ds"]): QualityResult(**r) for r in rows}
    return [newest[key] for key in sorted(newest)]
