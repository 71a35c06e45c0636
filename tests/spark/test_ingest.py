"""What ingestion accepts, what it refuses and why, and that nothing is lost between."""

import gzip
import json
import shutil
from datetime import date, timedelta
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from jobs.setup.exits import ExitCode, InputMissing, UsageError
from pipelines.logs.reasons import REASONS
from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.marketplace import simulate
from tests.support.ingesting import DAY, at, ingest, land, make_step, row, stored

NEXT = DAY + timedelta(days=1)
TABLES = ("impressions", "clicks", "listings")
LONG = "x" * 5000
shown, click = partial(row, "impressions"), partial(row, "clicks")
NOT_UTF8 = json.dumps(row("impressions", impression_id="b", query="Z")).encode()

# Every row that must be refused: its log, the row, all its reasons.
REFUSED = [
    ("impressions", '{"impression_id": "b1", "ts"', ["not_json"]),
    ("impressions", "[1, 2]", ["not_json"]),
    ("impressions", "7", ["not_json"]),
    ("impressions", NOT_UTF8.replace(b"Z", b"\xff\xfe"), ["invalid_utf8"]),
    ("impressions", shown(without="listing_id", impression_id="b2"), ["missing_column"]),
    ("impressions", shown(impression_id=None), ["null_key"]),
    ("impressions", shown(impression_id="b3", listing_id=None), ["null_key"]),
    ("impressions", shown(impression_id=""), ["empty_key"]),
    ("impressions", shown(impression_id=""), ["empty_key"]),
    ("impressions", shown(impression_id="b4", ts="soon"), ["unparsable_timestamp"]),
    ("impressions", shown(impression_id="b5", position="3rd"), ["unparsable_number"]),
    ("impressions", shown(impression_id="b6", position=2.5), ["unparsable_number"]),
    ("impressions", shown(impression_id="b7", ts="2026-01-03T00:00:00Z"), ["outside_day"]),
    ("impressions", shown(impression_id="b8", ts="2026-01-01T23:59:59.999999Z"),
     ["outside_day"]),
    ("impressions", shown(impression_id="b9", position=0), ["position_below_1"]),
    ("impressions", shown(impression_id="b10", surface="ads"), ["unknown_surface"]),
    ("impressions", shown(impression_id="b11", query=LONG), ["oversized_string"]),
    ("impressions", shown(impression_id="b12", attributes={"k": LONG}),
     ["oversized_string"]),
    ("impressions", shown(impression_id="b13", attributes="{oops"), ["unparsable_value"]),
    ("impressions", shown(ts="2026-01-02T11:00:00Z"), ["duplicate_id"]),
    ("impressions", shown(ts="2026-01-02T09:00:00Z", surface="ads"),
     ["duplicate_id", "unknown_surface"]),
    ("impressions", shown(impression_id="b14", ts="soon", surface="ads", position=0),
     ["position_below_1", "unknown_surface", "unparsable_timestamp"]),
    ("clicks", click(click_id="d1", impression_id="none"), ["click_without_impression"]),
    ("clicks", click(click_id="d2", impression_id="b9"), ["click_without_impression"]),
    ("clicks", click(click_id="d3", ts="2026-01-02T09:59:59Z"), ["click_before_impression"]),
    ("clicks", click(click_id="d4", impression_id=None), ["null_key"]),
    ("clicks", click(ts="2026-01-02T10:00:06Z"), ["duplicate_id"]),
    ("listings", row("listings", listing_id="m1", price=-1), ["negative_price"]),
    ("listings", row("listings", listing_id="m2", price="NaN"), ["unparsable_number"]),
    ("listings", row("listings", listing_id="m3", price="free"), ["unparsable_number"]),
    ("listings", row("listings", listing_id="m4", is_promoted="perhaps"), ["unparsable_value"]),
    ("listings", row("listings", listing_id="m5", image_vector=["x"]), ["unparsable_number"]),
    ("listings", row("listings", listing_id="m6", created_ts="once"), ["unparsable_timestamp"]),
    ("listings", row("listings", title="Other mug"), ["duplicate_id"]),
]  # fmt: skip


