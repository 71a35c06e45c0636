"""The job that scores: which listings have a score, and how sure it is of them."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.planning.inputs import read_prior_precision
from jobs.storage.tables import Tables
from tests.support.chain import Chain
from tests.support.rows import DAY
from tests.unit.conftest import PUBLISHED

LAST = PUBLISHED[-1]


def test_a_listing_in_a_campaign_has_a_score_unless_it_is_out_of_stock(chain: Chain, tmp_path):
    changed = chain.duplicate(tmp_path)
    (path,) = (changed.landing / "listings" / f"ds={LAST}").iterdir()
    listings = pq.ParquetFile(path).read()
    promoted = [
        row["listing_id"] for row in listings.to_pylist() if row["is_promoted"] and row["quantity"]
    ]
    quantity = dict(zip(promoted, (0, 0, None, 1), strict=False))
    changes = [
        quantity.get(row["listing_id"], row["quantity"]) if row["is_promoted"] else 5
        for row in listings.to_pylist()
    ]
    at = listings.column_names.index("quantity")
    stock = pa.array(changes, listings.schema.field("quantity").type)
    pq.write_table(listings.set_column(at, "quantity", stock), path)
    changed.make("score_listings", LAST)
    scored = changed.tables.read_arrow("listing_scores", [LAST])["listing_id"].to_pylist()
    assert sorted(scored) == sorted(promoted[2:])


def test_a_weight_that_has_learnt_nothing_is_as_sure_as_the_training_made_it(tmp_path):
    tables = Tables(str(tmp_path))
    parameters = {
        "historical": {"alpha": 0.5, "beta": 1.0, "l1": 9.0, "l2": 3.0, "bits": 8},
        "content": {"alpha": 9.0, "beta": 9.0, "l1": 9.0, "l2": 9.0, "bits": 8},
    }
    rows = [
        {
            "model": model, "parameters": json.dumps(values), "hash_seed": 42, "bits": 8,
            "dense": 0, "rows": 9, "clicks": 1, "first_day": DAY, "days": 1,
            "progressive_log_loss": 0.1, "slots": 2, "level_shift": 0.0, "ds": DAY,
        }
        for model, values in parameters.items()
    ]  # fmt: skip
    tables.write_rows("training_runs", rows, [DAY])
    assert read_prior_precision(tables, DAY) == 1.0 / 0.5 + 3.0
