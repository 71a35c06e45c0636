"""Attributes that come and go: the joint model's days are the same however they are made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from jobs.planning.joint_inputs import known_registry
from jobs.reporting.namespaces import read_registry
from tests.support.chain import Chain
from tests.support.world import World, day, tiny

DAYS = [day(number) for number in range(1, 6)]
LAST = DAYS[-1]
NEW = {DAYS[2], DAYS[4]}
"""Days on which requests say their channel and listings their brand; the fourth does not."""
STATE = ("joint_state", "joint_contents", "joint_holdings", "joint_pairs")
DAILY = ("joint_rows", "joint_namespaces", "joint_predictions", "joint_priors", "joint_weights",
         "joint_runs")  # fmt: skip


def with_attribute(path: Path, key: str, values: list[str]) -> None:
    """Give the rows of a landing file one attribute more."""
    rows = pq.ParquetFile(path).read()
    given = [
        [*(own or []), (key, values[hash_of(name) % len(values)])]
        for own, name in zip(rows["attributes"].to_pylist(), rows[0].to_pylist(), strict=True)
    ]
    at = rows.schema.get_field_index("attributes")
    made = pa.array(given, pa.map_(pa.string(), pa.string()))
    pq.write_table(rows.set_column(at, "attributes", made), path)


def hash_of(name: str) -> int:
    """A number that says nothing of the row."""
    return sum(name.encode())


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = World.make(tmp_path_factory.mktemp("attributes"), tiny(len(DAYS)))
    for at in NEW:
        for log, key, values in (
            ("impressions", "channel", ["app", "web"]),
            ("impressions", "trace", [str(k) for k in range(997)]),
            ("listings", "brand", ["x", "y", "z"]),
        ):
            with_attribute(made.landing / log / f"ds={at}" / "part-00000.parquet", key, values)
    return made.landing


@pytest.fixture(scope="module")
def whole(landing: Path, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """All days in one go."""
    chain = Chain(tmp_path_factory.mktemp("whole") / "warehouse", landing)
    chain = replace(chain, settings=(*chain.settings, "joint.most_values=100"))
    chain.make("train_joint", *DAYS)
    return chain


@pytest.fixture(scope="module")
def by_day(whole: Chain, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The same days, each from the stored state of the day before."""
    single = replace(whole, root=tmp_path_factory.mktemp("single") / "warehouse")
    for at in DAYS:
        single.make("train_joint", at)
    return single


@pytest.mark.parametrize("table", DAILY)
def test_days_with_new_attributes_are_the_same_made_at_once_and_day_by_day(
    table: str, whole: Chain, by_day: Chain
) -> None:
    for at in DAYS:
        assert by_day.rows(table, at) == whole.rows(table, at), at


@pytest.mark.parametrize("table", STATE)
def test_the_state_is_the_same_made_at_once_and_day_by_day(
    table: str, whole: Chain, by_day: Chain
) -> None:
    assert whole.tables.read_arrow(table, [LAST]).num_rows
    assert by_day.rows(table, LAST) == whole.rows(table, LAST)


def namespaces(chain: Chain, at: object) -> dict[str, int]:
    """Weights with evidence by namespace, at the first scale."""
    rows = chain.tables.read_arrow("joint_priors", [at]).to_pylist()  # type: ignore[list-item]
    return {row["namespace"]: row["coordinates"] for row in rows if row["scale"] == 1.0}


def test_an_attribute_is_learnt_from_the_day_on_which_it_comes_and_kept(whole: Chain) -> None:
    for number, at in enumerate(DAYS):
        found = namespaces(whole, at)
        for name, values in (("attributes.channel", 2), ("surface_x_attributes.channel", 4)):
            assert found.get(name) == (values if number >= 2 else None), (name, at)
        if at in NEW:  # What a listing is made of is what the newest snapshot says.
            assert found["listing_attributes.brand"] == 3


def test_of_a_day_the_namespaces_are_those_of_its_own_rows(whole: Chain) -> None:
    for at in DAYS:
        rows = whole.tables.read_arrow("joint_namespaces", [at]).to_pylist()
        taken = {row["namespace"] for row in rows if row["attribute"] and not row["left_out"]}
        assert ("attributes.channel" in taken) == (at in NEW)
        assert {"listing_attributes.material", "listing_attributes.shipping"} <= taken
        assert "attributes.page_type" not in taken
        (known,) = (row["values"] for row in rows if row["namespace"] == "page_type")
        assert {"search", "category", "home"} == set(known)


def test_an_attribute_of_too_many_values_is_left_out_and_the_record_says_so(whole: Chain) -> None:
    for at in DAYS:
        rows = whole.tables.read_arrow("joint_namespaces", [at]).to_pylist()
        left_out = {row["namespace"]: row["left_out"] for row in rows if row["left_out"]}
        assert set(left_out) == ({"attributes.trace"} if at in NEW else set())
        said = whole.records["build_joint_rows", at].details.get("degraded", [])
        assert [text.split(":")[0] for text in said] == (["attributes.trace"] if at in NEW else [])


def test_no_row_of_a_day_enters_another_one_or_its_prediction(whole: Chain, tmp_path: Path) -> None:
    other = whole.duplicate(tmp_path)
    path = other.landing / "impressions" / f"ds={LAST}" / "part-00000.parquet"
    shown = pq.ParquetFile(path).read()
    # All of one surface's rows but every third: queries, listings and prices lose what they had.
    keep = [k % 3 == 0 or s == "promoted" for k, s in enumerate(shown["surface"].to_pylist())]
    kept = shown.filter(pa.array(keep))
    pq.write_table(kept, path)
    path = other.landing / "clicks" / f"ds={LAST}" / "part-00000.parquet"
    clicks = pq.ParquetFile(path).read()
    lost = pc.is_in(shown["impression_id"], kept["impression_id"])
    lost = shown["impression_id"].filter(pc.invert(lost))
    pq.write_table(clicks.filter(pc.invert(pc.is_in(clicks["impression_id"], lost))), path)
    other.make("train_joint", LAST)
    for table in ("joint_rows", "joint_predictions"):
        all_rows, fewer = (made.tables.read_arrow(table, [LAST]) for made in (whole, other))
        same = all_rows.filter(pc.is_in(all_rows["order_key"], fewer["order_key"]))
        assert len(fewer) == len(same) > 100
        assert table == "joint_predictions" or len(fewer) < len(all_rows)
        assert fewer.sort_by("order_key").equals(same.sort_by("order_key"))


def test_a_day_without_an_attribute_still_knows_its_weights(by_day: Chain) -> None:
    at = DAYS[3]
    assert at not in NEW
    assert "channel" in known_registry(by_day.config, by_day.tables, at).keys["request"]
    rows = {row["namespace"]: row for row in read_registry(by_day.tables, by_day.config, at).rows}
    for name, weights in (("attributes.channel", 2), ("surface_x_attributes.channel", 4)):
        figures = {key: rows[name][key] for key in ("coverage", "values", "coordinates")}
        assert figures == {"coverage": 0.0, "values": 0, "coordinates": weights}
    assert rows["listing_attributes.material"]["coverage"] == 1.0
    assert sum(row["share"] for row in rows.values() if row["level"] == "row") == pytest.approx(1.0)
