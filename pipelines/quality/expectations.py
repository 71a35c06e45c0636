"""Suites of expectations, judged by Great Expectations, and its documents of what it found.

All of it is in memory but the documents: one context, gone with the object.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any

_CONNECT = "pyspark.sql.connect"
_RARELY_USED = ("altair", "scipy.stats")
"""What Great Expectations imports for two kinds of expectations: a third of its import's cost."""

COUNTS_ONLY = {"result_format": "BASIC", "partial_unexpected_count": 0}
"""How rows of people are judged: any other format keeps values, such as ids of users."""


class _Later(ModuleType):
    """Stands for a module until something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def _cheaply() -> Iterator[None]:
    # Great Expectations tries to import Spark Connect, which ends the whole process, with exit
    # code 0, where grpc is not installed. None in sys.modules is an ImportError, which it handles.
    placed: dict[str, Any] = {_CONNECT: None, **{name: _Later(name) for name in _RARELY_USED}}
    placed = {name: module for name, module in placed.items() if name not in sys.modules}
    sys.modules.update(placed)
    # Its import makes half a million objects that stay: collecting among them is a fifth of it.
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
        for name, module in placed.items():
            if name in sys.modules and sys.modules[name] is module:
                del sys.modules[name]


def library() -> Any:
    """Import Great Expectations: 1.2 CPU-seconds beside pandas, so as late as may be."""
    # Read at import: no call home, and no bars over a log.
    os.environ["GX_ANALYTICS_ENABLED"] = "False"
    os.environ["TQDM_DISABLE"] = "1"
    with _cheaply():
        import great_expectations
    # What it could not do is told by results; it would print whole traces beside.
    logging.getLogger(great_expectations.__name__).setLevel(logging.CRITICAL)
    return great_expectations


@dataclass(frozen=True)
class Outcome:
    """What Great Expectations says of one expectation.

    Attributes
    ----------
    problem : str
        Why it could not be evaluated; empty where it was.
    failed_at : sequence of str
        Values of the index column where it does not hold, if one was named.
    observed : float or None
        The number that was observed, or the share of rows that break it.
    unexpected : int
        Rows that break it.
    """

    arguments: Mapping[str, Any]
    meta: Mapping[str, Any]
    success: bool
    problem: str
    failed_at: Sequence[str] = ()
    observed: float | None = None
    unexpected: int = 0


class Validations:
    """Suites judged one by one in one context, then documented together.

    Parameters
    ----------
    name : str
        Of the run, for the documents.
    """

    def __init__(self, name: str) -> None:
        self.gx = library()
        from great_expectations.data_context.types.base import (
            DataContextConfig,
            InMemoryStoreBackendDefaults,
            ProgressBarsConfig,
        )

        self.name = name
        self._context = self.gx.get_context(
            mode="ephemeral",
            project_config=DataContextConfig(
                store_backend_defaults=InMemoryStoreBackendDefaults(),
                analytics_enabled=False,
                progress_bars=ProgressBarsConfig(globally=False),
            ),
        )
        self._judged: dict[str, list[Outcome]] = {}
        self._frames = self._context.data_sources.add_pandas(name="tables")

    def expectation(self, given: Mapping[str, Any], more_meta: Mapping[str, Any]) -> Any:
        """Build an expectation of a suite's file; a suite would leave out one that is wrong.

        Parameters
        ----------
        given : mapping
            `type`, `kwargs`, `meta`.
        """
        from great_expectations.expectations.expectation_configuration import (
            ExpectationConfiguration,
        )

        meta = {**given["meta"], **more_meta}
        return ExpectationConfiguration(
            type=given["type"], kwargs=dict(given["kwargs"]), meta=meta
        ).to_domain_obj()

    def validate(self, suite: Any, frame: Any, *, index: str | None = None) -> list[Outcome]:
        """Judge a frame by a suite.

        Parameters
        ----------
        suite : great_expectations.ExpectationSuite
        frame : pandas.DataFrame
        index : str, optional
            Column that names the rows which break an expectation. Without it nothing of the rows
            is kept but counts.
        """
        asset = self._frames.add_dataframe_asset(name=suite.name)
        batch = asset.add_batch_definition_whole_dataframe("rows")
        definition = self._context.validation_definitions.add(
            self.gx.ValidationDefinition(
                name=suite.name, data=batch, suite=self._context.suites.add(suite)
            )
        )
        checkpoint = self._context.checkpoints.add(
            self.gx.Checkpoint(
                name=suite.name,
                validation_definitions=[definition],
                result_format=COUNTS_ONLY
                if index is None
                else {"result_format": "COMPLETE", "unexpected_index_column_names": [index]},
            )
        )
        outcome = checkpoint.run(
            batch_parameters={"dataframe": frame},
            run_id=self.gx.RunIdentifier(run_name=self.name),
        )
        (validation,) = outcome.run_results.values()
        judged = [_outcome(result, index) for result in validation.results]
        self._judged[suite.name] = judged
        return judged

    def write_documents(self, folder: Path) -> None:
        """Write all that was judged as pages of HTML, `index.html` first, instead of older ones.

        They are read offline and call nowhere. They appear whole or not at all.
        """
        partial = folder.with_name(folder.name + ".partial")
        site = {
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "store_backend": {
                "class_name": "TupleFilesystemStoreBackend",
                # Great Expectations takes no relative one, which reports are by default.
                "base_directory": str(partial.absolute()),
            },
        }
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._context.add_data_docs_site("run", site)
        from pipelines.quality.data_docs import make_offline

        # Its own first page is empty without scripts from elsewhere.
        self._context.build_data_docs(build_index=False)
        make_offline(partial, folder, self.name, self._judged)


def _outcome(result: Any, index: str | None) -> Outcome:
    config = result.expectation_config
    found = result.result or {}
    places = found.get("unexpected_index_list") or ()
    percent = found.get("unexpected_percent")
    number = found.get("observed_value") if percent is None else percent / 100
    return Outcome(
        arguments={k: v for k, v in config.kwargs.items() if k != "batch_id"},
        meta=dict(config.meta or {}),
        success=bool(result.success),
        problem=_problem(result.exception_info or {}),
        failed_at=tuple(str(place[index]) for place in places) if index else (),
        observed=float(number) if isinstance(number, Real) else None,
        unexpected=int(found.get("unexpected_count") or 0),
    )


def _problem(raised: Mapping[str, Any]) -> str:
    # One entry, or one for each measure that the expectation needs.
    entries = [raised, *(entry for entry in raised.values() if isinstance(entry, Mapping))]
    for entry in entries:
        if entry.get("raised_exception"):
            lines = str(entry.get("exception_message") or "no message").strip().splitlines()
            return lines[0][:300]
    return ""
