"""A server with nothing but the exported file gives what the chain would give for any request."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from jobs.planning.inputs import (
    assembler,
    read_bases,
    read_stack,
    read_weights,
    registry,
    request_names,
    strengths_of,
    windows,
)
from jobs.planning.joint_inputs import (
    held_days,
    joint_registry,
    joint_spec,
    known_registry,
)
from jobs.planning.joint_states import read_joint_state
from jobs.storage.contracts import arrow_schema
from pipelines.features.feature_rows import (
    CONTEXT_ENTITIES,
    LISTING_ENTITIES,
    one_batch,
    with_history,
)
from pipelines.features.history import COUNT_COLUMNS, window_to
from pipelines.features.id_rows import packed
from pipelines.features.joint_columns import row_columns
from pipelines.features.joint_days import attributes_of_day
from pipelines.features.joint_inputs import with_relative_price, with_shows_per_day
from pipelines.features.joint_patterns import AttributeLimits, both_keys, count_attributes
from pipelines.features.joint_reference import reference_ids
from pipelines.features.joint_rows import JointAssembler
from pipelines.features.joint_traffic import (
    joint_rows,
    listing_rows,
    request_entities,
    with_rate,
)
from pipelines.features.prior_strengths import moments
from pipelines.models.correction import INTERCEPT, RATES, STEPS, TERMS, Correction
from pipelines.models.joint import JointModel
from pipelines.models.joint_growth import grown, places_of, spread, widened, with_kinds
from pipelines.models.joint_predictions import JointPredictor
from pipelines.models.joint_tables import to_contents
from pipelines.models.listing_part import Models
from pipelines.models.prediction import predict_traffic, score_listing_days
from pipelines.models.stack import fields_of, is_cold, stack_inputs
from pipelines.models.step_down import at_rates
from pipelines.scorer.scorer import BadFile, Scorer, UnknownListing
from pipelines.scores.live_listings import as_of
from pipelines.scores.reference import reference_context
from tests.support.chain import Chain
from tests.unit.conftest import PUBLISHED

DAY = PUBLISHED[-1]
SERVED = DAY + timedelta(days=1)
REQUESTS = 10_000
ROOT = Path(__file__).parents[2]
FIT = {"reason": None, "rows": 900, "clicks": 400, "gain": 0.1, "standard_error": 0.01}
RATES_OF_POSITIONS = {0: 0.05, 1: 0.12, 2: 0.07, 5: 0.03, 40: 0.01}
CURVE = [("beta.a", 0.9), ("beta.b", 1.2), ("beta.c", -0.1)]
FACTORS = {
    "segment": {"cold": 0.9, "warm": 1.1}, "surface": {"promoted": 1.02},
    "position_band": {"1": 1.05, "5-6": 0.9, "49+": 0.7}, "device": {"mobile": 1.1, "": 0.8},
    "country": {"DE": 0.97, "": 1.03},
}  # fmt: skip


def rewritten(chain: Chain, folder: Path, form: str) -> Chain:
    """The chain as it is (`joint`), with a correction and factors, with the pair, or with rates."""
    if form == "joint":
        return chain
    changed = chain.duplicate(folder)
    if form == "pair":
        changed = replace(changed, settings=(*chain.settings, 'ensemble.published="pair"'))
        changed.make("score_listings", DAY)
        return changed
    if form == "rates":
        made, calibration = at_rates(Correction(weights=STEPS[RATES]), RATES_OF_POSITIONS)
        rates = {
            "stack_weights": made.to_rows(),
            "calibration_maps": [*calibration.map.to_rows(), *calibration.factors.to_rows()],
        }
        for name, own in rates.items():
            changed.tables.write_rows(name, [r._asdict() | {"ds": DAY} for r in own], [DAY])
        changed.make_alone(chain, ["score_listings"])
        return changed
    random = np.random.default_rng(4)
    weights = dict(zip(("level", INTERCEPT, *TERMS), random.normal(0, 0.1, 12), strict=True))
    tables = changed.tables
    tables.write_rows(
        "stack_weights",
        [
            {"term": t, "weight": w, "form": "corrected", "ds": DAY, **FIT}
            for t, w in weights.items()
        ],
        [DAY],
    )
    listings = tables.read_arrow("listings", [DAY]).to_pylist()
    factors = FACTORS | {
        "shop": {listings[0]["shop_id"]: 1.3},
        "category": {listings[1]["category"].split(" > ")[0]: 0.85},
    }
    curve = [("map", name, None, 0.0, y) for name, y in CURVE]
    curve += [("factor", n, v, 9.0, y) for n, own in factors.items() for v, y in own.items()]
    names = ("kind", "name", "value", "x", "y")
    rows = [dict(zip(names, row, strict=True)) | {"ds": DAY} for row in curve]
    tables.write_rows("calibration_maps", rows, [DAY])
    changed.make_alone(chain, ["score_listings"])
    return changed


@pytest.fixture(scope="module", params=["joint", "corrected", "pair", "rates"])
def exported(request, chain, tmp_path_factory) -> tuple[Chain, Path]:
    folder = tmp_path_factory.mktemp(f"export-{request.param}")
    made = rewritten(chain, folder, request.param)
    target = folder / "scores.bin"
    settings = [word for s in made.settings for word in ("--set", s)]
    called = made.call("export", "--staged", "--to", str(target), *settings)
    assert called.code == 0, called.err
    return made, target


def impressions(chain: Chain, count: int) -> pa.Table:
    """Requests as no log has them: known values, unknown ones and none, at random."""
    random = np.random.default_rng(8)
    shown = chain.tables.read_arrow("labeled_impressions", [DAY])
    listings = chain.tables.read_arrow("listings", [DAY])["listing_id"].to_pylist()

    def mixed(column: str, unknown: list[str]) -> list[str | None]:
        known = sorted(set(shown[column].drop_null().to_pylist()))
        pool = [*known, *unknown * (1 + len(known) // (2 * len(unknown))), *[None] * 3]
        return [pool[k] for k in random.integers(0, len(pool), count)]

    asked = sorted({w for q in shown["query"].drop_null().to_pylist() for w in q.split()})
    held = [t.split() for t in chain.tables.read_arrow("listings", [DAY])["title"].to_pylist()]
    words = sorted({word for title in held for word in title})
    # A word twice, more words than are counted, capitals, an apostrophe within, wide letters.
    fresh = [" ".join(random.choice(asked, random.integers(1, 6))) for _ in range(15)]
    fresh += [" ".join(title) for title in held[:5]]
    fresh += [f"{w} {w} zz" for w in words[:5]] + [w.upper() for w in words[5:10]]
    fresh += [f"{w[0]}’{w[1:]}" for w in asked] + [_wide(w) for w in asked]
    fresh += ["", "?!", "WOMEN'S Größe", "İstanbul\tΣΑΣ", "ﬁne ４２", "नमस्ते दुनिया"]
    attributes: list[Any] = [None, [("page_type", "search")], [("page_type", "moon")], [("x", "y")],
                             [("page_type", None)], [("page_type", "category")]]  # fmt: skip
    start = datetime(SERVED.year, SERVED.month, SERVED.day, tzinfo=UTC)
    columns = {
        "impression_id": [f"new-{k}" for k in range(count)],
        "ts": [start + timedelta(seconds=int(s)) for s in random.integers(0, 86_400, count)],
        "surface": ["promoted"] * count,
        "request_id": [f"page-{k}" for k in range(count)],
        "user_id": mixed("user_id", ["nobody", "u ä", ""]),
        "query": mixed("query", fresh),
        "listing_id": [listings[k] for k in random.integers(0, len(listings), count)],
        "position": random.choice([1, 2, 3, 5, 7, 11, 40, 60, 999], count).tolist(),
        "device": mixed("device", ["fridge", ""]),
        "country": mixed("country", ["XX"]),
        "attributes": [attributes[k] for k in random.integers(0, len(attributes), count)],
        "clicked": [False] * count,
        "click_delay_s": [None] * count,
        "is_valid_traffic": [True] * count,
        "ds": [SERVED] * count,
    }
    return pa.table(columns, schema=arrow_schema("labeled_impressions"))


def _wide(word: str) -> str:
    """The same word after NFKC."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in word)