def land_everything(landing):
    for log in TABLES:
        good = [row(log)]
        if log == "impressions":
            # Nothing is refused for what may be absent, or for letters beyond ASCII.
            good.append(
                row(log, impression_id="i2", user_id=None, query="mug 😀 für", attributes=None)
            )
        land(landing, log, [*good, *(bad for of, bad, _ in REFUSED if of == log)])


@pytest.fixture(scope="module")
def dirty(spark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dirty")
    land_everything(folder / "landing")
    step = make_step(spark, folder / "landing", folder / "warehouse")
    return step, ingest(step)


def test_every_reason_is_found_and_told_with_the_row(dirty):
    step, _ = dirty
    told = step.tables.read_arrow("quarantine", [DAY]).to_pylist()
    found = sorted((one["log"], sorted(one["reasons"])) for one in told)
    assert found == sorted((log, sorted(reasons)) for log, _, reasons in REFUSED)
    # The file format decides whether a malformed row is told as such: CSV below.
    assert set(REASONS) - {one for row in told for one in row["reasons"]} == {"malformed_row"}
    for one in told:
        assert one["run_id"] == "run-1"
        if not {"not_json", "invalid_utf8"} & set(one["reasons"]):
            json.loads(one["raw"])
    assert any("\ufffd" in one["raw"] for one in told if one["reasons"] == ["invalid_utf8"])


def test_all_that_is_not_refused_is_stored_as_it_was(dirty):
    step, _ = dirty
    rows = step.tables.read_arrow("impressions", [DAY]).sort_by("impression_id").to_pylist()
    assert [one["impression_id"] for one in rows] == ["i1", "i2"]
    assert rows[0]["ts"] == at("10:00:00")
    assert rows[0]["attributes"] == [("page", "home")]
    assert rows[1]["query"] == "mug 😀 für"
    (listing,) = step.tables.read_arrow("listings", [DAY]).to_pylist()
    # Equal but for one word: the order of whole rows as JSON decides.
    assert (listing["title"], listing["tags"]) == ("Blue mug", ["mug", "blue"])
    assert listing["image_vector"] == [0.5, -0.25]


def test_counts_add_up_per_log_and_day(dirty):
    _, outcome = dirty
    record = outcome[DAY]
    for log in TABLES:
        counts = record.details["logs"][log]
        refused = [reasons for of, _, reasons in REFUSED if of == log]
        assert counts["in"] == counts["accepted"] + counts["quarantined"]
        assert counts["quarantined"] == len(refused)
        assert sum(counts["reasons"].values()) == sum(map(len, refused))
    assert record.rows_in == record.rows_out + record.rows_quarantined


def test_order_of_rows_files_and_partitions_changes_nothing(spark, dirty, tmp_path):
    before, _ = dirty
    kept = spark.conf.get("spark.sql.shuffle.partitions")
    # Two partitions made the rows compared with.
    for partitions in ("1", "7"):
        landing = tmp_path / f"landing-{partitions}"
        for log in TABLES:
            path = before.source.view_files(log)[0].address
            with open(path, "rb") as file:
                lines = [line.rstrip(b"\n") for line in file][::-1]
            for part in range(int(partitions)):
                land(landing, log, lines[part :: int(partitions)], part=str(part))
        step = make_step(spark, landing, tmp_path / f"warehouse-{partitions}")
        spark.conf.set("spark.sql.shuffle.partitions", partitions)
        try:
            ingest(step)
        finally:
            spark.conf.set("spark.sql.shuffle.partitions", kept)
        for name in (*TABLES, "quarantine"):
            assert stored(step, name) == stored(before, name)


def test_days_again_replace_themselves_only(spark, tmp_path):
    landing = tmp_path / "landing"
    for day in (DAY, NEXT):
        land(landing, "impressions", [row("impressions", ts=f"{day}T10:00:00Z"), "oops"], day)
    root = tmp_path / "warehouse"
    ingest(make_step(spark, landing, root, [DAY, NEXT]))
    land(landing, "impressions", [row("impressions", ts=f"{NEXT}T12:00:00Z")], NEXT)
    again = ingest(make_step(spark, landing, root, [NEXT]))
    assert again[NEXT].rows_quarantined == 0
    both = make_step(spark, landing, root, [DAY, NEXT])
    assert both.tables.days("impressions") == {DAY, NEXT}
    assert len(stored(both, "impressions")) == 2
    refused = both.tables.read_arrow("quarantine", [DAY, NEXT])
    assert refused["ds"].to_pylist() == [DAY]


@pytest.fixture(scope="module")
def worlds(spark, tmp_path_factory):
    """The same dirty world as Parquet, JSON lines and CSV, ingested."""
    made = {}
    for kind in ("parquet", "jsonl", "csv"):
        folder = tmp_path_factory.mktemp(kind)
        summary = simulate(
            SimulationConfig(
                days=2, listings=60, users=50, queries=40, shops=10, format=kind,
                search_impressions_per_day=300, promoted_impressions_per_day=300,
                dirty_rows_per_kind=2,
            ),
            folder / "landing",
            folder / "truth",
        )  # fmt: skip
        source_days = [summary.first_day, summary.last_day]
        step = make_step(spark, folder / "landing", folder / "warehouse", source_days)
        made[kind] = (step, ingest(step), summary)
    return made


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_a_dirty_world_loses_exactly_its_dirt(worlds, kind):
    _, outcome, summary = worlds[kind]
    for day, record in outcome.items():
        for log, counts in record.details["logs"].items():
            assert counts["quarantined"] == sum(summary.dirty[str(day)][log].values())
    assert sum(r.details["logs"]["impressions"]["accepted"] for r in outcome.values()) == 1200


def test_every_format_gives_the_same_rows(worlds):
    for name in TABLES:
        rows = [stored(step, name) for step, _, _ in worlds.values()]
        assert rows[0] == rows[1] == rows[2]
        assert rows[0]


def test_csv_tells_rows_with_too_many_or_too_few_fields(spark, tmp_path):
    folder = tmp_path / "landing/clicks" / f"ds={DAY}"
    folder.mkdir(parents=True)
    land(tmp_path / "landing", "impressions", [row("impressions", query='a "b",\nc')])
    lines = (
        "ts,impression_id,click_id",
        "2026-01-02T10:00:01Z,i1,c1",
        "2026-01-02T10:00:01Z,i1",
        "2026-01-02T10:00:01Z,i1,c2,c3",
        '2026-01-02T10:00:01Z,"",c4',
        "2026-01-02T10:00:01Z,,c5",
    )
    (folder / "a.csv").write_text("\n".join(lines) + "\n")
    step = make_step(spark, tmp_path / "landing", tmp_path / "warehouse")
    counts = ingest(step)[DAY].details["logs"]["clicks"]
    assert counts["accepted"] == 1
    assert counts["reasons"] == {
        "empty_key": 1, "malformed_row": 1, "missing_column": 1, "null_key": 1,
    }  # fmt: skip


def write_parquet(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def test_a_parquet_file_without_a_required_column_loses_only_its_rows(spark, tmp_path):
    folder = tmp_path / "landing/impressions" / f"ds={DAY}"
    good = row("impressions", ts=at("10:00:00"), attributes=[("a", "b")])
    write_parquet(folder / "a.parquet", [{**good, "attributes": None}])
    lacking = {name: value for name, value in good.items() if name != "listing_id"}
    write_parquet(folder / "b.parquet", [{**lacking, "impression_id": "i2", "attributes": None}])
    step = make_step(spark, tmp_path / "landing", tmp_path / "warehouse")
    counts = ingest(step)[DAY].details["logs"]["impressions"]
    assert (counts["accepted"], counts["reasons"]) == (1, {"missing_column": 1})


def test_parquet_bytes_that_are_no_utf8_are_refused_and_stay_readable(spark, tmp_path):
    path = tmp_path / "landing/impressions" / f"ds={DAY}" / "a.parquet"
    write_parquet(path, [row("impressions", ts=at("10:00:00"), attributes=None)])
    table = pq.read_table(path)
    bad = pa.array([b"\xff\xfe"]).view(pa.string())
    pq.write_table(table.set_column(table.schema.get_field_index("query"), "query", bad), path)
    step = make_step(spark, tmp_path / "landing", tmp_path / "warehouse")
    assert ingest(step)[DAY].details["logs"]["impressions"]["reasons"] == {"invalid_utf8": 1}
    raw = step.tables.read_arrow("quarantine", [DAY])["raw"][0].as_py()
    assert json.loads(raw)["query"] == "\ufffd\ufffd"


def test_a_position_between_two_places_is_refused_not_cut(spark, tmp_path):
    path = tmp_path / "landing/impressions" / f"ds={DAY}" / "a.parquet"
    good = row("impressions", ts=at("10:00:00"), attributes=None)
    places = {"i1": 1.0, "i2": 2.5, "i3": 3.0}
    write_parquet(path, [{**good, "impression_id": i, "position": p} for i, p in places.items()])
    step = make_step(spark, tmp_path / "landing", tmp_path / "warehouse")
    assert ingest(step)[DAY].details["logs"]["impressions"]["reasons"] == {"unparsable_number": 1}
    stored = step.tables.read_arrow("impressions", [DAY]).sort_by("impression_id")
    assert stored["position"].to_pylist() == [1, 3]


def spoil_footer(path):
    path.write_bytes(path.read_bytes()[:-20])


def spoil_pages(path):
    content = bytearray(path.read_bytes())
    middle = len(content) // 4
    content[middle : middle + 200] = bytes(range(200))
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", [spoil_footer, spoil_pages])
def test_an_unreadable_parquet_file_is_named_and_nothing_is_written(spark, tmp_path, spoil):
    path = tmp_path / "landing/impressions" / f"ds={DAY}" / "part-7.parquet"
    rows = [row("impressions", impression_id=f"i{k}", ts=at("10:00:00")) for k in range(2000)]
    write_parquet(path, [{**one, "attributes": None} for one in rows])
    spoil(path)
    step = make_step(spark, tmp_path / "landing", tmp_path / "warehouse")
    with pytest.raises(InputMissing, match=r"part-7\.parquet") as stop:
        ingest(step)
    assert stop.value.exit_code == ExitCode.INPUT
    assert not step.tables.days("impressions")


def test_a_truncated_archive_is_named(spark, tmp_path):
    path = land(
        tmp_path, "impressions", [row("impressions", impression_id=f"i{k}") for k in range(9999)]
    )
    packed = gzip.compress(path.read_bytes())
    path.with_suffix(".jsonl.gz").write_bytes(packed[: len(packed) // 2])
    path.unlink()
    with pytest.raises(InputMissing, match=r"part-0\.jsonl\.gz"):
        ingest(make_step(spark, tmp_path, tmp_path / "warehouse"))


def test_a_day_without_any_landing_file_is_missing_input(spark, tmp_path):
    land(tmp_path, "impressions", [row("impressions")])
    with pytest.raises(InputMissing, match=f"no log has landed for {NEXT}"):
        ingest(make_step(spark, tmp_path, tmp_path / "warehouse", [NEXT]))


def land_two_days(landing, more_clicks=()):
    land(landing, "impressions", [row("impressions", ts="2026-01-02T23:59:00Z")])
    clicks = [row("clicks", click_id="late", ts="2026-01-03T00:30:00Z"), *more_clicks]
    land(landing, "clicks", clicks, NEXT)


@pytest.mark.parametrize("order", [[[DAY, NEXT]], [[DAY], [NEXT]], [[NEXT]], [[NEXT], [DAY]]])
def test_a_click_after_midnight_finds_its_impression_whichever_day_is_made_first(
    spark, tmp_path, order
):
    land_two_days(tmp_path / "landing")
    for days in order:
        outcome = ingest(make_step(spark, tmp_path / "landing", tmp_path / "warehouse", days))
        if NEXT in days:
            assert set(outcome[NEXT].details["logs"]) == {"clicks"}
            assert outcome[NEXT].details["logs"]["clicks"]["accepted"] == 1
    tables = make_step(spark, tmp_path / "landing", tmp_path / "warehouse").tables
    assert tables.read_arrow("clicks", [NEXT])["impression_ds"].to_pylist() == [DAY]


def test_the_head_digest_tells_only_of_clicks_that_count_for_the_day_before(spark, tmp_path):
    def digest(name, *more, impressions=()):
        landing = tmp_path / name
        land_two_days(landing, more)
        if impressions:
            land(landing, "impressions", impressions, NEXT)
        step = make_step(spark, landing, tmp_path / f"{name}-warehouse", [DAY, NEXT])
        return ingest(step)[NEXT].details["head_digest"]

    of_next = row("impressions", impression_id="i9", ts="2026-01-03T00:10:00Z")
    own = row("clicks", click_id="own", impression_id="i9", ts="2026-01-03T00:20:00Z")
    after = row("clicks", click_id="after", ts="2026-01-03T02:00:00Z")
    within = row("clicks", click_id="within", ts="2026-01-03T01:59:59Z")
    plain = digest("plain")
    assert plain.startswith("1:")
    assert digest("completed", own, after, impressions=[of_next]) == plain
    assert digest("other", within) != plain


def write_source(folder, sql, view):
    folder.mkdir()
    text = f'what = "own"\n[views.shown]\n{view}\n[logs.impressions]\nviews = ["shown"]\n'
    (folder / "source.toml").write_text(text)
    (folder / "impressions.sql").write_text(sql)
    return folder


OWN_SELECT = """
SELECT id AS impression_id, `when` AS ts, 'search' AS surface, id AS request_id,
       item AS listing_id, rank AS position, map('shop', shop) AS attributes, {ds} AS ds
FROM shown
"""


def test_own_logs_of_many_days_in_one_file_are_split_by_day(spark, tmp_path):
    days = [date(2026, 1, 1) + timedelta(days=k) for k in range(3)]
    table = pa.table(
        {
            "id": [f"i{k}" for k in range(8)],
            "when": [f"2026-01-0{1 + k % 3} 10:00:00" for k in range(6)] + ["never", "2027-01-01"],
            "item": ["a"] * 8,
            "rank": ["1"] * 8,
            "shop": ["s"] * 8,
        }
    )
    (tmp_path / "landing").mkdir()
    pa_csv.write_csv(table, tmp_path / "landing/all.csv")
    view = 'path = "all.csv"\nfirst_day = 2026-01-01\nlast_day = 2026-01-03'
    select = OWN_SELECT.format(ds="to_date(try_to_timestamp(`when`))")
    source = write_source(tmp_path / "own", select, view)
    step = make_step(spark, tmp_path / "landing", tmp_path / "warehouse", days, source)
    outcome = ingest(step)
    assert [outcome[day].rows_out for day in days] == [2, 2, 2]
    # What has no day of the file's own is told on its first day, and only there.
    counts = outcome[days[0]].details["logs"]["impressions"]
    assert counts["reasons"] == {"outside_day": 1, "unparsable_timestamp": 1}
    attributes = pc.unique(step.tables.read_arrow("impressions", days)["ds"]).to_pylist()
    assert sorted(attributes) == days
    one = make_step(spark, tmp_path / "landing", tmp_path / "warehouse-2", days[1:2], source)
    assert ingest(one)[days[1]].rows_in == 2


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT id AS impression_id FROM shown", "yields no ds"),
        ("SELECT nothing, ds FROM shown", "nothing"),
        ("SELEKT", "SELEKT"),
        (OWN_SELECT.format(ds="DATE '2020-01-01'"), "2020-01-01"),
    ],
)
def test_a_wrong_select_is_a_usage_error_that_says_why(spark, tmp_path, sql, message):
    folder = tmp_path / "landing" / f"{DAY}"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text("id,when,item,rank,shop\ni1,2026-01-02 10:00:00,a,1,s\n")
    source = write_source(tmp_path / "own", sql, 'path = "{ds}/*.csv"')
    with pytest.raises(UsageError, match=message):
        ingest(make_step(spark, tmp_path / "landing", tmp_path / "warehouse", [DAY], source))
    shutil.rmtree(folder)


def test_a_type_that_cannot_become_the_canonical_one_is_a_usage_error(spark, tmp_path):
    land(tmp_path / "landing", "impressions", [row("impressions")])
    view = 'path = "impressions/ds={ds}/*"'
    select = "SELECT * EXCEPT (position), array(position) AS position FROM shown"
    source = write_source(tmp_path / "own", select, view)
    step = make_step(spark, tmp_path / "landing", tmp_path / "warehouse", [DAY], source)
    with pytest.raises(UsageError, match="check-source"):
        ingest(step)
