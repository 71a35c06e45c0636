"""Made-up training rows, and FTRL-Proximal as its paper writes it, one number at a time."""

import itertools
import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from pipelines.features.rows import SlotRows
from pipelines.models.ftrl import FtrlParameters, FtrlState, learn


@dataclass(frozen=True)
class Block:
    """Arguments of `learn`, one entry a row (or a slot)."""

    rows: SlotRows
    clicked: np.ndarray
    glm_offset: np.ndarray
    order_day: np.ndarray
    order_key: np.ndarray
    dense: np.ndarray | None = None
    dense_row: np.ndarray | None = None

    def arguments(self, **changes: Any) -> dict[str, Any]:
        return {item.name: getattr(self, item.name) for item in fields(self)} | changes

    def dense_values(self, row: int) -> list[float]:
        """Dense inputs of a row; none where it has none."""
        if self.dense is None or self.dense_row[row] < 0:
            return []
        return self.dense[self.dense_row[row]].tolist()

    def learn(self, state: FtrlState, **changes: Any) -> np.ndarray:
        return learn(state, **self.arguments(**changes))


def make_block(count: int = 200, *, width: int = 0, seed: int = 7) -> Block:
    """Rows of 0 to 7 slots out of 40, some repeated, whose clicks depend on the slots."""
    random = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(random.integers(0, 8, count))])
    slots = random.integers(0, 40, offsets[-1]).astype(np.int32)
    truth = random.normal(size=40)
    score = np.array([truth[slots[a:b]].sum() for a, b in itertools.pairwise(offsets)])
    dense = {}
    if width:
        dense["dense"] = random.normal(size=(11, width)).astype(np.float32)
        dense["dense_row"] = random.integers(-1, 11, count).astype(np.int32)
    return Block(
        rows=SlotRows(offsets, slots),
        clicked=(random.random(count) < 1 / (1 + np.exp(-score))).astype(np.uint8),
        glm_offset=random.uniform(0, 2, count),
        order_day=np.sort(random.integers(0, 3, count)).astype(np.int32),
        order_key=np.arange(count, dtype=np.int64),
        **dense,
    )


def learn_by_the_book(
    block: Block, parameters: FtrlParameters
) -> tuple[list[float], dict[int, float], dict[int, float], dict[int, float]]:
    """McMahan et al. 2013, Algorithm 1: progressive logits, then weight, z and n by slot.

    An occurrence of a slot is one update; dense column j is the slot -1 - j.
    """
    of = parameters
    z: dict[int, float] = {}
    n: dict[int, float] = {}

    def weight(slot: int) -> float:
        if abs(z.get(slot, 0.0)) <= of.l1:
            return 0.0
        sign = math.copysign(1, z[slot])
        return -(z[slot] - sign * of.l1) / ((of.beta + math.sqrt(n[slot])) / of.alpha + of.l2)

    logits = []
    for row in range(len(block.rows)):
        start, stop = block.rows.offsets[row : row + 2]
        features = [(int(slot), 1.0) for slot in block.rows.slots[start:stop]]
        features += [(-1 - j, x) for j, x in enumerate(block.dense_values(row))]
        logits.append(block.glm_offset[row] + sum(weight(slot) * x for slot, x in features))
        p = 1 / (1 + math.exp(-logits[-1]))
        for slot, x in features:
            g = (p - float(block.clicked[row])) * x
            before = n.get(slot, 0.0)
            sigma = (math.sqrt(before + g * g) - math.sqrt(before)) / of.alpha
            z[slot] = z.get(slot, 0.0) + g - sigma * weight(slot)
            n[slot] = before + g * g
    return logits, {slot: weight(slot) for slot in z}, z, n
