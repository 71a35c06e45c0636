"""A small planted world for the joint model, and the model in plain numpy to hold it against."""

import numpy as np
import pyarrow as pa

from pipelines.models.contents import Contents
from pipelines.models.joint_state import ContentKind, JointSpec, RowNamespace
from pipelines.models.joint_tables import (
    from_tables,
    prior_rows,
    run_rows,
    state_rows,
    state_tables,
)

LISTINGS, USERS, WORDS, PLACES = 120, 300, 30, 4
SPEC = JointSpec(
    rows=(
        RowNamespace("bias", 2.0, is_learnt=False),
        RowNamespace("place", 0.3, is_learnt=False),
        RowNamespace("user", 0.3),
        RowNamespace("listing", 0.4),
    ),
    kinds=(ContentKind("word", "listing", 0.1),),
)
FIRST = np.array([0, 10, 1_000, 10_000])
"""Id of the first value of each namespace."""


def stored(spec, state, rows=None):
    """The state by way of its tables' rows; those of `joint_state` may be given."""
    rows = pa.concat_tables(state_rows(spec, state)) if rows is None else rows
    return from_tables(
        spec,
        joint_runs=pa.Table.from_pylist(run_rows(spec, state)),
        joint_priors=pa.Table.from_pylist(prior_rows(spec, state)),
        joint_state=rows.to_batches(97),
        **{name: rows for name, rows in state_tables(spec, state) if name != "joint_state"},
    )


def world(seed=7):
    """Words of each listing, and what each word, listing and user is worth."""
    rng = np.random.default_rng(seed)
    has_word = rng.random((LISTINGS, WORDS)) < 0.1
    return {
        "has_word": has_word,
        "word": rng.normal(scale=0.3, size=WORDS),
        "own": rng.normal(scale=0.4, size=LISTINGS),
        "user": rng.normal(scale=0.4, size=USERS),
    }


def contents(planted):
    """What the listings are made of."""
    word = np.nonzero(planted["has_word"])[1]
    lengths = planted["has_word"].sum(axis=1)
    return Contents(
        FIRST[3] + np.arange(LISTINGS, dtype=np.int64),
        np.append(0, np.cumsum(lengths)).astype(np.int64),
        (50_000 + word).astype(np.int64),
        np.zeros(len(word), np.int16),
        np.ones(len(word)),
    )


def traffic(planted, day, rows=1500, listings=LISTINGS):
    """Values of each row, (rows, 4), and clicks."""
    rng = np.random.default_rng([11, day])
    values = np.stack(
        [
            np.zeros(rows, np.int64),
            rng.integers(0, PLACES, rows),
            rng.integers(0, USERS, rows),
            rng.integers(0, listings, rows),
        ],
        axis=1,
    )
    listing = planted["has_word"] @ planted["word"] + planted["own"]
    logit = -1.5 - 0.3 * values[:, 1] + planted["user"][values[:, 2]] + listing[values[:, 3]]
    return values, (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.uint8)


def ids(values):
    """Rows of ids."""
    return values + FIRST


class Plain:
    """The model over dense arrays, one loop a row: slow and short."""

    def __init__(self, planted):
        self.x = planted["has_word"].astype(float)
        self.start = np.cumsum([0, 1, PLACES, USERS])
        size = self.start[-1] + LISTINGS
        self.namespace = np.repeat([0, 1, 2, 3], [1, PLACES, USERS, LISTINGS])
        self.b, self.g, self.mean0 = np.zeros(size), np.zeros(size), np.zeros(size)
        self.t = SPEC.first_variance(1.0)
        self.beta = np.zeros(WORDS)

    def learn(self, values, clicked, offset):
        """Logit of each row before it is learnt."""
        logits = []
        for row, y in zip(values + self.start, clicked, strict=True):
            precision = 1 / self.t[self.namespace[row]]
            mean = (self.b[row] + precision * self.mean0[row]) / (self.g[row] + precision)
            logits.append(offset + mean.sum())
            p = 1 / (1 + np.exp(-logits[-1]))
            self.b[row] += (y - p) + p * (1 - p) * mean
            self.g[row] += p * (1 - p)
        return np.array(logits)

    def end(self):
        """Content by a dense solve, the variance of users by Fisher scoring."""
        own = slice(self.start[3], None)
        b, g, tau2 = self.b[own], self.g[own], self.t[3]
        weight = g / (1 + g * tau2)
        normal = self.x.T @ (weight[:, None] * self.x) + np.eye(WORDS) / SPEC.kinds[0].prior ** 2
        self.beta = np.linalg.solve(normal, self.x.T @ (b / (1 + g * tau2)))
        self.mean0[own] = self.x @ self.beta
        users = (self.namespace == 2) & (self.g > 0)
        b, g, first = self.b[users], self.g[users], 0.3**2
        om = 1 / (1 + g * self.t[2]) ** 2
        step = (om @ (b * b - g) + 10 / first) / (om @ g**2 + 10 / first**2)
        self.t[2] = np.clip(step, self.t[2] / 4, 4 * self.t[2])
