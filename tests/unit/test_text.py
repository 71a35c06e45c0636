"""Tokenising titles and tags."""

import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.features.text import documents, unigrams


def words_by_character(text: str) -> list[str]:
    """The rule, one character at a time."""
    words, word = [], ""
    for character in unicodedata.normalize("NFKC", text).lower() + " ":
        if unicodedata.category(character)[0] in "LMN":
            word += character
        elif character not in "'\u2019" and word:
            words.append(word)
            word = ""
    return words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hand-Made OAK bowl, 12oz!", ["hand", "made", "oak", "bowl", "12oz"]),
        ("Women's \u2019n\u2019 MEN\u2019S", ["womens", "n", "mens"]),
        ("naïve Été ŁÓDŹ Москва", ["naïve", "été", "łódź", "москва"]),
        ("e\u0301te\u0301", ["\u00e9t\u00e9"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("Ｆｕｌｌ width", ["full", "width"]),
        ("mug mug", ["mug", "mug"]),
        ("-- !! \t\n", []),
        ("", []),
        (None, []),
    ],
)
def test_words_are_lower_cased_runs_of_letters_marks_and_digits(
    text: str | None, words: list[str]
) -> None:
    assert unigrams(pa.array([text], pa.string())).to_pylist() == [words]


ALPHABET = st.sampled_from("aZ9é ßÑЖ'\u2019-_.,/\t\0東ｗ½\u0301ा")


@given(st.lists(st.none() | st.text(ALPHABET, max_size=12), max_size=6))
def test_whole_columns_follow_the_rule_of_single_characters(texts: list[str | None]) -> None:
    words = unigrams(pa.array(texts, pa.string()))
    assert words.to_pylist() == [words_by_character(text or "") for text in texts]


def test_a_document_is_the_title_then_the_tags() -> None:
    title = pa.array(["Oak bowl", None, "Mug", "Mug", None], pa.string())
    tags = pa.array([["wood", "Hand made"], ["a b", None, "C"], None, [], None])
    assert documents(title, tags).to_pylist() == [
        ["oak", "bowl", "wood", "hand", "made"],
        ["a", "b", "c"],
        ["mug"],
        ["mug"],
        [],
    ]


def test_slices_tokenise_as_their_rows_alone() -> None:
    title = pa.array(["x", "one two", None, "three"])
    tags = pa.array([["y"], ["a"], None, ["b", "c"]])
    assert documents(title[1:], tags[1:]).to_pylist() == documents(title, tags).to_pylist()[1:]


def test_an_empty_column_gives_an_empty_column() -> None:
    words = documents(pa.array([], pa.string()), pa.array([], pa.list_(pa.string())))
    assert (len(words), words.type) == (0, pa.list_(pa.string()))
