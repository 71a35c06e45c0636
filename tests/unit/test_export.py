"""A server that has nothing but the exported file gives what the chain would give for any request."""

from __future__ import annotations

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
    joint_references,
    joint_registry,
    joint_spec,
    read_joint_state,
)
from jobs.storage.contracts import arrow_schema
from pipelines.features.feature_rows import CONTEXT_ENTITIES, LISTING_ENTITIES, with_history
from pipelines.features.history import COUNT_COLUMNS, window_to
from pipelines.features.joint_inputs import with_relative_price, with_shows_per_day
from pipelines.features.joint_rows import JointAssembler
from pipelines.features.joint_traffic import build_joint_day
from pipelines.features.prior_strengths import moments
from pipelines.models.correction import INTERCEPT, TERMS
from pipelines.models.joint import JointModel
from pipelines.models.joint_predictions import JointPredictor
from pipelines.models.joint_tables import to_contents
from pipelines.models.listing_part import Models
from pipelines.models.prediction import predict_traffic, score_listing_days
from pipelines.models.stack import fields_of, is_cold, stack_inputs
from pipelines.scorer.scorer import Scorer
from pipelines.scores.live_listings import as_of
from pipelines.scores.reference import reference_context
from tests.support.chain import Chain
from tests.unit.conftest import PUBLISHED

DAY = PUBLISHED[-1]
SERVED = DAY + timedelta(days=1)
REQUESTS = 10_000
ROOT = Path(__file__).parents[2]
FIT = {"reason": None, "rows": 900, "clicks": 400, "gain": 0.1, "standard_error": 0.01}
CURVE = [("beta.a", 0.9), ("beta.b", 1.2), ("beta.c", -0.1)]
FACTORS = {
    "segment": {"cold": 0.9, "warm": 1.1}, "surface": {"promoted": 1.02},
    "position_band": {"1": 1.05, "5-6": 0.9, "49+": 0.7}, "device": {"mobile": 1.1, "": 0.8},
    "country": {"DE": 0.97, "": 1.03},
}  # fmt: skip


def rewritten(chain: Chain, folder: Path, form: str) -> Chain:
    """The chain as it is (`joint`), with a correction and factors, or with the pair published."""
    if form == "joint":
        return chain
    changed = chain.duplicate(folder)
    if form == "pair":
        changed = replace(changed, settings=(*chain.settings, 'ensemble.published="pair"'))
        changed.make("score_listings", DAY)
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


@pytest.fixture(scope="module", params=["joint", "corrected", "pair"])
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

    words = sorted({w for q in shown["query"].drop_null().to_pylist() for w in q.split()})
    fresh = [" ".join(random.choice(words, random.integers(1, 6))) for _ in range(20)]
    fresh += ["", "?!", "WOMEN’S  Größe", "İstanbul\tΣΑΣ", "ﬁne ４２", f"{words[0]} {words[0]} zz",
              "नमस्ते दुनिया", words[1].upper() + "'s"]  # fmt: skip
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


@dataclass(frozen=True)
class Predicted:
    """What the chain says of rows, in their order."""

    p_click: Any
    logit: Any


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
    made: dict[str, list[pa.Table]] = {"joint_rows": [], "joint_entities": []}
    at = joint_references(tables, config, [SERVED])[SERVED]
    for name, table in build_joint_day(
        traffic, snapshot, JointAssembler(joint_registry(config)), at
    ):
        made[name].append(table)
    entities = pa.concat_tables(made["joint_entities"])
    spec, state = joint_spec(config), read_joint_state(tables, config, DAY)
    model = JointModel(spec, state, {name: to_contents(entities, name) for name in spec.entities})
    predictor = JointPredictor(model, entities, spec.row_number("listing"))
    (rows,) = made["joint_rows"][0].combine_chunks().to_batches()
    made_assembler = assembler(config, strengths)
    predictions = pa.concat_tables(
        predict_traffic(
            with_history(traffic, history, CONTEXT_ENTITIES),
            score_listing_days(with_history(listings, history, LISTING_ENTITIES), made_assembler, models),
            made_assembler, models, {}, predictor.predict(rows),
        )
    )  # fmt: skip
    order = pc.index_in(traffic["impression_id"], predictions["impression_id"].combine_chunks())
    predictions = predictions.take(order)
    stack = read_stack(tables, DAY)
    cold = is_cold(predictions, stack.cold_threshold)
    logit = stack.logit(stack_inputs(predictions, stack.cold_threshold))
    fields = fields_of(predictions, config.calibration.fields, cold)
    return Predicted(stack.publish(logit, fields), logit)


def request_columns(traffic: pa.Table) -> dict[str, list[Any]]:
    """What a server knows of the rows."""
    names = ("user_id", "query", "device", "country", "position", "ts")
    attributes = [dict(row or ()) for row in traffic["attributes"].to_pylist()]
    return {name: traffic[name].to_pylist() for name in names} | {
        "attributes.page_type": [own.get("page_type") for own in attributes]
    }


def test_a_server_gives_what_the_chain_would_give_for_any_request(exported):
    chain, file = exported
    traffic = impressions(chain, REQUESTS)
    expected = predicted(chain, traffic)
    scores = Scorer.load(file).score(traffic["listing_id"].to_pylist(), request_columns(traffic))
    np.testing.assert_allclose(scores.logit, expected.logit, rtol=0, atol=1e-9)
    np.testing.assert_allclose(scores.p_click, expected.p_click, rtol=1e-9, atol=0)
    assert len(np.unique(expected.logit)) > REQUESTS / 3
