"""The same judgements by Great Expectations, with its documents.

Great Expectations sees one row per table and day, whose columns are the measures: on the raw rows
the same suite costs ten times the CPU and dozens of Spark jobs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.quality.results import Measurement

_CONNECT = "pyspark.sql.connect"


@contextmanager
def _without_spark_connect() -> Iterator[None]:
    # Great Expectations tries to import Spark Connect, which ends the whole process, with exit
    # code 0, where grpc is not installed. None in sys.modules is an ImportError, which it handles.
    if _CONNECT in sys.modules:
        yield
        return
    sys.modules[_CONNECT] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[_CONNECT]


def _library() -> Any:
    # Read at import: no call home, and no bars over a log.
    os.environ["GX_ANALYTICS_ENABLED"] = "False"
    os.environ["TQDM_DISABLE"] = "1"
    with _without_spark_connect():
        import great_expectations
    return great_expectations


def column(measured: Measurement) -> str:
    """Name of a measure's column in the row that Great Expectations sees."""
    return f"{measured.check}[{measured.slice}]" if measured.slice else measured.check


def confirm(
    name: str, measured: Sequence[Measurement], docs: Path | None
) -> dict[tuple[str, str], str]:
    """Let Great Expectations judge measurements, and name where it does not agree.

    Parameters
    ----------
    name : str
        Name of the suite, such as the table.
    measured : sequence of Measurement
        Those without a reason to skip and with bounds are judged.
    docs : Path or None
        Folder of the data context; its documents are written there. None keeps all in memory.

    Returns
    -------
    dict
        Check and slice to what differs; empty where both agree.
    """
    judged = [m for m in measured if not m.reason and (m.low is not None or m.high is not None)]
    if not judged:
        return {}
    import pandas as pd

    gx = _library()
    if docs is None:
        context = gx.get_context(mode="ephemeral")
    else:
        docs.mkdir(parents=True, exist_ok=True)
        context = gx.get_context(mode="file", project_root_dir=str(docs))
    context.variables.progress_bars = {"globally": False}
    suite = gx.ExpectationSuite(name=name)
    for m in judged:
        suite.add_expectation(
            gx.expectations.ExpectColumnValuesToBeBetween(
                column=column(m), min_value=m.low, max_value=m.high, meta={"severity": m.severity}
            )
        )
        # A value between bounds may still be missing: nulls and NaN are passed over by the first.
        suite.add_expectation(gx.expectations.ExpectColumnValuesToNotBeNull(column=column(m)))
    source = context.data_sources.add_or_update_pandas(name=name)
    batch = source.add_dataframe_asset(name=name).add_batch_definition_whole_dataframe("row")
    definition = gx.ValidationDefinition(
        name=name, data=batch, suite=context.suites.add_or_update(suite)
    )
    definition = context.validation_definitions.add_or_update(definition)
    actions = [] if docs is None else [gx.checkpoint.UpdateDataDocsAction(name="docs")]
    checkpoint = gx.Checkpoint(
        name=name,
        validation_definitions=[definition],
        actions=actions,
        # Without this it keeps raw values.
        result_format={"result_format": "BASIC", "partial_unexpected_count": 0},
    )
    row = pd.DataFrame({column(m): [m.value] for m in judged}, dtype="float64")
    outcome = context.checkpoints.add_or_update(checkpoint).run(batch_parameters={"dataframe": row})
    (validation,) = outcome.run_results.values()
    passed = {column(m): True for m in judged}
    for result in validation.results:
        asked = result.expectation_config.kwargs["column"]
        if result.exception_info.get("raised_exception"):
            raise RuntimeError(f"Great Expectations could not evaluate {name}: {asked}")
        passed[asked] = passed[asked] and bool(result.success)
    return {
        (m.check, m.slice): f"Great Expectations says {'pass' if passed[column(m)] else 'fail'}"
        for m in judged
        if passed[column(m)] != m.within
    }
