from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from jobs.planning.joint_inputs import joint_registry
from jobs.planning.model_days import ROWS, ModelDay
from jobs.setup.config_layers import load_config
from jobs.storage.contracts import arrow_schema
from pipelines.features.feature_rows import even_batches
from pipelines.features.id_rows import packed, sorted_rows, unpacked
from pipelines.features.ids import NONE, cross_ids
from pipelines.features.joint_columns import all_columns, stored_namespaces

DAY = date(2026, 1, 5)


class Stored:
    """Reads the same rows on any day, some at a time."""

    def __init__(self, rows: pa.Table) -> None:
        self.rows = rows

    def batches(self, day: date) -> list[pa.RecordBatch]:
        assert day == DAY
        return self.rows.to_batches(max_chunksize=7)


@pytest.fixture(scope="module")
def model() -> ModelDay:
    """Of a day whose model knows an attribute that the day's own rows have not."""
    config = load_config(environment={})
    own = joint_registry(config)
    return ModelDay.of(config, own, own.with_keys({"request": ["channel"]}))


def test_rows_are_learnt_or_predicted_each_with_all_columns_of_the_model(model: ModelDay) -> None:
    rng = np.random.default_rng(3)
    stored = rng.integers(0, 2**40, (40, len(stored_namespaces(model.registry))))
    stored[::5, 3] = NONE
    surface = np.where(rng.random(40) < 0.5, "promoted", "search")
    rate = pa.array(np.full(40, 0.5), mask=(rng.random(40) < 0.3) & (surface == "promoted"))
    rows = pa.table(
        {
            "order_key": np.arange(40), "surface": surface, "clicked": np.zeros(40, bool),
            "sampling_rate": rate, "ids": packed(stored), "place_hash": np.zeros(40, np.int64),
            "ds": pa.repeat(pa.scalar(DAY), 40),
        }
    )  # fmt: skip
    rows = rows.cast(pa.schema([arrow_schema("joint_rows").field(name) for name in ROWS]))
    whole = all_columns(model.registry, stored)
    for found, expected in (
        (model.learnt_rows(Stored(rows), DAY), np.asarray(rate.is_valid())),
        (model.predicted_rows(Stored(rows), DAY), surface == "promoted"),
    ):
        (made,) = list(found)
        assert made.column("order_key").to_pylist() == np.flatnonzero(expected).tolist()
        wide = unpacked(made.column("ids"), len(model.spec.rows))
        assert np.array_equal(wide[:, model.columns], whole[expected])
        other = np.delete(np.arange(len(model.spec.rows)), model.columns)
        assert len(other) > 0
        assert np.all(wide[:, other] == NONE)


def test_crosses_and_what_is_missing_follow_from_what_is_stored(model: ModelDay) -> None:
    registry = model.registry
    names = [namespace.name for namespace in stored_namespaces(registry)]
    stored = np.arange(2 * len(names)).reshape(2, -1) + 100
    stored[1, names.index("user")] = NONE
    rows = all_columns(registry, stored)
    at = {column.name: number for number, column in enumerate(registry.columns)}
    assert np.array_equal(rows[:, at["query"]], stored[:, names.index("query")])
    parts = [np.ascontiguousarray(stored[:, names.index(n)]) for n in ("surface", "position")]
    assert np.array_equal(rows[:, at["surface_x_position"]], cross_ids("surface_x_position", parts))
    unknown = rows[:, at["user_is_unknown"]]
    assert unknown[0] == NONE != unknown[1]
    assert np.all(rows[:, at["usual_category"]] == NONE)


def test_rows_are_sorted_with_lists_of_one_length_or_of_any() -> None:
    rng = np.random.default_rng(5)
    key = rng.permutation(50)
    lists = [list(range(n)) for n in rng.integers(0, 4, 50)]
    rows = pa.table(
        {
            "key": key, "ids": packed(np.stack([key, 2 * key], axis=1)), "of_any": lists,
            "text": [str(k) for k in key], "none": pa.nulls(50, pa.list_(pa.int64())),
        }
    )  # fmt: skip
    pieces = pa.concat_tables([rows.slice(0, 13), rows.slice(13)])
    assert sorted_rows(pieces, "key").equals(rows.sort_by("key").combine_chunks())
    nothing = sorted_rows(rows.slice(0, 0), "key")
    assert nothing.schema == rows.schema
    assert len(nothing) == 0
    assert len(list(even_batches(sorted_rows(pieces, "key").to_batches()))) == 1
