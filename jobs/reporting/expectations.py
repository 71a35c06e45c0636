"""What Great Expectations says of a run: its documents, whether it agrees, a user's own suites.

It comes after publishing and decides nothing: what blocks is judged before, by the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from jobs.planning.checks import record
from jobs.planning.own_quality import suites_for
from jobs.planning.record import now
from jobs.setup.config import Config
from jobs.storage.tables import Tables
from pipelines.quality.data_docs import prune
from pipelines.quality.results import QualityResult

if TYPE_CHECKING:
    from pipelines.quality.expectations import Validations

CHECK = "great_expectations"
"""Name of the result, and of the folder of documents in `storage.reports`."""
_TABLE = "quality_results"
_SHOWN = 5


def documents(config: Config, day: date) -> Path:
    """First page of the documents of a day."""
    return Path(config.storage.reports) / CHECK / str(day) / "index.html"


def confirm(
    tables: Tables, config: Config, run_id: str, day: date, days: Collection[date] = ()
) -> list[QualityResult]:
    """Let Great Expectations judge what a run has measured; keep and give what it says.

    Parameters
    ----------
    run_id : str
        All that this run has measured of `days` is judged, and all that is known of `day`.
    day : date
        Whose documents these are.

    Returns
    -------
    list of QualityResult
        Those of the user's own suites, then one of status PASS, or ERROR where it disagrees or
        cannot judge. [] where it is switched off, or there is nothing to judge.
    """
    if not config.quality.great_expectations or not tables.exists(_TABLE):
        return []
    try:
        said = _confirm(tables, config, run_id, day, sorted({day, *days}))
        record(tables, said)
    except Exception as problem:
        # Nothing of this may undo a day that is published.
        return [_result(run_id, day, 0, None, _told(problem))]
    return said


def _confirm(
    tables: Tables, config: Config, run_id: str, day: date, days: Sequence[date]
) -> list[QualityResult]:
    from pipelines.quality.agreement import judged

    results = judged(_newest(tables, run_id, day, days))
    suites = suites_for(config)
    if not results and not suites:
        return []

    def own(validations: Validations) -> list[QualityResult]:
        from jobs.reporting.own_suites import judge_suites

        return judge_suites(
            tables, suites, validations, run_id=run_id, day=day, most=config.quality.suite_rows
        )

    folder = documents(config, day).parent
    said = _judge(results, run_id, day, own, folder)
    prune(folder.parent, config.quality.documents_kept)
    return said


def confirm_news(tables: Tables, config: Config, run_id: str, day: date) -> None:
    """`confirm` where the day was judged after Great Expectations last was asked about it.

    So it is where every step of the day was a run of its own.
    """
    if not tables.exists(_TABLE):
        return
    tables.create([_TABLE])
    columns = ["check", "checked_at"]
    rows = tables.read_arrow(_TABLE, [day], columns=columns).to_pylist()
    asked = max((r["checked_at"] for r in rows if r["check"] == CHECK), default=None)
    judged = max((r["checked_at"] for r in rows if r["check"] != CHECK), default=None)
    if judged is not None and (asked is None or asked < judged):
        confirm(tables, config, run_id, day)


def confirm_any(
    config: Config, results: Sequence[QualityResult], run_id: str, folder: Path
) -> list[QualityResult]:
    """Let Great Expectations judge results that are not recorded, with documents in a folder.

    Returns
    -------
    list of QualityResult
        One, as of `confirm`; [] where it is switched off, or there is nothing to judge.
    """
    from pipelines.quality.agreement import judged

    asked = judged(results)
    if not config.quality.great_expectations or not asked:
        return []
    return _judge(asked, run_id, asked[0].ds, lambda validations: [], folder)


def _judge(
    results: Sequence[QualityResult],
    run_id: str,
    day: date,
    judge_own: Callable[[Validations], list[QualityResult]],
    folder: Path,
) -> list[QualityResult]:
    own: list[QualityResult] = []
    try:
        from pipelines.quality.agreement import disagreements
        from pipelines.quality.expectations import Validations

        validations = Validations(run_id)
        found = disagreements(results, validations)
        own = judge_own(validations)
        validations.write_documents(folder)
    except (Exception, SystemExit) as problem:
        return [*own, _result(run_id, day, len(results), None, _told(problem))]
    of = len({result.table for result in results})
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    said = "; ".join(str(f) for f in found[:_SHOWN]) + more
    said = said or f"all {len(results)} verdicts on {of} tables are the same"
    return [*own, _result(run_id, day, len(results), len(found), said)]


def _told(problem: BaseException) -> str:
    lines = str(problem).strip().splitlines() or [""]
    return f"could not judge: {type(problem).__name__}: {lines[0][:300]}"


def _result(
    run_id: str, day: date, verdicts: int, differing: int | None, said: str
) -> QualityResult:
    return QualityResult(
        run_id=run_id,
        table=_TABLE,
        check=CHECK,
        slice="",
        severity="warn",
        status="PASS" if differing == 0 else "ERROR",
        observed=None if differing is None else float(differing),
        expected="0",
        baseline=None,
        rows=verdicts,
        details=said,
        checked_at=now(),
        ds=day,
    )


def _newest(tables: Tables, run_id: str, day: date, days: Sequence[date]) -> list[QualityResult]:
    wanted = (pc.field("run_id") == run_id) | (pc.field("ds") == day)
    rows = tables.read_arrow(_TABLE, days, condition=wanted).sort_by("checked_at").to_pylist()
    newest = {(r["table"], r["check"], r["slice"], r["ds"]): QualityResult(**r) for r in rows}
    return [newest[key] for key in sorted(newest)]
