"""Tokenising: lower-cased Unicode words of titles and tags, whole columns at a time."""

import sys
import unicodedata

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

# Combining marks belong to the word before them: without them Indic words would fall apart.
_NOT_WORD = r"[^\p{L}\p{M}\p{N}]+"
_ROW_END = "\0"
_APOSTROPHE = r"['\x{2019}\x{02BC}]"


def unigrams(values: pa.Array) -> pa.ListArray:
    """Split every text into lower-cased words, in order, repetitions kept.

    A word is a run of Unicode letters, marks and digits, after NFKC normalisation. Apostrophes
    vanish, so that ``women's`` and ``womens`` are one word; everything else separates.

    Parameters
    ----------
    values : pyarrow.Array of string
        Texts; may hold nulls and may be a slice.

    Returns
    -------
    pyarrow.ListArray of string, length len(values)
        Words of each text; an empty list (never null) where there are none.

    Examples
    --------
    >>> unigrams(pa.array(["Women's MUG, 12oz!", None])).to_pylist()
    [['womens', 'mug', '12oz'], []]
    """
    text = pc.utf8_lower(_compose(_as_string(values)))
    text = pc.replace_substring_regex(text, _APOSTROPHE, "")
    text = pc.replace_substring_regex(text, _NOT_WORD, " ")
    text = pc.ascii_trim(text, " ")
    # Splitting '' would give one empty word; a null gives none.
    words = pc.split_pattern(pc.if_else(pc.equal(text, ""), None, text), " ")
    return _without_nulls(words)


def documents(title: pa.Array, tags: pa.ListArray) -> pa.ListArray:
    """Words of each listing: those of its title, then those of its tags.

    Parameters
    ----------
    title : pyarrow.Array of string
        Titles; may hold nulls.
    tags : pyarrow.ListArray of string
        Tags, as many rows as titles; lists and tags may be null.

    Returns
    -------
    pyarrow.ListArray of string, length len(title)
        Words of each listing; an empty list where there are none.

    Examples
    --------
    >>> documents(pa.array(["Oak bowl"]), pa.array([["wood", "hand made"]])).to_pylist()
    [['oak', 'bowl', 'wood', 'hand', 'made']]
    """
    tag_lists = _without_nulls(tags.cast(pa.list_(pa.string())))
    # binary_join makes a null of a list that holds one.
    filled = pa.ListArray.from_arrays(tag_lists.offsets, tag_lists.values.fill_null(""))
    joined = pc.binary_join(filled, " ")
    return unigrams(
        pc.binary_join_element_wise(_as_string(title), joined, " ", null_handling="skip")
    )


def characters() -> dict[str, npt.NDArray[np.uint32]]:
    """What `unigrams` makes of every character, for who splits texts without Arrow.

    Returns
    -------
    dict
        Code points: `first` and `last` of every range of characters of words, ascending; `large`
        characters and the `small` ones that lower-casing makes of them, one for one.
    """
    codes = np.array(
        [code for code in range(1, sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF], np.uint32
    )
    text = pa.array(map(chr, codes.tolist()), pa.string())
    is_word = ~np.asarray(pc.match_substring_regex(text, _NOT_WORD).to_numpy(zero_copy_only=False))
    numbers = np.where(is_word, codes, 0)
    # A word character begins a range unless the code point before it is one, and ends it likewise.
    is_first = is_word & (np.diff(numbers, prepend=np.uint32(0)) != 1)
    is_last = is_word & (np.diff(numbers, append=np.uint32(0)) != 1)
    lowered = pc.utf8_lower(text)
    changed = np.asarray(pc.not_equal(text, lowered).to_numpy(zero_copy_only=False))
    small = [ord(one) for one in lowered.filter(pa.array(changed)).to_pylist()]
    return {
        "first": codes[is_first],
        "last": codes[is_last],
        "large": codes[changed],
        "small": np.array(small, np.uint32),
    }


def _compose(text: pa.StringArray) -> pa.StringArray:
    """Normalise to NFKC; nulls may become empty.

    pyarrow's ``utf8_normalize`` leaves letters and their accents apart in its composing forms too,
    so the column is normalised as one text.
    """
    if pc.all(pc.string_is_ascii(text), min_count=0).as_py():
        return text
    rows = pc.replace_substring(text.fill_null(""), _ROW_END, " ")
    column = pc.binary_join(
        pa.ListArray.from_arrays(pa.array([0, len(rows)], pa.int32()), rows), _ROW_END
    )
    composed = unicodedata.normalize("NFKC", column[0].as_py())
    return pc.split_pattern(pa.array([composed]), _ROW_END).values


def _as_string(values: pa.Array) -> pa.Array:
    return values if pa.types.is_string(values.type) else values.cast(pa.string())


def _without_nulls(lists: pa.ListArray) -> pa.ListArray:
    """Turn null lists into empty ones; the result starts at offset 0."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    start = pa.array([0], pa.int32())
    offsets = pa.concat_arrays([start, pc.cumulative_sum(lengths)])
    return pa.ListArray.from_arrays(offsets, pc.list_flatten(lists))