@dataclass(frozen=True)
class Predicted:
    """What the chain says of rows, in their order."""

    p_click: Any
    logit: Any


def _widened(rows: pa.Table, name: str, places: Any, width: int) -> pa.Table:
    at = rows.schema.get_field_index(name)
    return rows.set_column(at, name, widened(rows[name], places, width))


def predicted(chain: Chain, traffic: pa.Table) -> Predicted:
    """By the code of the daily jobs, were this the next day's traffic on the same listings."""
    tables, config = chain.tables, chain.config
    counted = tables.days("entity_counts")
    read = tables.day_reader("entity_counts", windows(config).before(SERVED), COUNT_COLUMNS)
    history = window_to(DAY, counted, read, windows(config))
    strengths = strengths_of(config, SERVED, moments(history))
    listings = as_of(tables.read_arrow("listings", [DAY]), SERVED)
    weights = read_weights(tables, [DAY])
    models = Models(
        weights[DAY, "historical"], weights[DAY, "content"], read_bases(tables, [DAY])[DAY]
    )
    names = request_names(tables, config, DAY)
    reference = reference_context(registry(config), names, config.scoring.reference, DAY, models)
    models = replace(models, reference=reference.logits)
    search_days, promoted_days = held_days(config, counted, DAY)
    snapshot = with_shows_per_day(
        with_relative_price(listings), history, search_days=search_days, promoted_days=promoted_days
    )
    registered, joint = joint_registry(config), config.joint
    limits = AttributeLimits(joint.most_attributes, joint.most_values)
    counts = {
        scope: count_attributes(registered.registered, scope, of_rows["attributes"], limits)
        for scope, of_rows in (("request", traffic), ("listing", snapshot))
    }
    attributes = attributes_of_day(registered, counts, limits)
    own = registered.with_keys({scope: found.taken for scope, found in attributes.items()})
    at = reference_ids(own, names, config.scoring.reference, SERVED)
    made_of, learnt = JointAssembler(own), with_rate(traffic, 1.0)
    (_, listed_ids), *of_listings = listing_rows(snapshot, made_of, at, DAY)
    built = {
        "joint_rows": list(joint_rows(learnt, listed_ids, made_of)),
        "joint_entities": [
            *(entities for _, entities in of_listings),
            *request_entities(learnt, made_of, DAY),
        ],
    }
    known = known_registry(config, tables, DAY)
    wider = known.with_keys(both_keys(known.keys, own.keys))
    spec = joint_spec(config, wider)
    state = grown(read_joint_state(tables, config, known, DAY), joint_spec(config, known), spec)
    columns = places_of([c.name for c in own.columns], [c.name for c in wider.columns])
    kinds = places_of([c.name for c in own.contents], [c.name for c in wider.contents])
    width = len(spec.rows)
    entities = pa.concat_tables(built["joint_entities"]).combine_chunks()
    entities = _widened(entities, "reference_ids", columns, width)
    rows = pa.concat_tables(built["joint_rows"]).combine_chunks()
    whole = packed(spread(row_columns(own, rows["ids"]), columns, width))
    rows = rows.set_column(rows.schema.get_field_index("ids"), "ids", whole)
    contents = {n: with_kinds(to_contents(entities, n), kinds) for n in spec.entities}
    predictor = JointPredictor(
        JointModel(spec, state, contents), entities.to_batches(), spec.row_number("listing")
    )
    made, listed = (
        assembler(config, strengths), with_history(listings, history, LISTING_ENTITIES)
    )  # fmt: skip
    predictions = pa.concat_tables(
        predict_traffic(
            with_history(traffic, history, CONTEXT_ENTITIES),
            score_listing_days(listed, made, models), made, models, {},
            predictor.predict(one_batch(rows)),
        )
    )  # fmt: skip
    order = pc.index_in(traffic["impression_id"], predictions["impression_id"].combine_chunks())
    predictions = predictions.take(order)
    stack = read_stack(tables, DAY)
    cold = is_cold(predictions, stack.cold_threshold)
    logit = stack.logit(stack_inputs(predictions, stack.cold_threshold))
    fields = fields_of(predictions, list(stack.factors.factors), cold)
    return Predicted(stack.publish(logit, fields), logit)


