"""A small registry of the joint model with one namespace of each kind, and two listings."""

from __future__ import annotations

import pyarrow as pa

from pipelines.features.joint_namespace import JointNamespace
from pipelines.features.joint_registry import JointRegistry

SURFACE = JointNamespace("surface", "request", "identity", ("surface",), 1.0, learnt=False)
USER = JointNamespace("user", "request", "identity", ("user_id",), 0.3, is_id=True, unknown=0.1)
LISTING = JointNamespace("listing", "listing", "identity", ("listing_id",), 0.4, is_id=True)
CATEGORY = JointNamespace("category", "listing", "identity", ("category",), 0.1, walk=0.01)
WORDS = JointNamespace("shared_words", "pair", "shared_word_count", ("query", "title", "tags"), 0.3)
PAIR = JointNamespace("user_x_category", "cross", "cross", ("user", "category"), 0.1)
TITLE = JointNamespace("title_word", "listing", "unigrams", ("title",), 0.1, of="listing")
ALL = (SURFACE, USER, LISTING, CATEGORY, WORDS, PAIR, TITLE)
REGISTRY = JointRegistry(ALL, surface_prior=0.2)


def listings() -> pa.RecordBatch:
    """One with two categories of words, one without a category."""
    return pa.RecordBatch.from_pydict(
        {
            "listing_id": ["l1", "l2"],
            "category": ["cups", None],
            "title": ["blue oak bowl oak", "cup"],
            "tags": pa.array([["gift"], []], pa.list_(pa.string())),
        }
    )
