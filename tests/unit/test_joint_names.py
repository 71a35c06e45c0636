"""A listing's joint score has names for what it is made of."""

import math

import pyarrow as pa
import pytest

from jobs.reporting.listing import read_listing_score
from jobs.storage.published import read_scores
from pipelines.features.text import unigrams
from tests.unit.conftest import PUBLISHED

DAY = PUBLISHED[-1]


@pytest.fixture(scope="module")
def scores(chain):
    return read_scores(chain.tables, ds=DAY, staged=True)


def explained(chain, scores, listing):
    return read_listing_score(chain.tables, chain.config, scores, listing)


def test_every_value_that_adds_to_a_joint_score_has_its_name(chain, scores):
    listing = scores.table["listing_id"][0].as_py()
    found = explained(chain, scores, listing)
    own, parts = found.listing, {part.namespace: part for part in found.explanation.joint}
    assert parts["listing"].value == listing
    assert parts["category"].value == own["category"]
    assert parts["surface_x_category"].value == f"promoted x {own['category']}"
    assert parts["surface_x_position"].value == "promoted x 1"
    assert all(part.value for part in parts.values())
    logit = math.fsum(part.weight for part in parts.values())
    assert 1 / (1 + math.exp(-logit)) == pytest.approx(found.score["p_joint"])
    spread = [p.standard_error**2 for n, p in parts.items() if _is_of_listing(n)]
    assert math.sqrt(math.fsum(spread)) == pytest.approx(found.score["standard_error"])


def _is_of_listing(name):
    of_request = {"bias", "surface", "weekday", "weekend", "hour", "device", "country", "page_type"}
    base = name.removeprefix("surface_x_")
    return base not in {*of_request, "position"} and not base.startswith("attributes.")


def test_what_content_says_is_told_by_word_shop_tag_and_image(chain, scores):
    listing = scores.table["listing_id"][0].as_py()
    found = explained(chain, scores, listing)
    contents = found.explanation.joint_contents
    by_kind = {}
    for part in contents:
        by_kind.setdefault(part.namespace, []).append(part.value)
    (words,) = unigrams(pa.array([found.listing["title"]])).to_pylist()
    assert sorted(by_kind["title_word"]) == sorted(set(words))
    assert by_kind["shop"] == [found.listing["shop_id"]]
    assert by_kind["tag"] == list(dict.fromkeys(tag.lower() for tag in found.listing["tags"]))
    assert by_kind["image"] == [f"{len(found.listing['image_vector'])} numbers"]
    assert all(part.standard_error > 0.0 for part in contents)
