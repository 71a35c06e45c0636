"""Every table is declared once, whole, and written by one job."""

import importlib
import re

import pytest
from pyspark.sql import types as T

from jobs import FLOW, WRITER
from jobs.setup.config import Config
from schemas.catalog import TABLES
from schemas.logs import LOGS
from schemas.table import STAGES

# Written by the runner and by check_quality, with every step.
OF_THE_RUNNER = {"runs", "quality_results", "alerts", "current_scores"}
EVERY_TABLE = pytest.mark.parametrize("table", TABLES.values(), ids=lambda t: t.name)


@EVERY_TABLE
def test_every_column_says_what_it_means(table):
    assert table.grain
    assert not [c.name for c in table.columns if len(c.comment) < 3]


@EVERY_TABLE
def test_names_are_unique_plain_and_not_scratch(table):
    names = list(table.column_names)
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)


@EVERY_TABLE
def test_keys_and_partitions_are_columns(table):
    assert set(table.keys) <= set(table.column_names)
    assert set(table.partition_by) <= set(table.column_names)
    if table.partition_by:
        assert table.column_names[-len(table.partition_by) :] == table.partition_by


@EVERY_TABLE
def test_keys_are_not_null(table):
    nullable = {c.name for c in table.columns if c.nullable}
    # A calibration curve belongs to no field value.
    allowed = {"value"} if table.name == "calibration_maps" else set()
    assert not set(table.keys) & nullable - allowed


@EVERY_TABLE
def test_constraints_speak_of_the_columns(table):
    for condition in table.constraints.values():
        bare = re.sub(r"'[^']*'", "", condition)
        words = set(re.findall(r"[a-z_][a-z_0-9]*", bare)) - {"size"}
        assert words
        assert words <= set(table.column_names)


@EVERY_TABLE
def test_types_are_those_that_every_reader_knows(table):
    plain = (
        T.StringType, T.BooleanType, T.IntegerType, T.LongType, T.DoubleType, T.DateType,
        T.TimestampType, T.BinaryType, T.FloatType,
    )  # fmt: skip
    for column in table.columns:
        inner = column.type
        if isinstance(inner, T.ArrayType):
            inner = inner.elementType
        if isinstance(inner, T.MapType):
            assert isinstance(inner.keyType, plain)
            inner = inner.valueType
        assert isinstance(inner, plain), column.name


@EVERY_TABLE
def test_what_was_made_can_be_read_for_ninety_days(table):
    assert table.retention_days >= 90


@EVERY_TABLE
def test_stages_are_the_six(table):
    assert table.stage in STAGES


def test_every_table_is_written_by_one_job_and_every_write_is_declared():
    written = [name for job in FLOW for name in job.writes]
    assert len(written) == len(set(written))
    assert set(written) | OF_THE_RUNNER == set(TABLES)
    assert not set(written) & OF_THE_RUNNER


def test_jobs_read_only_what_is_written_before_or_by_themselves():
    seen: set[str] = set()
    for job in FLOW:
        own = set(job.writes)
        for read in job.reads:
            assert read.table in WRITER, f"{job.name} reads {read.table}"
            # Days before ds may come from later jobs: predictions use yesterday's weights.
            assert read.table in seen | own or read.end < 0, f"{job.name} reads {read.table}"
        seen |= own


def test_tables_belong_to_the_stage_of_their_job():
    for job in FLOW:
        assert job.stage in STAGES
        for name in job.writes:
            # What a request adds is of the models, and made with the scores.
            stage = "models" if name == "context_terms" else job.stage
            assert TABLES[name].stage == stage, name


def test_jobs_name_sections_and_windows_of_the_configuration():
    sections = Config.model_fields
    for job in FLOW:
        assert set(job.sections) <= set(sections), job.name
        for read in job.reads:
            if isinstance(read.window, str):
                section, key = read.window.split(".")
                assert hasattr(sections[section].annotation, key) or (
                    key in sections[section].annotation.model_fields
                )


def test_every_job_is_a_module_with_a_run_function():
    for job in FLOW:
        assert callable(importlib.import_module(f"jobs.{job.name}").run)


def test_stored_logs_hold_the_canonical_columns():
    for log, columns in LOGS.items():
        stored = {c.name: c for c in TABLES[log].columns}
        for column in columns:
            assert stored[column.name] == column
