"""`promoted-ctr features`: what it says of each namespace is what the stored tables hold."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from rich.console import Console

from jobs.commands import features
from jobs.commands.arguments import Parser
from jobs.setup.exits import InputMissing
from jobs.storage.tables import Tables
from pipelines.features.joint_namespace import JointNamespace
from pipelines.features.joint_registry import JointRegistry
from pipelines.models import namespace_figures
from tests.support.chain import Chain
from tests.support.world import day
from tests.unit.conftest import DAYS

LAST = day(DAYS)
Capture = pytest.CaptureFixture[str]


def call(chain: Chain, *given: str, width: int = 80) -> str:
    parser = Parser()
    features.configure(parser)
    console = Console(file=io.StringIO(), width=width)
    arguments = parser.parse_args(list(given))
    assert features.run(arguments, chain.config, Tables(str(chain.root)), console) == 0
    return str(console.file.getvalue())  # type: ignore[attr-defined]


@pytest.fixture
def told(chain: Chain, capsys: Capture) -> dict[str, Any]:
    call(chain, "--format", "json")
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_figures_are_those_of_the_day_s_rows(chain: Chain, told: dict[str, Any]) -> None:
    assert told["ds"] == str(LAST)
    rows = {row["namespace"]: row for row in told["namespaces"]}
    shown = chain.tables.read_arrow("labeled_impressions", [LAST])
    shown = shown.filter(shown["is_valid_traffic"])
    for name, column in (("user", "user_id"), ("query", "query"), ("device", "device")):
        assert rows[name]["coverage"] == 1 - shown[column].null_count / len(shown)
        assert rows[name]["values"] == pc.count_distinct(shown[column]).as_py()
    assert rows["query_is_unknown"]["coverage"] == pytest.approx(1 - rows["query"]["coverage"])
    # What only the model knows has its values too.
    assert rows["usual_category"]["coverage"] == pytest.approx(rows["query"]["coverage"])
    listings = chain.tables.read_arrow("listings", [LAST])
    assert rows["shop"]["values"] == pc.count_distinct(listings["shop_id"]).as_py()
    assert rows["shop"]["coverage"] == 1.0


def test_shares_and_costs_of_all_add_up_and_priors_are_the_learnt_ones(
    chain: Chain, told: dict[str, Any]
) -> None:
    rows = told["namespaces"]
    of_rows = [row for row in rows if row["level"] == "row"]
    assert sum(row["share"] for row in of_rows) == pytest.approx(1.0)
    assert sum(row["cost"] for row in rows) == pytest.approx(1.0)
    stored = {
        (row["level"], row["namespace"]): row["variance"]
        for row in chain.tables.read_arrow("joint_priors", [LAST]).to_pylist()
        if row["scale"] == told["scale"]
    }
    assert {(row["level"], row["namespace"]) for row in rows} == set(stored)
    for row in rows:
        assert row["learnt"] ** 2 == pytest.approx(stored[row["level"], row["namespace"]])
    by_name = {row["namespace"]: row for row in rows}
    # A day's constant explains nothing, the strongest planted effect most of all crosses.
    assert by_name["bias"]["share"] == pytest.approx(0.0, abs=1e-12)
    crosses = [row for row in of_rows if row["kind"] == "cross"]
    assert max(crosses, key=lambda row: row["share"])["namespace"] == "surface_x_position"


def test_contents_are_a_part_of_what_their_entity_adds(told: dict[str, Any]) -> None:
    contents = [row for row in told["namespaces"] if row["level"] == "content"]
    of_listing = [row for row in contents if row["scope"] == "listing"]
    assert any(row["share"] > 0.001 for row in of_listing)
    kinds = {row["namespace"]: row["kind"] for row in of_listing}
    assert (kinds["title_word"], kinds["image"]) == ("token", "dense")


def test_no_ids_collide_and_what_was_counted_is_said(told: dict[str, Any], chain: Chain) -> None:
    assert told["coordinates_with_the_id_of_another"] == 0
    counted = {row["namespace"] for row in told["namespaces"] if row["collisions"] == 0}
    assert {"user", "query", "listing", "title_word", "tag", "user_x_category_1"} <= counted
    assert not [row for row in told["namespaces"] if row["collisions"]]
    weights = len(chain.tables.read_arrow("joint_state", [LAST]))
    assert f"collisions: 0, counted over the day's values and all {weights:,}" in (
        call(chain, width=200)
    )


def test_ids_that_collide_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert namespace_figures.shared_ids(np.array([3, 5, 3, 3])) == 2
    user = JointNamespace("user", "request", "identity", ("user_id",), 0.3)
    rows = pa.RecordBatch.from_pydict({"user_id": ["a", "b", "a", None, "c"]})
    assert namespace_figures.text_collisions(user, rows) == 0
    monkeypatch.setattr(
        namespace_figures, "value_ids", lambda name, labels: np.zeros(len(labels), np.int64)
    )
    assert namespace_figures.text_collisions(user, rows) == 2
    device = JointNamespace("device", "request", "identity", ("device",), 0.3)
    both = JointNamespace("both", "cross", "cross", ("user", "device"), 0.3)
    registry = JointRegistry([user, device, both])
    index = np.array([[0, 5, 7], [1, 5, 8], [0, 6, 7], [-1, 6, -1]], dtype=np.int32)
    assert namespace_figures.cross_collisions(registry, index) == {"both": 1}


def test_csv_has_a_line_for_each_namespace(
    chain: Chain, told: dict[str, Any], capsys: Capture
) -> None:
    call(chain, "--format", "csv", "--date", str(LAST))
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [line["namespace"] for line in lines] == [r["namespace"] for r in told["namespaces"]]
    assert lines[0]["inputs"] == ""


def test_every_namespace_has_its_whole_figures_on_a_narrow_terminal(
    chain: Chain, told: dict[str, Any]
) -> None:
    shown = call(chain, width=80)
    for row in told["namespaces"]:
        (line,) = (text for text in shown.splitlines() if text.split()[:1] == [row["namespace"]])
        assert line.split()[1] == f"{row['coverage']:.1%}"


def test_a_day_whose_model_is_not_stored_is_told_with_those_that_are(chain: Chain) -> None:
    with pytest.raises(InputMissing, match=f"of 2020-01-01 is not stored whole, .*{LAST} is"):
        call(chain, "--date", "2020-01-01")


def test_where_nothing_was_learnt_it_says_how_to_start(chain: Chain, tmp_path: Any) -> None:
    from dataclasses import replace

    with pytest.raises(InputMissing, match="start with `promoted-ctr run`"):
        call(replace(chain, root=tmp_path))
