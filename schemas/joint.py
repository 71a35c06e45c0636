"""Tables of the joint model: its rows, what entities are made of, and its state by day."""

from __future__ import annotations

from pyspark.sql import types as T

from schemas.table import DS, Column, Table

_LONGS = T.ArrayType(T.LongType(), False)
_INTS = T.ArrayType(T.IntegerType(), False)
_FLOATS = T.ArrayType(T.FloatType(), False)
_DOUBLES = T.ArrayType(T.DoubleType(), False)
_STRINGS = T.ArrayType(T.StringType(), False)

JOINT_NAMESPACES = Table(
    name="joint_namespaces",
    stage="features",
    grain="day and namespace, or attribute that a pattern leaves out",
    columns=(
        Column("namespace", T.StringType(), "registered, or what a pattern makes of an attribute"),
        Column("scope", T.StringType(), "who knows it: listing, request, pair or cross"),
        Column("of", T.StringType(), "`row`, or the namespace whose entities hold it"),
        Column("kind", T.StringType(), "id, value, token, dense, cross or calendar"),
        Column("inputs", _STRINGS, "what it is made of"),
        Column("attribute", T.StringType(), "the attribute, where a pattern made it", True),
        Column("left_out", T.StringType(), "what of it is left out, and why", True),
        Column("values", _STRINGS, "few values of requests: the day's, most frequent first", True),
        DS,
    ),
    keys=("namespace", "ds"),
)

JOINT_LISTINGS = Table(
    name="joint_listings",
    stage="features",
    grain="day and listing",
    columns=(
        Column("listing_id", T.StringType(), "id of the listing"),
        Column("ids", _LONGS, "64-bit id of the value of each namespace of listings"),
        Column("words", T.BinaryType(), "hashes of its words, int32 little endian"),
        DS,
    ),
    keys=("listing_id", "ds"),
)

JOINT_ROWS = Table(
    name="joint_rows",
    stage="features",
    grain="valid impression of either surface",
    columns=(
        Column("order_key", T.LongType(), "stable hash of the impression id: learning order"),
        Column("surface", T.StringType(), "`search` or `promoted`"),
        Column("clicked", T.BooleanType(), "the label"),
        Column(
            "sampling_rate",
            T.DoubleType(),
            "rate by which the day's non-clicks were drawn; null: predicted, not learnt",
            True,
        ),
        Column(
            "ids",
            _LONGS,
            "64-bit id of each value, by namespace: crosses follow from them",
        ),
        Column("place_hash", T.LongType(), "hash by which the impression has its part of the day"),
        DS,
    ),
    keys=("order_key", "ds"),
    constraints={
        "rate_is_a_share": "sampling_rate IS NULL OR (sampling_rate > 0 AND sampling_rate <= 1)"
    },
)

JOINT_ENTITIES = Table(
    name="joint_entities",
    stage="features",
    grain="day and entity: every listing of the snapshot, every query of the day",
    columns=(
        Column("entity", T.StringType(), "namespace of rows whose coordinates the entities have"),
        Column("id", T.LongType(), "64-bit id of the entity"),
        Column("reference_ids", _LONGS, "listings: the row at the reference context", True),
        Column("parts", _LONGS, "64-bit ids of its contents"),
        Column("kinds", _INTS, "number of each content's kind in the registry"),
        Column("values", _FLOATS, "1 for what is there; of dense inputs the number"),
        DS,
    ),
    keys=("entity", "id", "ds"),
    clustered_by="entity",
)

JOINT_PREDICTIONS = Table(
    name="joint_predictions",
    stage="models",
    grain="promoted impression",
    columns=(
        Column("order_key", T.LongType(), "stable hash of the impression id"),
        Column("listing", T.DoubleType(), "the listing's logit at the reference context"),
        Column("context", T.DoubleType(), "what the request adds to it"),
        Column("variance", T.DoubleType(), "posterior variance of the logit, on the diagonal"),
        DS,
    ),
    keys=("order_key", "ds"),
    constraints={"variance_not_negative": "variance >= 0"},
)

JOINT_RUNS = Table(
    name="joint_runs",
    stage="models",
    grain="day and scale of the priors",
    columns=(
        Column("scale", T.DoubleType(), "multiple of the registered prior variances"),
        Column("is_chosen", T.BooleanType(), "whether the day after is predicted at this scale"),
        Column("days", T.LongType(), "days learnt so far"),
        Column("rows", T.LongType(), "rows learnt so far"),
        Column("clicks", T.LongType(), "clicks among them"),
        Column("coordinates", T.LongType(), "coordinates with evidence"),
        Column(
            "log_loss", T.DoubleType(), "mean log loss of the day's rows before each was learnt"
        ),
        Column("gain", T.DoubleType(), "summed log loss of the first scale less that of this one"),
        Column("gain_squares", T.DoubleType(), "sum of the squares of the daily gains"),
        DS,
    ),
    keys=("scale", "ds"),
)

