"""What a server needs of a day's scores, read back from the tables."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.planning.inputs import (
    assembler,
    read_models,
    read_prior_precision,
    read_stack,
    registry,
    request_names,
    strengths_of,
    windows,
)
from jobs.planning.joint_inputs import (
    day_registry,
    held_days,
    joint_spec,
    known_registry,
    read_namespaces,
)
from jobs.planning.joint_states import read_joint_state
from jobs.setup.config import Config
from jobs.setup.exits import InputMissing, UsageError
from jobs.storage.published import ScoresOf
from jobs.storage.tables import Tables
from pipelines.features.feature_rows import LISTING_ENTITIES, one_batch, with_history
from pipelines.features.history import COUNT_COLUMNS, window_to
from pipelines.features.joint_inputs import with_relative_price, with_shows_per_day
from pipelines.features.joint_reference import reference_ids
from pipelines.features.joint_registry import JointRegistry
from pipelines.features.joint_rows import JointAssembler
from pipelines.features.prior_strengths import moments
from pipelines.models.joint_tables import weight_table
from pipelines.models.usual_values import UsualValues
from pipelines.scorer.score_file import packed
from pipelines.scores.exported import (
    NotExportable,
    Share,
    header,
    joint_arrays,
    letter_arrays,
    listing_arrays,
)
from pipelines.scores.exported_features import exported_features
from pipelines.scores.joint_scoring import JointListings, JointWeights, score_joint_listings
from pipelines.scores.live_listings import as_of
from pipelines.scores.reference import reference_context
from pipelines.scores.scoring import score_listings

_SAME = 1e-9


def score_file(tables: Tables, config: Config, scores: ScoresOf) -> bytes:
    """The content of a file that `pipelines.scorer` reads, of all listings of the day's snapshot.

    Raises
    ------
    InputMissing
        What the scores were made from is gone, or has changed since they were made.
    UsageError
        The scorer cannot evaluate a registered namespace for a request.
    """
    day, served = scores.ds, scores.ds + timedelta(days=1)
    models = read_models(tables, [day])[day]
    stack = read_stack(tables, day)
    share = Share.of(stack)
    counted = tables.days("entity_counts")
    window = windows(config).before(served)
    counts = tables.day_reader("entity_counts", window, COUNT_COLUMNS)
    history = window_to(day, counted, counts, windows(config))
    strengths = strengths_of(config, served, moments(history))
    names = request_names(tables, config, day)
    reference = reference_context(registry(config), names, config.scoring.reference, day, models)
    snapshot = with_relative_price(as_of(tables.read_arrow("listings", [day]), served))
    search_days, promoted_days = held_days(config, counted, day)
    shown = one_batch(
        with_shows_per_day(snapshot, history, search_days=search_days, promoted_days=promoted_days)
    )
    # Attributes that the day left out for their number are no part of its listings or requests.
    namespaces = read_namespaces(tables, day)
    joint = JointAssembler(day_registry(config, namespaces))
    ids = joint.listings(shown)
    part, arrays = JointListings.none(shown.num_rows), {}
    prior_variance: dict[str, float] = {}
    used: JointRegistry | None = None
    if stack.correction is not None:
        known = known_registry(config, tables, day)
        spec, state = joint_spec(config, known), read_joint_state(tables, config, known, day)
        rows = [row.name for row in spec.rows]
        chosen = state.posteriors[state.chosen]
        kinds = [kind.name for kind in spec.kinds]
        prior_variance = dict(zip(rows, chosen.variance.tolist(), strict=True))
        prior_variance |= dict(zip(kinds, chosen.content_variance.tolist(), strict=True))
        learnt = JointWeights(weight_table(spec, state, rows), prior_variance)
        at = reference_ids(joint.registry, names, config.scoring.reference, served)
        part = score_joint_listings(shown, joint, learnt, at)
        left_out = {row["attribute"] for row in namespaces if row["left_out"] is not None}
        asked = [key for key in known.keys.get("request", ()) if key not in left_out]
        used = known.with_keys({**joint.registry.keys, "request": asked})
        usual = UsualValues(state.pairs) if spec.usual is not None else None
        arrays = joint_arrays(used, learnt, usual, share.joint)
    listed = with_history(snapshot, history, LISTING_ENTITIES)
    scored = pa.concat_tables(
        score_listings(
            listed, assembler(config, strengths), models, stack, reference,
            read_prior_precision(tables, day), part,
        )
    )  # fmt: skip
    _refuse_changed(scored, scores, day)
    features, of_features = exported_features(
        registry(config), models, share, history, strengths, served
    )
    arrays |= of_features | letter_arrays()
    arrays |= listing_arrays(shown, scored, part, used, ids, stack, reference)
    run_id = scores.table["run_id"][0].as_py()
    try:
        return packed(header(day, run_id, used, prior_variance, features, stack), arrays)
    except NotExportable as problem:
        raise UsageError(f"cannot be exported: {problem}") from None


def _refuse_changed(scored: pa.Table, scores: ScoresOf, day: date) -> None:
    """Refuse what does not give the stored scores."""
    stored = scores.table
    at = pc.index_in(stored["listing_id"], scored["listing_id"].combine_chunks())
    again = scored["logit"].combine_chunks().take(at.combine_chunks())
    apart = np.abs(again.to_numpy(zero_copy_only=False) - stored["logit"].to_numpy())
    if not (apart <= _SAME).all():
        count = int(np.count_nonzero(~(apart <= _SAME)))
        raise InputMissing(
            f"{count} of {len(apart)} scores of {day} come out otherwise today: inputs, "
            f"configuration or code have changed since; `promoted-ctr run --date {day}` first"
        )
