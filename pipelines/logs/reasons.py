"""Why a row is refused: the words in `quarantine.reasons`, in the order in which they are told."""

from __future__ import annotations

NOT_JSON = "not_json"
INVALID_UTF8 = "invalid_utf8"
MALFORMED_ROW = "malformed_row"
MISSING_COLUMN = "missing_column"
NULL_KEY = "null_key"
EMPTY_KEY = "empty_key"
UNPARSABLE_TIMESTAMP = "unparsable_timestamp"
UNPARSABLE_NUMBER = "unparsable_number"
UNPARSABLE_VALUE = "unparsable_value"
OUTSIDE_DAY = "outside_day"
POSITION_BELOW_1 = "position_below_1"
UNKNOWN_SURFACE = "unknown_surface"
NEGATIVE_PRICE = "negative_price"
OVERSIZED_STRING = "oversized_string"
CLICK_WITHOUT_IMPRESSION = "click_without_impression"
CLICK_BEFORE_IMPRESSION = "click_before_impression"
DUPLICATE_ID = "duplicate_id"

REASONS: dict[str, str] = {
    NOT_JSON: "the line is no JSON object",
    INVALID_UTF8: "a string is not valid UTF-8",
    MALFORMED_ROW: "a CSV row has more fields than the header",
    MISSING_COLUMN: "the row or its file does not have a required column",
    NULL_KEY: "a required column is null",
    EMPTY_KEY: "an id is the empty string",
    UNPARSABLE_TIMESTAMP: "a timestamp cannot be read",
    UNPARSABLE_NUMBER: "a number cannot be read, or is not finite",
    UNPARSABLE_VALUE: "a boolean, list or map cannot be read",
    OUTSIDE_DAY: "the timestamp is not within the log day",
    POSITION_BELOW_1: "the position is below 1",
    UNKNOWN_SURFACE: "the surface is neither search nor promoted",
    NEGATIVE_PRICE: "the price is negative",
    OVERSIZED_STRING: "a string is longer than ingest.max_string_bytes",
    CLICK_WITHOUT_IMPRESSION: "no accepted impression of that day or the day before has this id",
    CLICK_BEFORE_IMPRESSION: "the click is earlier than its impression",
    DUPLICATE_ID: "another row of the day has the same id and comes first",
}
"""Every reason with its meaning."""
