"""`promoted-ctr runs` and `scores`: what they show, and what they say when there is nothing."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import mmh3
import pytest
from rich.console import Console

from jobs.commands import runs, scores
from jobs.commands.arguments import Parser, add_common
from jobs.setup.exits import InputMissing, UsageError
from jobs.storage.tables import Tables
from tests.support.report_tables import DS, config, row, write_runs, write_scores

Capture = pytest.CaptureFixture[str]


def call(
    command: ModuleType, root: Path, *given: str, settings: object = None, width: int = 80
) -> str:
    parser = Parser()
    command.configure(parser)
    console = Console(file=io.StringIO(), width=width)
    arguments = parser.parse_args(list(given))
    assert command.run(arguments, settings or config(), Tables(str(root)), console) == 0
    return str(console.file.getvalue())  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("warehouse")
    tables = Tables(str(made))
    write_scores(tables)
    write_runs(tables)
    extra = [
        row("runs", job="train_models", ds=DS - timedelta(days=back), rows_out=7, run_id="run-0",
            started=datetime(2025, 3, 1, tzinfo=UTC), ended=datetime(2025, 3, 1, 0, 2, tzinfo=UTC))
        for back in (1, 2, 3)
    ] + [
        row("runs", job="ingest_logs", ds=date(2025, 2, 1), status="failed", exit_code=20,
            started=datetime(2025, 2, 1, tzinfo=UTC), ended=datetime(2025, 2, 1, 0, 2, tzinfo=UTC),
            details=json.dumps({"error": "part-0.parquet is truncated"}))
    ]  # fmt: skip
    tables.write_rows("runs", extra, None)
    return made


def test_the_table_and_its_notes_fit_80_columns_and_keep_what_to_do(root: Path) -> None:
    what = 'later days go on after promoted-ctr leave-out --date 2025-02-02 --reason "..."'
    row_of = row(
        "runs", job="predict_traffic", ds=date(2025, 2, 2), status="refused", exit_code=10,
        rows_out=12_345_678, rows_quarantined=3,
        details=json.dumps({"error": "stopped by quality: " + "rows of a day: 0; " * 40 + what}),
    )  # fmt: skip
    Tables(str(root)).write_rows("runs", [row_of], None)
    shown = call(runs, root, "--date", "2025-02-02")
    assert max(map(len, shown.splitlines())) <= 80
    assert "…" not in shown
    assert "predict_traffic" in shown
    assert "12,345,678" in shown
    assert what in " ".join(shown.split())


@pytest.mark.parametrize("command", [runs, scores])
def test_own_flags_go_together_with_the_common_ones(command: ModuleType) -> None:
    parser = Parser()
    command.configure(parser)
    add_common(parser)
    assert "examples:" in parser.format_help()


def test_runs_come_newest_first(root: Path, capsys: Capture) -> None:
    call(runs, root, "--format", "json", "--limit", "2")
    lines = json.loads(capsys.readouterr().out)
    assert [line["job"] for line in lines] == ["publish_scores", "score_listings"]


@pytest.mark.parametrize(
    ("given", "jobs"),
    [
        (["--status", "failed"], {"ingest_logs"}),
        (["--date", "2025-03-13"], {"train_models"}),
        (["--job", "fit_ensemble"], {"fit_ensemble"}),
    ],
)
def test_runs_are_chosen_by_job_day_and_outcome(
    root: Path, capsys: Capture, given: list[str], jobs: set[str]
) -> None:
    call(runs, root, "--format", "json", *given)
    assert {line["job"] for line in json.loads(capsys.readouterr().out)} == jobs


def test_days_made_in_one_go_are_one_line(root: Path, capsys: Capture) -> None:
    call(runs, root, "--format", "csv", "--job", "train_models")
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    line = next(line for line in lines if line["run_id"] == "run-0")
    assert (line["first_day"], line["last_day"], line["days"]) == ("2025-03-11", "2025-03-13", "3")
    assert (line["rows_out"], line["seconds"]) == ("21", "120.0")


def test_a_failure_is_told_with_its_reason(root: Path) -> None:
    assert "ingest_logs 2025-02-01: part-0.parquet is truncated" in call(runs, root)


@pytest.mark.parametrize("command", [runs, scores])
def test_an_empty_warehouse_is_told(command: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="nothing was"):
        call(command, tmp_path)


def test_scores_show_the_highest_first(root: Path) -> None:
    shown = call(scores, root, "--limit", "3")
    assert "published scores of 2025-03-14: 3 of 400 listings" in shown
    assert [line.split()[0] for line in shown.splitlines() if " l0" in line] == [
        "l000",
        "l001",
        "l002",
    ]


def test_all_scores_leave_as_csv_in_full_precision(root: Path, capsys: Capture) -> None:
    call(scores, root, "--format", "csv", "--limit", "0")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 400
    values = [float(row["p_click"]) for row in rows]
    assert values == sorted(values, reverse=True)


def test_scores_of_one_segment(root: Path, capsys: Capture) -> None:
    call(scores, root, "--format", "json", "--segment", "cold", "--limit", "2")
    rows = json.loads(capsys.readouterr().out)
    assert [(r["listing_id"], r["segment"]) for r in rows] == [("l007", "cold"), ("l017", "cold")]


def test_unpublished_scores_are_shown_only_when_asked_for(tmp_path: Path) -> None:
    tables = Tables(str(tmp_path))
    write_scores(tables, listings=5)
    write_runs(tables, published=False)
    for given in ([], ["--date", str(DS)]):
        with pytest.raises(InputMissing, match=r"nothing was published .*--staged shows"):
            call(scores, tmp_path, *given)
    assert "staged scores of 2025-03-14" in call(scores, tmp_path, "--staged")


def test_a_day_staged_again_does_not_change_what_is_published(
    tmp_path: Path, capsys: Capture
) -> None:
    tables = Tables(str(tmp_path))
    write_scores(tables, listings=5)
    version = json.dumps({"listing_scores": tables.version("listing_scores")})
    record = row("runs", job="publish_scores", published=True, versions_in=version)
    tables.write_rows("runs", [record], None)
    write_scores(tables, listings=3)
    call(scores, tmp_path, "--format", "json")
    assert len(json.loads(capsys.readouterr().out)) == 5


def test_a_listing_without_a_score_is_named(root: Path) -> None:
    with pytest.raises(InputMissing, match="listing nope has no score on 2025-03-14"):
        call(scores, root, "--listing", "nope")


def test_one_listing_has_no_csv_form(root: Path) -> None:
    with pytest.raises(UsageError, match="--format json"):
        call(scores, root, "--listing", "l000", "--format", "csv")


def test_lists_are_shown_without_loading_kernels_or_plots(root: Path) -> None:
    code = (
        "import sys\n"
        "from rich.console import Console\n"
        "from jobs.commands import runs, scores\n"
        "from jobs.commands.arguments import Parser\n"
        "from jobs.storage.tables import Tables\n"
        "for command in (runs, scores):\n"
        "    parser = Parser()\n"
        "    command.configure(parser)\n"
        f"    command.run(parser.parse_args([]), None, Tables({str(root)!r}), Console())\n"
        "print({'matplotlib', 'numba', 'scipy'} & set(sys.modules))\n"
        "from jobs.setup.exits import leave\n"
        "leave(0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")


BITS = 10
MODEL_OF = {"price": "content", "quantity": "historical"}
WEIGHT_OF = {"content": 0.375, "historical": -0.125}


def explained_world(root: Path, *, stored: float | None = None) -> tuple[float, object]:
    """Write one listing with a hand-made model; give its p_click by hand and the configuration."""
    from pipelines.features.assemble import explain_listing
    from pipelines.features.registry import Namespace

    tables = Tables(str(root))
    listing = row("listings")
    namespaces = [
        Namespace(name, model, "listing", "log_band", (name,)) for name, model in MODEL_OF.items()
    ]
    tables.write_rows("listings", [listing], [DS])
    count = {"entity_type": "listing", "entity_id": "l1", "surface": "promoted", "impressions": 9,
             "clicks": 1, "expected_clicks_micro": 500_000, "ds": DS}  # fmt: skip
    tables.write_rows("entity_counts", [count], [DS])
    batch = tables.read_arrow("listings", [DS]).combine_chunks().to_batches()[0]
    tokens = explain_listing(namespaces, batch, {})
    mask = (1 << BITS) - 1
    rows = [
        {"model": model, "slot": mmh3.hash(f"{namespace}={value}", 42) & mask,
         "weight": WEIGHT_OF[model], "z": 0.0, "n": 4.0, "sqrt_n": 2.0, "ds": DS}
        for model, namespace, value, _ in tokens
    ]  # fmt: skip
    tables.write_rows("model_weights", rows, [DS])
    trained = [
        {"model": m, "parameters": "{}", "hash_seed": 42, "bits": BITS, "dense": 0, "rows": 9,
         "clicks": 1, "first_day": DS, "days": 1, "progressive_log_loss": 0.1, "slots": 2,
         "level_shift": 0.0, "ds": DS}
        for m in ("historical", "content")
    ]  # fmt: skip
    tables.write_rows("training_runs", trained, [DS])
    terms = {"intercept": -4.0, "historical_listing": 0.5, "content_listing": 2.0,
             "historical_context": 0.5, "content_context": 1.5, "cold_threshold": 20.0}  # fmt: skip
    fit = {"form": "two_slopes", "reason": "30 clicks", "rows": 900, "clicks": 30, "ds": DS}
    made = [{"term": term, "weight": w, **fit} for term, w in terms.items()]
    tables.write_rows("ensemble_weights", made, [DS])
    curve = [
        *(
            ("map", f"beta.{name}", None, 0.0, y)
            for name, y in (("a", 1.1), ("b", 0.9), ("c", 0.2))
        ),
        ("factor", "shop", "s1", 5.0, 1.25),
        ("factor", "segment", "cold", 3.0, 0.8),
        ("factor", "device", "phone", 9.0, 0.5),
    ]
    names = ("kind", "name", "value", "x", "y")
    knots = [dict(zip(names, one, strict=True)) | {"ds": DS} for one in curve]
    tables.write_rows("calibration_maps", knots, [DS])

    # The listing's terms are of its logits at the reference context.
    logit = -4.0 + 2.0 * (0.375 - 0.2) + 0.5 * (-0.125 + 0.3)
    p = 1 / (1 + math.exp(-logit))
    calibrated = 1.1 * math.log(p) - 0.9 * math.log(1 - p) + 0.2
    p_click = 1.25 * 0.8 / (1 + math.exp(-calibrated))
    score = row("listing_scores", p_click=stored or p_click, segment="cold", window_impressions=9)
    tables.write_rows("listing_scores", [score], [DS])
    reference = {"reference": {"device": "tablet"}, "reference_logit_historical": 0.3,
                 "reference_logit_content": -0.2}  # fmt: skip
    write_runs(tables, details={"score_listings": reference})
    settings: Any = config()
    settings.history = SimpleNamespace(
        search_days=14, promoted_days=30, window_days=30, min_strength=0.5, max_strength=200.0
    )
    settings.features = SimpleNamespace(namespaces=[_Dumped(vars(n)) for n in namespaces], more=())
    return p_click, settings


class _Dumped(SimpleNamespace):
    def __init__(self, values: dict[str, object]) -> None:
        super().__init__(**values)
        self.values = values

    def model_dump(self, mode: str = "python") -> dict[str, object]:
        return self.values


def test_a_score_is_recomputed_from_the_stored_parts(tmp_path: Path, capsys: Capture) -> None:
    p_click, settings = explained_world(tmp_path)
    call(scores, tmp_path, "--listing", "l1", "--format", "json", settings=settings)
    found = json.loads(capsys.readouterr().out)
    assert found["explanation"]["recomputed"] == pytest.approx(p_click, rel=1e-12)
    assert found["is_recomputed_equal"]
    assert {f["namespace"] for f in found["explanation"]["features"]} == {"price", "quantity"}
    factors = {f["field"]: f["factor"] for f in found["explanation"]["factors"]}
    assert factors == {"device": 1.0, "segment": 0.8, "shop": 1.25}


def test_a_score_that_the_parts_do_not_give_is_called_out(tmp_path: Path) -> None:
    _, settings = explained_world(tmp_path, stored=0.5)
    shown = call(scores, tmp_path, "--listing", "l1", settings=settings, width=200)
    assert "NOT equal: inputs, configuration or code have changed since" in shown
    assert "content_listing" in shown