def request_columns(traffic: pa.Table) -> dict[str, list[Any]]:
    """What a server knows of the rows."""
    names = ("user_id", "query", "device", "country", "position", "ts")
    attributes = [dict(row or ()) for row in traffic["attributes"].to_pylist()]
    return {name: traffic[name].to_pylist() for name in names} | {
        f"attributes.{key}": [own.get(key) for own in attributes] for key in ("page_type", "x")
    }


def test_a_server_gives_what_the_chain_would_give_for_any_request(exported):
    chain, file = exported
    traffic = impressions(chain, REQUESTS)
    expected = predicted(chain, traffic)
    scores = Scorer.load(file).score(traffic["listing_id"].to_pylist(), request_columns(traffic))
    np.testing.assert_allclose(scores.logit, expected.logit, rtol=0, atol=1e-9)
    np.testing.assert_allclose(scores.p_click, expected.p_click, rtol=1e-9, atol=0)
    assert len(np.unique(expected.p_click)) > REQUESTS / 100


def test_what_a_call_gives_does_not_depend_on_how_its_rows_are_grouped(exported):
    chain, file = exported
    traffic = impressions(chain, 60)
    scorer, names, columns = (
        Scorer.load(file), traffic["listing_id"].to_pylist(), request_columns(traffic)
    )  # fmt: skip
    whole = scorer.score(names, columns)
    order = list(reversed(range(60)))
    grouped = scorer.score([names[k] for k in order], columns, order)
    single = [
        scorer.score([names[k]], {name: [column[k]] for name, column in columns.items()})
        for k in order
    ]
    for part in ("p_click", "logit", "standard_error"):
        np.testing.assert_array_equal(getattr(grouped, part), getattr(whole, part)[order])
        alone = np.concatenate([getattr(one, part) for one in single])
        np.testing.assert_array_equal(alone, getattr(whole, part)[order])
    assert np.all(whole.at(-1.0) < whole.p_click)
    assert np.all(whole.at(1.0) > whole.p_click)


