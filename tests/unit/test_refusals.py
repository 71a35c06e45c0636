"""Counts of refused rows: by log, day and reason, in memory of one batch."""

import weakref
from collections import Counter
from datetime import timedelta

import pyarrow as pa

from jobs.storage.contracts import arrow_schema
from pipelines.logs.refusals import count_refusals
from tests.support.rows import DAY

NEXT = DAY + timedelta(days=1)
REFUSED = [
    ("clicks", DAY, ["null_id", "bad_ts"]),
    ("clicks", DAY, ["bad_ts"]),
    ("clicks", NEXT, ["bad_ts"]),
    ("listings", DAY, ["duplicate"]),
    ("listings", DAY, []),
    ("listings", DAY, ["duplicate", "null_id", "bad_ts"]),
]


def batches(size):
    schema = pa.schema(
        [arrow_schema("quarantine").field(name) for name in ("log", "ds", "reasons")]
    )
    columns = zip(*REFUSED, strict=True)
    whole = pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)],
        schema=schema,
    )
    yield from (whole.slice(start, size) for start in range(0, len(REFUSED), size))


def test_rows_and_reasons_are_counted_however_they_come_in_batches():
    for size in (1, 2, 4, 100):
        counts = count_refusals(batches(size))
        assert counts.rows == {("clicks", DAY): 2, ("clicks", NEXT): 1, ("listings", DAY): 3}
        assert counts.reasons["clicks", DAY] == Counter(bad_ts=2, null_id=1)
        assert counts.reasons["clicks", NEXT] == Counter(bad_ts=1)
        assert counts.reasons["listings", DAY] == Counter(duplicate=2, null_id=1, bad_ts=1)


def test_nothing_refused_counts_nothing():
    counts = count_refusals(iter(()))
    assert (counts.rows, dict(counts.reasons)) == ({}, {})


def test_no_more_than_one_batch_is_kept():
    alive = []

    def fresh():
        for k in range(20):
            # The batch before this one is in the reader's hands until this one is asked for.
            assert sum(seen() is not None for seen in alive) <= 1
            batch = pa.RecordBatch.from_pylist(
                [{"log": "clicks", "ds": DAY, "reasons": [f"r{k}"]}],
                schema=pa.schema(
                    [("log", pa.string()), ("ds", pa.date32()), ("reasons", pa.list_(pa.string()))]
                ),
            )
            alive.append(weakref.ref(batch))
            yield batch
            del batch

    assert count_refusals(fresh()).rows == {("clicks", DAY): 20}
