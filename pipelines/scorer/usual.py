"""How a row's value stands to the one that its entity was mostly shown with."""

from __future__ import annotations

import numpy as np

from pipelines.scorer.coded import Ids, looked_up
from pipelines.scorer.score_file import Arrays
from pipelines.scorer.value_ids import NONE, value_ids


def relation(name: str, arrays: Arrays, entity: Ids, value: Ids, branch: Ids) -> Ids:
    """Ids of `same`, `branch`, `other` or `new`, shape (n,).

    Parameters
    ----------
    name : str
        The registered namespace.
    arrays : mapping
        `usual/entity`, ascending, with `usual/value` and `usual/branch`.
    entity, value, branch : Ids
        Of each row; `NONE` without an entity or without a value.
    """
    known = arrays["usual/entity"]
    usual, usual_branch = (
        looked_up(known, arrays[f"usual/{part}"], entity.values, NONE)[entity.codes]
        for part in ("value", "branch")
    )
    own, own_branch = value.values[value.codes], branch.values[branch.codes]
    is_none = (entity.values == NONE)[entity.codes] | (own == NONE)
    is_branch = (own_branch == usual_branch) & (own_branch != NONE)
    kinds = value_ids(name, [None, "new", "same", "branch", "other"])
    states = [is_none, usual == NONE, own == usual, is_branch]
    return Ids(kinds, np.select(states, [0, 1, 2, 3], 4))