@pytest.mark.parametrize("exported", ["joint", "corrected"], indirect=True)
def test_an_unknown_value_has_the_prior_s_weight_and_variance(exported):
    chain, file = exported
    scorer = Scorer.load(file)
    listing = chain.tables.read_arrow("listings", [DAY])["listing_id"].to_pylist()[:1]
    nobody = scorer.score(listing, {"user_id": ["nobody"]})
    other = scorer.score(listing, {"user_id": ["another nobody"]})
    assert nobody.logit == other.logit
    known = chain.tables.read_arrow("labeled_impressions", [DAY])["user_id"].drop_null()[0].as_py()
    assert scorer.score(listing, {"user_id": [known]}).logit != nobody.logit
    assert scorer.score(listing, {"user_id": [known]}).standard_error < nobody.standard_error


def test_a_scorer_needs_nothing_but_numpy_and_mmh3(exported):
    _, file = exported
    code = """if True:
        import sys
        before = set(sys.modules)
        from pipelines.scorer.scorer import BadFile, Scorer, UnknownListing
        Scorer.load(sys.argv[1])
        ours = {name for name in set(sys.modules) - before}
        heads = {name.split(".")[0] for name in ours} - set(sys.stdlib_module_names)
        inside = {name for name in ours if name.startswith("pipelines.")}
        print(sorted(heads - {"numpy", "mmh3", "pipelines"}))
        print(sorted(name for name in inside if not name.startswith("pipelines.scorer")))
    """
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == ["[]", "[]"]


def damaged(content: bytes) -> dict[str, bytes]:
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    return {
        "not a file": b"",
        "not a file of": b"PK" + content[2:],
        "version 9": content[:8] + (9).to_bytes(8, "little") + content[16:],
        "cut short or damaged": content[:-5],
        "or damaged": bytes(flipped),
        "promoted-ctr": content[:20],
    }


@pytest.mark.parametrize("told", damaged(b" " * 99))
def test_a_file_that_is_none_is_refused_by_one_line(exported, tmp_path, told):
    _, file = exported
    bad = tmp_path / "bad.bin"
    bad.write_bytes(damaged(file.read_bytes())[told])
    with pytest.raises(BadFile, match=told) as problem:
        Scorer.load(bad)
    assert str(bad) in str(problem.value)
    assert "\n" not in str(problem.value)


def test_an_unknown_listing_or_column_is_named(exported):
    chain, file = exported
    scorer = Scorer.load(file)
    listing = chain.tables.read_arrow("listings", [DAY])["listing_id"][0].as_py()
    with pytest.raises(UnknownListing, match=f"listing 'gone' and 1 more: not in .* {DAY}"):
        scorer.score([listing, "gone", "lost", "gone"], {})
    with pytest.raises(ValueError, match="no column devise; there are"):
        scorer.score([listing], {"devise": ["mobile"], "attributes.new": ["1"]})
    with pytest.raises(ValueError, match="2 requests for 1 rows"):
        scorer.score([listing], {"device": ["mobile", "desktop"]})


@pytest.mark.parametrize("exported", ["joint"], indirect=True)
def test_what_cannot_be_exported_is_told_in_one_line(exported, tmp_path):
    chain, _ = exported
    to = ("--to", str(tmp_path / "x.bin"))
    settings = [word for s in chain.settings for word in ("--set", s)]
    gone = chain.call("export", "--date", "2020-01-01", *to, *settings)
    assert (gone.code, gone.err.count("\n")) == (20, 1)
    nowhere = chain.call("export", "--staged", "--to", str(tmp_path / "no" / "x"), *settings)
    assert (nowhere.code, nowhere.err.count("\n")) == (2, 1)
    taken = tmp_path / "taken" / "folder"
    taken.mkdir(parents=True)
    over = chain.call("export", "--staged", "--to", str(taken), *settings)
    assert (over.code, over.err.count("\n")) == (2, 1)
    assert list(taken.parent.iterdir()) == [taken]
    changed = chain.duplicate(tmp_path)
    rows = changed.tables.read_arrow("listing_scores", [DAY]).to_pylist()
    rows[0]["logit"] += 1e-6
    changed.tables.write_rows("listing_scores", rows, [DAY])
    other = changed.call("export", "--staged", "--date", str(DAY), *to, *settings)
    assert (other.code, other.err.count("\n")) == (20, 1)
    assert "1 of" in other.err
    state = changed.tables.read_arrow("joint_state", [DAY])
    changed.tables.write_arrow("joint_state", state.slice(0, 0), [DAY])
    lost = changed.call("export", "--staged", "--date", str(DAY), *to, *settings)
    assert (lost.code, lost.err.count("\n")) == (20, 1)
    assert f"train_joint --date {DAY}" in lost.err
    assert not (tmp_path / "x.bin").exists()
