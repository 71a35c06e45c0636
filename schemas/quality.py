"""Stage quality: results of checks, alerts, and the record of every run."""

from __future__ import annotations

from pyspark.sql import types as T

from schemas.table import DS, Column, Table

_STRINGS = T.ArrayType(T.StringType(), False)

QUALITY_RESULTS = Table(
    name="quality_results",
    stage="quality",
    grain="run, check and slice",
    columns=(
        Column("run_id", T.StringType(), "the run that checked"),
        Column("table", T.StringType(), "the table checked"),
        Column(
            "check", T.StringType(), "name of the check; of a publish gate `gate:` and its name"
        ),
        Column("slice", T.StringType(), "part of the table; empty for all of it"),
        Column("severity", T.StringType(), "block, quarantine, warn or info"),
        Column("status", T.StringType(), "PASS, WARN, FAIL, ERROR or SKIP"),
        Column("observed", T.DoubleType(), "what was measured", nullable=True),
        Column("expected", T.StringType(), "what was asked for"),
        Column("baseline", T.DoubleType(), "what it was compared with", nullable=True),
        Column("rows", T.LongType(), "rows looked at", nullable=True),
        Column("details", T.StringType(), "in words", nullable=True),
        Column(
            "cause",
            T.StringType(),
            "what has happened where the check does not pass; one cause of a day is one finding",
            nullable=True,
        ),
        Column(
            "state",
            T.StringType(),
            "what checks of later days need of this one, JSON",
            nullable=True,
        ),
        Column("checked_at", T.TimestampType(), "when (UTC)"),
        Column("low", T.DoubleType(), "least that `observed` may be", nullable=True),
        Column("high", T.DoubleType(), "most that `observed` may be", nullable=True),
        DS,
    ),
    keys=("run_id", "table", "check", "slice", "ds"),
    constraints={"status_known": "status IN ('PASS', 'WARN', 'FAIL', 'ERROR', 'SKIP')"},
)

ALERTS = Table(
    name="alerts",
    stage="quality",
    grain="event of an alert",
    columns=(
        Column("key", T.StringType(), "what the alert is about; of `muted` a pattern of keys"),
        Column("alert_id", T.StringType(), "from opened to resolved; empty for `muted`"),
        Column(
            "event",
            T.StringType(),
            "opened, worsened, eased, continued, resolved, repeated, sent, acknowledged, muted or "
            "unmuted",
        ),
        Column("at", T.TimestampType(), "when (UTC)"),
        Column("state", T.StringType(), "open or resolved, or muted or unmuted"),
        Column("severity", T.StringType(), "page, ticket or none"),
        Column("owners", _STRINGS, "who owns what is wrong, as rule files say"),
        Column("tables", _STRINGS, "the tables that are wrong"),
        Column("first_seen", T.TimestampType(), "when it was opened (UTC)"),
        Column("first_day", T.DateType(), "first log day that is wrong"),
        Column("problems", T.StringType(), "what is wrong now, JSON"),
        Column("title", T.StringType(), "first line of the message"),
        Column("text", T.StringType(), "the message"),
        Column("sent_to", _STRINGS, "routes that have taken the message of this state"),
        Column("known_to", _STRINGS, "routes that have taken any message of the alert"),
        Column("last_sent", T.TimestampType(), "when a route last took one (UTC)", nullable=True),
        Column("note", T.StringType(), "why a route has not taken it, in words", nullable=True),
        Column("run_id", T.StringType(), "the run that saw it", nullable=True),
        Column("who", T.StringType(), "who acknowledged, muted or told", nullable=True),
        Column("reason", T.StringType(), "why it was acknowledged or muted", nullable=True),
        Column("until", T.TimestampType(), "end of `muted` (UTC)", nullable=True),
        Column("ds", T.DateType(), "last log day that is wrong, or was"),
    ),
    keys=("key", "event", "at"),
    constraints={
        "state_known": "state IN ('open', 'resolved', 'muted', 'unmuted')",
        "severity_known": "severity IN ('page', 'ticket', 'none')",
    },
    partition_by=(),
)

RUNS = Table(
    name="runs",
    stage="quality",
    grain="run, job and day",
    columns=(
        Column("run_id", T.StringType(), "one call of the program"),
        Column("job", T.StringType(), "job of the flow"),
        Column("ds", T.DateType(), "log day made (UTC)"),
        Column("status", T.StringType(), "done, refused or failed"),
        Column("exit_code", T.IntegerType(), "as the process would end"),
        Column("started", T.TimestampType(), "start (UTC)"),
        Column("ended", T.TimestampType(), "end (UTC)"),
        Column("rows_in", T.LongType(), "rows read", nullable=True),
        Column("rows_out", T.LongType(), "rows written", nullable=True),
        Column("rows_quarantined", T.LongType(), "rows refused", nullable=True),
        Column("fingerprint", T.StringType(), "hash of inputs, configuration and output version"),
        Column("config_hash", T.StringType(), "hash of the whole effective configuration"),
        Column("code_version", T.StringType(), "version of the package"),
        Column("versions_in", T.StringType(), "{table: Delta version} read, JSON"),
        Column("versions_out", T.StringType(), "{table: Delta version} written, JSON"),
        Column("published", T.BooleanType(), "whether consumers may read this day's scores"),
        Column("details", T.StringType(), "what the job has to say, JSON"),
    ),
    keys=("run_id", "job", "ds"),
    partition_by=(),
)

TABLES = (QUALITY_RESULTS, ALERTS, RUNS)
