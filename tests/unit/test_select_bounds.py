"""A source's SELECT reads its views and nothing else, and runs no code."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.landing.select_bounds import refuse_reaching_out
from jobs.landing.sources import Source, source_names
from jobs.setup.exits import UsageError


@pytest.mark.parametrize(
    ("select", "what"),
    [
        ("SELECT * FROM parquet.`/etc/x`", "by their path"),
        ("select a from logs, CSV . `s3://b/x`", "by their path"),
        ("select a from logs join `text`.`/etc/passwd` using (a)", "by their path"),
        ("select a from org.apache.spark.sql.thing.`/etc/passwd`", "by their path"),
        ("select (select max(value) from text.`/etc/passwd`) from logs", "by their path"),
        ("select java_method('java.lang.System', 'getenv', 'HOME') from logs", "method of Java"),
        ("select Reflect ('a', 'b') from logs", "method of Java"),
        ("select try_reflect('a', 'b') from logs", "method of Java"),
        ("select transform(a) using 'cat' as (b) from logs", "runs a program"),
        ('from logs map a using\n "sh" as b', "runs a program"),
        ("drop table logs", "is no SELECT"),
        ("/* select */ set spark.x=1", "is no SELECT"),
        ("insert overwrite directory '/x' select 1", "is no SELECT"),
    ],
)
def test_what_reaches_out_is_refused(select: str, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        refuse_reaching_out(select, "impressions.sql")


@pytest.mark.parametrize(
    "select",
    [
        "-- parquet.`/x`\nSELECT * FROM logs",
        "with a as (select 'text.`/x` using' as b from logs) select * from a join logs using (b)",
        "(select json, text from logs)",
        "select v.`price/night`, transform(items, i -> i + 1) as more from logs v",
        "select reflection, json.field from logs",
    ],
)
def test_what_reads_its_views_is_not(select: str) -> None:
    refuse_reaching_out(select, "impressions.sql")


def test_the_line_is_told() -> None:
    with pytest.raises(UsageError, match=r"x\.sql, line 3: "):
        refuse_reaching_out("select a\nfrom logs\njoin text.`/etc/passwd`", "x.sql")


def test_a_source_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    for name in source_names():
        Source.load(name, tmp_path)
    for file in (Path(__file__).parents[2] / "conf/sources/canonical").iterdir():
        (tmp_path / file.name).write_text(file.read_text())
    (tmp_path / "clicks.sql").write_text("SELECT * FROM parquet.`/etc`")
    with pytest.raises(UsageError, match=r"clicks\.sql, line 1"):
        Source.load(tmp_path, tmp_path)
