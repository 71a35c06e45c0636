"""The report: what it says of a day, in HTML, JSON and on the terminal."""

from __future__ import annotations

import doctest
import io
import json
import math
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from jobs.commands.arguments import Parser
from jobs.commands.report import configure, run
from jobs.reporting import summary
from jobs.reporting.collect import collect_report
from jobs.reporting.pages import write_page
from jobs.reporting.report_folder import has_report
from jobs.reporting.summary import machine_report, print_summary, write_report
from jobs.setup.config_layers import load_config
from jobs.setup.exits import InputMissing, UsageError
from jobs.storage.tables import Tables
from pipelines.models.judged import MetricRow, ReliabilityRow
from pipelines.quality import plots, report, wording
from pipelines.quality.report import render_html
from pipelines.quality.report_data import ReportData, ScoreRow
from tests.support.report_tables import DS, config, row, write_day, write_gates, write_runs


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    made = Tables(str(tmp_path_factory.mktemp("warehouse")))
    write_day(made, details={"fit_ensemble": {"degraded": ["rests on 5 of 7 days"]}})
    return made


@pytest.fixture(scope="module")
def data(tables: Tables) -> ReportData:
    return collect_report(tables, config(), DS)


@pytest.fixture(scope="module")
def html(data: ReportData) -> str:
    return render_html(data)


def day_of(root: Path, **runs: object) -> ReportData:
    made = Tables(str(root))
    write_runs(made, **runs)  # type: ignore[arg-type]
    return collect_report(made, config(), DS)


