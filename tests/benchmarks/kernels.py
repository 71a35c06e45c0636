"""Speed of the hashing and learning kernels per CPU second, next to mmh3 and Vowpal Wabbit.

Run as ``python -m tests.benchmarks.kernels [--rows N]``. Figures are medians of five runs.
"""

import argparse
import resource
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import mmh3
import numpy as np
import pyarrow as pa
from vowpalwabbit import Workspace

from pipelines.features.hashing import HASH_SEED, hash_strings
from pipelines.features.rows import SlotRows
from pipelines.models.elementary import log_losses
from pipelines.models.ftrl import FtrlParameters, FtrlState, dense_logits, learn, logits

PARAMETERS = FtrlParameters(alpha=0.05, beta=1.0, l1=0.5, l2=1.0, bits=22)
NAMESPACES = 30
DENSE = 64


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def report(
    name: str, amount: float, unit: str, run: Callable[[], object], repeats: int = 5
) -> None:
    """Print the median rate of a call in millions a CPU second; the first call only warms up."""
    run()
    seconds = []
    for _ in range(repeats):
        start = cpu_seconds()
        run()
        seconds.append(cpu_seconds() - start)
    print(f"{name:34s} {amount / statistics.median(seconds) / 1e6:8.2f} M {unit}/s")


def bench_hashing(count: int) -> None:
    random = np.random.default_rng(1)
    numbers = random.integers(0, 10**6, count)
    texts = pa.array([f"word{number}" for number in numbers])
    encoded = texts.dictionary_encode()
    report("hash_strings", count, "strings", lambda: hash_strings("title", texts))
    report("hash_strings, dictionary", count, "strings", lambda: hash_strings("title", encoded))
    listed = [f"title={text}" for text in texts.to_pylist()]
    report(
        "mmh3 over a Python list", count, "strings",
        lambda: [mmh3.hash(text, HASH_SEED) for text in listed],
    )  # fmt: skip
    report(
        "mmh3 from Arrow", count, "strings",
        lambda: [mmh3.hash(f"title={text}", HASH_SEED) for text in texts.to_pylist()],
    )  # fmt: skip


def bench_rows(rows: SlotRows) -> None:
    columns = rows.slots.reshape(-1, NAMESPACES).T
    parts = [SlotRows.from_column(np.ascontiguousarray(column)) for column in columns]
    packed = rows.to_binary()
    count = len(rows.slots)
    report("SlotRows.concatenate", count, "slots", lambda: SlotRows.concatenate(parts))
    report("SlotRows.to_binary", count, "slots", rows.to_binary)
    report("SlotRows.from_binary", count, "slots", lambda: SlotRows.from_binary(packed))


def skewed_rows(count: int) -> SlotRows:
    """Rows of one value for each of 30 namespaces: a few common values and a very long tail."""
    values = (np.random.default_rng(2).pareto(0.3, (count, NAMESPACES)) * 10).clip(0, 10**6)
    mixed = values.astype(np.uint64) * np.uint64(2654435761) + np.arange(
        0, NAMESPACES * 40503, 40503, dtype=np.uint64
    ) * np.uint64(7919)
    slots = mixed.astype(np.uint32).view(np.int32).ravel()
    return SlotRows(np.arange(0, slots.size + 1, NAMESPACES), slots)


def bench_learning(rows: SlotRows) -> None:
    count = len(rows)
    random = np.random.default_rng(3)
    clicked = (random.random(count) < 0.2).astype(np.uint8)
    offset, days, keys = np.full(count, 1.5), np.zeros(count, np.int32), np.arange(count)
    dense = random.normal(size=(20_000, DENSE)).astype(np.float32)
    dense_row = random.integers(0, len(dense), count).astype(np.int32)
    state = FtrlState.new(PARAMETERS)
    mixed = FtrlState.new(PARAMETERS, dense=DENSE)
    features = len(rows.slots)

    def learn_again() -> None:
        state.watermark = None
        learn(state, rows, clicked, offset, days, keys)

    def learn_dense() -> None:
        mixed.watermark = None
        learn(mixed, rows, clicked, offset, days, keys, dense=dense, dense_row=dense_row)

    report("FTRL learn", features, "features", learn_again)
    report("FTRL learn, 64 dense a row", features + DENSE * count, "features", learn_dense)
    weights, dense_weights = state.weights(), mixed.dense_weights()
    report("logits", features, "features", lambda: logits(weights, rows))
    report("dense_logits", dense.size, "features", lambda: dense_logits(dense_weights, dense))
    report("log_losses", count, "rows", lambda: log_losses(offset, clicked))


def bench_vowpal_wabbit(rows: SlotRows, count: int) -> None:
    """Learn the first rows with Vowpal Wabbit from a text file, its own reader and parser."""
    random = np.random.default_rng(3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.txt"
        with path.open("w") as file:
            for row in (rows.slots.view(np.uint32) & (2**22 - 1)).reshape(-1, NAMESPACES)[:count]:
                label = 1 if random.random() < 0.2 else -1
                file.write(f"{label} 1 1.5 | {' '.join(map(str, row.tolist()))}\n")
        start = cpu_seconds()
        Workspace(
            f"--ftrl --noconstant --loss_function logistic -b {PARAMETERS.bits} --quiet "
            f"--ftrl_alpha {PARAMETERS.alpha} --ftrl_beta {PARAMETERS.beta} "
            f"--l1 {PARAMETERS.l1} --l2 {PARAMETERS.l2} -d {path}"
        ).finish()
        seconds = cpu_seconds() - start
    print(
        f"{'vw --ftrl, text to weights':34s} {count * NAMESPACES / seconds / 1e6:8.2f} M features/s"
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--rows", type=int, default=100_000, help="rows of 30 features")
    rows = skewed_rows(parser.parse_args(argv).rows)
    bench_hashing(5 * len(rows))
    bench_rows(rows)
    bench_learning(rows)
    bench_vowpal_wabbit(rows, min(len(rows), 50_000))
    return 0


if __name__ == "__main__":
    sys.exit(main())