JOINT_PRIORS = Table(
    name="joint_priors",
    stage="models",
    grain="day, scale and namespace",
    columns=(
        Column("scale", T.DoubleType(), "multiple of the registered prior variances"),
        Column("level", T.StringType(), "row or content"),
        Column("namespace", T.StringType(), "namespace of rows, or kind of content"),
        Column("variance", T.DoubleType(), "prior variance of its weights, in squared logits"),
        Column("registered", T.DoubleType(), "standard deviation registered, at this scale"),
        Column("coordinates", T.LongType(), "weights with evidence"),
        DS,
    ),
    keys=("scale", "level", "namespace", "ds"),
)

JOINT_WEIGHTS = Table(
    name="joint_weights",
    stage="models",
    grain="day and coordinate that scoring needs: not the users, queries and crosses with them",
    columns=(
        Column("level", T.StringType(), "row or content"),
        Column("namespace", T.StringType(), "namespace of rows, or kind of content"),
        Column("id", T.LongType(), "64-bit id of the value"),
        Column("weight", T.DoubleType(), "posterior mean at the chosen scale, in logits"),
        Column("variance", T.DoubleType(), "posterior variance, on the diagonal"),
        Column("information", T.DoubleType(), "G: evidence of the rows; 0 of contents"),
        DS,
    ),
    keys=("level", "namespace", "id", "ds"),
)

JOINT_STATE = Table(
    name="joint_state",
    stage="models",
    grain="one of the last two days of a made range, and coordinate",
    columns=(
        Column("namespace", T.StringType(), "namespace of rows"),
        Column("id", T.LongType(), "64-bit id of the value"),
        Column("b", _DOUBLES, "evidence, by scale"),
        Column("g", _DOUBLES, "information, by scale"),
        Column(
            "prior_mean",
            _DOUBLES,
            "what its content says, by scale; of the constant the first log odds",
        ),
        DS,
    ),
    keys=("namespace", "id", "ds"),
)

JOINT_CONTENTS = Table(
    name="joint_contents",
    stage="models",
    grain="one of the last two days of a made range, and content",
    columns=(
        Column("kind", T.StringType(), "kind of content"),
        Column("id", T.LongType(), "64-bit id of the value"),
        Column("weight", _DOUBLES, "its weight, by scale"),
        DS,
    ),
    keys=("kind", "id", "ds"),
)

JOINT_HOLDINGS = Table(
    name="joint_holdings",
    stage="models",
    grain="one of the last two days of a made range, and entity with evidence and content",
    columns=(
        Column("entity", T.StringType(), "namespace of rows whose coordinates the entities have"),
        Column("id", T.LongType(), "64-bit id of the entity"),
        Column("parts", _LONGS, "64-bit ids of its contents"),
        Column("kinds", _INTS, "number of each content's kind in the registry"),
        Column("values", _FLOATS, "1 for what is there; of dense inputs the number"),
        DS,
    ),
    keys=("entity", "id", "ds"),
)

JOINT_PAIRS = Table(
    name="joint_pairs",
    stage="models",
    grain="one of the last two days of a made range, entity and value it was shown with",
    columns=(
        Column("entity", T.LongType(), "64-bit id of the entity, such as a query"),
        Column("value", T.LongType(), "64-bit id of the value, such as a category"),
        Column("branch", T.LongType(), "64-bit id of what the value belongs to"),
        Column("impressions", T.LongType(), "how often, on all days so far"),
        DS,
    ),
    keys=("entity", "value", "ds"),
)

STACK_WEIGHTS = Table(
    name="stack_weights",
    stage="models",
    grain="day and term of what is added to the joint model's logit",
    columns=(
        Column("term", T.StringType(), "level, intercept, or a term of the correction"),
        Column("weight", T.DoubleType(), "its weight; of the level and intercept the logits"),
        Column(
            "form", T.StringType(), "joint_alone, corrected, or what takes the joint model's place"
        ),
        Column("reason", T.StringType(), "why it is not corrected", True),
        Column("rows", T.LongType(), "impressions fitted on"),
        Column("clicks", T.LongType(), "clicks among them"),
        Column("gain", T.DoubleType(), "log loss that the correction gains out of time, in nats"),
        Column("standard_error", T.DoubleType(), "of that gain"),
        DS,
    ),
    keys=("term", "ds"),
)

TABLES = (
    JOINT_NAMESPACES,
    JOINT_LISTINGS,
    JOINT_ROWS,
    JOINT_ENTITIES,
    JOINT_PREDICTIONS,
    JOINT_RUNS,
    JOINT_PRIORS,
    JOINT_WEIGHTS,
    JOINT_STATE,
    JOINT_CONTENTS,
    JOINT_HOLDINGS,
    JOINT_PAIRS,
    STACK_WEIGHTS,
)