def text_of(html: str) -> str:
    body = re.sub(r"<(style|svg).*?</\1>", "", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def told(data: ReportData, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_summary(console, data, Path("reports/day.html"))
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_the_headline_says_that_the_day_is_published_and_how_many_scores_it_has(html: str) -> None:
    assert "Published: 400 click probabilities All 4 gates passed." in text_of(html)


def test_a_refused_day_says_why_and_what_consumers_go_on_reading(tmp_path: Path) -> None:
    made = Tables(str(tmp_path))
    write_gates(made, calibration_ratio="FAIL")
    earlier = row("runs", job="publish_scores", ds=DS - timedelta(days=1), published=True)
    made.write_rows("runs", [earlier], None)
    refused = day_of(tmp_path, published=False)
    assert not refused.published
    assert refused.verdict == (
        "Gate calibration_ratio failed: calibration_ratio is 1.02, asked for 0.8 to 1.25. "
        "Consumers go on reading the scores of 2025-03-13."
    )
    assert "Not published" in text_of(render_html(refused))
    assert "calibration_ratio is 1.02" in told(refused)


def test_undecided_gates_are_counted_in_the_headline_and_say_why(tmp_path: Path) -> None:
    write_gates(Tables(str(tmp_path)), calibration_ratio="SKIP")
    open_day = day_of(tmp_path)
    assert open_day.verdict == "Of 4 gates 3 passed, 1 could not be judged."
    why = "calibration_ratio is 1.02; asked for 0.8 to 1.25"
    assert f"gate undecided calibration_ratio : {why}" in text_of(render_html(open_day))
    assert "calibration_ratio is 1.02, asked for 0.8 to 1.25" in told(open_day, width=120)


def changed(data: ReportData, segment: str, name: str, low: float, high: float) -> ReportData:
    """The day with another metric of what is published."""
    wanted = ("published", segment, name)
    metrics = [m for m in data.metrics if (m.model, m.segment, m.metric) != wanted]
    found = MetricRow(*wanted, (low + high) / 2, low, high, 60_000, 580)
    return replace(data, metrics=[*metrics, found])


def test_a_day_that_nothing_speaks_against_has_a_tick(data: ReportData) -> None:
    assert report.headline(data) == "✓ published"


@pytest.mark.parametrize(
    ("segment", "name", "low", "high"),
    [
        ("mixed", "calibration_ratio", 0.85, 0.95),
        ("cold", "normalized_entropy_difference", 0.01, 0.03),
        ("warm", "auc_difference", -0.03, -0.01),
    ],
)
def test_a_number_that_is_wrong_beyond_chance_takes_the_tick_away(
    data: ReportData, segment: str, name: str, low: float, high: float
) -> None:
    off = changed(data, segment, name, low, high)
    assert report.headline(off) == "▲ published"
    assert "▲ Published: 400 click probabilities" in text_of(render_html(off))
    assert "✓ published" not in told(off)


def test_an_undecided_gate_takes_the_tick_away(tmp_path: Path) -> None:
    write_gates(Tables(str(tmp_path)), calibration_ratio="SKIP")
    assert "▲ published" in told(day_of(tmp_path))


def test_gates_of_an_earlier_attempt_are_not_told(tmp_path: Path) -> None:
    tables = Tables(str(tmp_path))
    write_gates(tables, run_id="earlier", calibration_ratio="FAIL")
    write_gates(tables)
    assert day_of(tmp_path).verdict == "All 4 gates passed."


def test_a_run_that_stopped_early_has_a_report_that_names_the_step(tmp_path: Path) -> None:
    details = {"label_impressions": {"error": "no clicks have landed"}}
    stopped = day_of(tmp_path, stop_at="label_impressions", details=details)
    assert "label_impressions refused (exit code 10): no clicks have landed." in stopped.verdict
    assert "This day was not judged" in text_of(render_html(stopped))


def test_the_same_data_give_the_same_bytes(data: ReportData, html: str) -> None:
    assert render_html(data) == html


def test_the_page_refers_to_nothing_outside_itself(html: str) -> None:
    assert not re.search(r"<script|<link|<img|@import|\ssrc=|url\((?!#)", html)
    addresses = set(re.findall(r"https?://[^\"'\s<>]+", html))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_ids_of_the_plots_do_not_collide(html: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids)) > 0
    used = set(re.findall(r"url\(#([^)]+)\)", html))
    assert used
    assert used <= set(ids)


def test_the_three_by_three_table_gives_differences_with_their_intervals(html: str) -> None:
    assert "content −1.40 −2.20 to −0.60 +6.10 3.60 to 8.60 −1.60" in text_of(html)


@pytest.mark.parametrize(
    ("low", "high", "auc", "entropy"),
    [(0.1, 0.2, "better", "worse"), (-0.2, -0.1, "worse", "better"), (-0.1, 0.1, "open", "open")],
)
def test_a_difference_is_called_better_only_beyond_its_interval(
    data: ReportData, low: float, high: float, auc: str, entropy: str
) -> None:
    verdicts = {}
    for block in report.TABLE_METRICS:
        found = MetricRow("content", "cold", block.difference, (low + high) / 2, low, high, 9, 1)
        only = replace(data, metrics=[found])
        verdicts[block.metric] = report.table_cells(only, "content", block)[1]["verdict"]
    assert verdicts == {"auc": auc, "log_loss": entropy, "normalized_entropy": entropy}


def of_field(value: str, ratio: float | None, low: float, high: float | None) -> MetricRow:
    return MetricRow("published", f"device={value}", "calibration_ratio", ratio, low, high, 90, 7)


def test_field_values_off_beyond_their_interval_are_listed(data: ReportData, html: str) -> None:
    assert "Field values that are off" not in html
    fine = of_field("tv", 1.2, 0.9, 1.5)
    off = [of_field("", 1.4, 1.2, 1.7), of_field("mobile", 0.7, 0.6, 0.9)]
    dead = of_field("watch", None, 30.0, None)
    page = text_of(render_html(replace(data, metrics=[*data.metrics, fine, *off, dead])))
    assert "Of 4 values" in page
    assert "device=unknown 1.400 1.200 to 1.700 90 7 device=mobile 0.700 0.600 to 0.900" in page
    assert "device=watch –" in page
    assert "device=tv" not in page
    alone = text_of(render_html(replace(data, metrics=[*data.metrics, fine])))
    assert "None; values of the calibration fields that were judged: 1." in alone


def test_every_simpler_form_is_told_in_page_and_terminal(data: ReportData, html: str) -> None:
    assert "fit_ensemble : rests on 5 of 7 days" in text_of(html)
    assert "simpler form, fit_ensemble: rests on 5 of 7 days" in told(data)


def test_windows_name_the_days_they_lack(data: ReportData, html: str) -> None:
    window = next(w for w in data.windows if w.name == "history, promoted")
    assert DS - timedelta(days=4) in window.missing
    assert len(window.missing) == 12
    assert "18 of 30" in text_of(html)
    assert "12 Feb to 22 Feb, 10 Mar" in text_of(html)


def test_quarantine_counts_rows_once_and_reasons_each(data: ReportData) -> None:
    assert data.quarantined_rows == {"clicks": 5, "impressions": 32}
    assert {(q.log, q.reason): q.rows for q in data.quarantine} == {
        ("clicks", "click_without_impression"): 5,
        ("impressions", "null_key"): 12,
        ("impressions", "bad_timestamp"): 20,
        ("impressions", "position_below_1"): 20,
    }


def test_the_newest_result_of_a_check_counts(tables: Tables, data: ReportData) -> None:
    assert [(c.check, c.status) for c in data.checks] == [
        ("keys_unique", "PASS"),
        ("null_rate", "WARN"),
        ("coverage", "PASS"),
    ]


def test_of_two_results_of_a_check_the_newer_is_told(tmp_path: Path) -> None:
    tables = Tables(str(tmp_path))
    first = row("quality_results", run_id="earlier", status="FAIL")
    again = row("quality_results", checked_at=first["checked_at"] + timedelta(hours=1))
    tables.write_rows("quality_results", [again, first], None)
    assert [c.status for c in day_of(tmp_path).checks] == ["PASS"]


def test_days_made_in_one_go_are_one_step(tmp_path: Path) -> None:
    made = Tables(str(tmp_path))
    days = [DS - timedelta(days=back) for back in range(3)]
    made.write_rows("runs", [row("runs", ds=day, rows_out=10) for day in days], None)
    (step,) = collect_report(made, config(), DS).steps
    assert (step.days, step.rows_out, step.seconds) == (3, 30, 60.0)


def test_label_completeness_is_the_share_of_clicks_before_the_cut_off(data: ReportData) -> None:
    assert [(c.ds, c.share) for c in data.completeness] == [(DS, 0.98)]


def test_texts_of_listings_cannot_become_markup(data: ReportData) -> None:
    hostile = ScoreRow("<b>1", "<script>[red]x</script>", 0.1, 0.1, 0.1, "warm", 3, 0.1)
    hostile_day = replace(data, scores=replace(data.scores, top=[hostile], top_cold=[]))
    assert "<script>" not in render_html(hostile_day)
    assert "<script>[red]x</script>" in told(hostile_day, width=140)


def test_a_group_without_clicks_is_drawn_on_the_log_axis() -> None:
    empty = ReliabilityRow("published", "cold", 0, 0.002, 0.0, 0.0, 0.01, 100)
    svg = plots.reliability_plot([empty], ["mixed", "cold"])
    assert svg is not None
    assert "nan" not in svg.lower()


def test_nothing_to_draw_is_no_plot() -> None:
    assert plots.reliability_plot([], ["mixed"]) is None
    assert plots.traffic_plot([]) is None
    assert plots.difference_plot([("AUC", 1.0, [])], ["content"], ["cold"]) is None


def test_a_share_of_nothing_has_its_place_in_the_reports(data: ReportData, tmp_path: Path) -> None:
    endless = replace(data.checks[0], status="FAIL", observed=math.inf)
    spoilt = replace(data, checks=[endless, *data.checks[1:]])
    _, machine = write_report(spoilt, str(tmp_path))
    assert json.loads(machine.read_text(encoding="utf-8"))["checks"][0]["observed"] is None


def test_the_machine_report_is_strict_json_with_all_that_a_monitor_needs(data: ReportData) -> None:
    text = json.dumps(machine_report(data), allow_nan=False)
    plain = json.loads(text)
    assert plain["ds"] == "2025-03-14"
    assert plain["published"] is True
    assert plain["steps"][0]["job"] == "ingest_logs"
    assert plain["steps"][0]["seconds"] == 2.5
    assert plain["quarantined_rows"] == {"clicks": 5, "impressions": 32}
    assert {g["check"]: g["status"] for g in plain["gates"]}["coverage"] == "PASS"
    assert plain["versions"]["listing_scores"] == 13
    assert {"model": "content", "metric": "auc"}.items() <= plain["metrics"][0].items()


def test_a_report_that_was_not_written_to_its_end_is_not_there(
    data: ReportData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def write_one(path: Path, text: str) -> Path:
        if written:
            raise UsageError("the disk is full")
        written.append(path)
        return write_page(path, text)

    monkeypatch.setattr(summary, "write_page", write_one)
    reports = load_config(settings=[f"storage.reports='{tmp_path}'"], environment={})
    with pytest.raises(UsageError, match="full"):
        write_report(data, str(tmp_path))
    assert not has_report(reports, data.ds)
    monkeypatch.undo()
    write_report(data, str(tmp_path))
    assert has_report(reports, data.ds)


def test_the_summary_fits_eighty_columns_and_names_the_report(data: ReportData) -> None:
    text = told(data)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "report: reports/day.html" in text
    assert re.search(r"published +\+1.90 +\+7.90 +\+1.80", text)
    assert "l007" in text  # the best cold listing


def test_both_files_are_written_and_nothing_else(data: ReportData, tmp_path: Path) -> None:
    html, machine = write_report(data, str(tmp_path / "reports"))
    assert {html, machine} == set((tmp_path / "reports").iterdir())
    assert html.read_text(encoding="utf-8") == render_html(data)
    assert json.loads(machine.read_text(encoding="utf-8")) == machine_report(data)


def test_a_place_that_cannot_be_written_is_told_in_one_line(
    data: ReportData, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot write the report"):
        write_report(data, str(tmp_path / "file"))


def test_the_command_takes_the_newest_judged_day(tables: Tables, tmp_path: Path) -> None:
    parser = Parser()
    configure(parser)
    console = Console(file=io.StringIO())
    assert run(parser.parse_args([]), config(str(tmp_path)), tables, console) == 0  # type: ignore[arg-type]
    assert (tmp_path / "2025-03-14.html").exists()


def test_a_day_that_was_not_run_is_named(tables: Tables, tmp_path: Path) -> None:
    parser = Parser()
    configure(parser)
    given = parser.parse_args(["--date", "2024-01-01"])
    with pytest.raises(InputMissing, match="nothing was run for 2024-01-01; the newest day is"):
        run(given, config(str(tmp_path)), tables, Console(file=io.StringIO()))  # type: ignore[arg-type]


def test_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(wording).failed == 0
    assert doctest.testmod(plots).failed == 0
