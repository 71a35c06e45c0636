"""The flow: every job in order, with what it reads and writes. Plain data: nothing starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Read:
    """Days of a table that a job reads for day ds.

    Attributes
    ----------
    table, window : str, int or str
        The table, and how many days: a dotted configuration path where that is configurable.
    end : int
        Last day, relative to ds.
    kind : {'days', 'head', 'anchor', 'before'}
        `head`: the rows before the label cut-off, by their digest: more of the day changes nothing.
        `anchor`: the day of the last refit. `before`: the last earlier day with traffic, if any.
    optional : bool
        The job works without these days, as it always does for windows longer than a day.
    """

    table: str
    window: int | str = 1
    end: int = 0
    kind: Literal["days", "head", "anchor", "before"] = "days"
    optional: bool = False


@dataclass(frozen=True)
class Job:
    """One job: named by what it does, one module each in ``jobs``.

    Attributes
    ----------
    sections : tuple of str
        Configuration sections that change what it writes.
    output_version : int
        Raised when the job writes something else for the same input.
    passing : tuple of str
        Tables whose old days nothing reads, so that upkeep lets go of them.
    """

    name: str
    stage: str
    reads: tuple[Read, ...]
    writes: tuple[str, ...]
    sections: tuple[str, ...]
    what: str
    output_version: int = 1
    passing: tuple[str, ...] = ()


FLOW: tuple[Job, ...] = (
    Job(
        "ingest_logs",
        "logs",
        (),
        ("impressions", "clicks", "listings", "quarantine"),
        ("source", "ingest", "labels"),
        "type and deduplicate the landing files; keep every refused row with its reasons",
        output_version=3,
    ),
    Job(
        "label_impressions",
        "logs",
        (Read("impressions"), Read("clicks", optional=True), Read("clicks", end=1, kind="head")),
        ("labeled_impressions",),
        ("labels",),
        "say of every impression whether it was clicked in time, and flag invalid traffic",
        output_version=2,
    ),
    Job(
        "count_entities",
        "logs",
        (Read("labeled_impressions"), Read("listings")),
        ("entity_counts",),
        ("history",),
        "count impressions, clicks and position-expected clicks per entity and surface",
    ),
    Job(
        "build_history",
        "features",
        (Read("entity_counts"), Read("entity_counts", "history.window_days", end=-1)),
        ("entity_history", "entity_priors"),
        ("history",),
        "sum the counts over the windows that end the day before",
    ),
    Job(
        "sample_training",
        "samples",
        (Read("labeled_impressions"), Read("entity_counts")),
        ("training_samples", "sampling_rates"),
        ("sampling",),
        "keep all clicks and a stable hash share of the non-clicks",
        passing=("training_samples",),
    ),
    Job(
        "fit_text_svd",
        "features",
        (Read("listings"), Read("listings", kind="anchor")),
        ("text_basis", "listing_vectors"),
        ("text_svd",),
        "fit the text basis on refit days and fold every listing in",
    ),
    Job(
        "build_features",
        "features",
        (Read("training_samples"), Read("entity_history"), Read("entity_priors"), Read("listings")),
        ("features", "listing_features", "feature_names"),
        ("features", "history"),
        "hash listings, and sampled impressions into packed rows in training order",
        passing=("features", "listing_features"),
    ),
    Job(
        "build_joint_rows",
        "features",
        (
            Read("labeled_impressions"),
            Read("listings"),
            Read("entity_history"),
            Read("feature_names", end=-1, optional=True),
        ),
        ("joint_rows", "joint_listings", "joint_entities", "joint_namespaces"),
        ("features", "joint", "history", "scoring"),
        "give every value of all traffic its id, and say what entities are made of",
        output_version=4,
        passing=("joint_rows", "joint_listings", "joint_entities"),
    ),
    Job(
        "train_models",
        "models",
        (Read("features"), Read("features", "training.window_days"), Read("listing_vectors")),
        ("model_weights", "training_runs"),
        ("training",),
        "learn the historical and the content model by FTRL-Proximal, in day order",
        output_version=3,
    ),
    Job(
        "train_joint",
        "models",
        (
            Read("joint_rows"),
            Read("joint_entities"),
            Read("joint_namespaces"),
            Read("joint_runs", kind="before"),
        ),
        (
            "joint_runs",
            "joint_predictions",
            "joint_weights",
            "joint_priors",
            "joint_state",
            "joint_contents",
            "joint_holdings",
            "joint_pairs",
        ),
        ("joint",),
        "predict the day by the joint model of the day before, then learn it",
        output_version=6,
    ),
    Job(
        "predict_traffic",
        "models",
        (
            Read("labeled_impressions"),
            Read("listings"),
            Read("entity_history"),
            Read("entity_priors"),
            Read("entity_counts", "history.promoted_days", end=-1),
            Read("model_weights", end=-1),
            Read("text_basis", end=-1),
            Read("feature_names", end=-1),
            Read("joint_predictions"),
        ),
        ("predictions", "listing_logits"),
        ("features", "history", "scoring"),
        "the models of the day before on the day's promoted traffic",
        output_version=4,
        passing=("listing_logits",),
    ),
    Job(
        "fit_ensemble",
        "models",
        (
            Read("predictions", "ensemble.days"),
            Read("training_runs"),
            Read("entity_counts", "history.promoted_days"),
        ),
        ("ensemble_weights", "calibration_maps", "stack_weights"),
        ("ensemble", "calibration", "history"),
        "add to the joint model what is proven, and calibrate, on out-of-time predictions",
        output_version=5,
    ),
    Job(
        "evaluate_models",
        "models",
        (
            Read("predictions"),
            Read("ensemble_weights", end=-1),
            Read("calibration_maps", end=-1),
            Read("stack_weights", end=-1),
        ),
        ("scored_traffic", "model_metrics", "reliability"),
        ("calibration", "evaluation"),
        "judge the day by what would have been published for it",
        output_version=4,
    ),
    Job(
        "score_listings",
        "scores",
        (
            Read("listings"),
            Read("entity_counts", "history.window_days"),
            Read("model_weights"),
            Read("text_basis"),
            Read("ensemble_weights"),
            Read("calibration_maps"),
            Read("feature_names"),
            Read("joint_namespaces"),
            Read("joint_weights"),
            Read("stack_weights"),
        ),
        ("listing_scores", "context_terms"),
        ("features", "history", "joint", "scoring"),
        "score every live promoted listing, cold ones included",
        output_version=6,
    ),
    Job(
        "publish_scores",
        "scores",
        (Read("listing_scores"), Read("model_metrics", optional=True)),
        (),
        ("publish",),
        "pass the gates or leave the last good scores in place",
        output_version=2,
    ),
)
"""The jobs in the order in which data flows."""

JOBS: dict[str, Job] = {job.name: job for job in FLOW}
WRITER: dict[str, str] = {table: job.name for job in FLOW for table in job.writes}
"""Which job writes a table."""
