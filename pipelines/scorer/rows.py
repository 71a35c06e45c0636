"""The rows of one call: what each namespace says of them, added up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.scorer.coded import (
    Floats,
    Ids,
    Labels,
    crossed,
    distinct,
    joined,
    looked_up,
    places,
)
from pipelines.scorer.labels import ENCODINGS, LISTS, Letters, labels_of
from pipelines.scorer.score_file import Arrays
from pipelines.scorer.usual import relation
from pipelines.scorer.value_ids import NONE, Ints, feature_hashes, value_ids

MAX_SHARED = 3

_32 = np.uint64(32)


class Rows:
    """Rows of a listing and a request each.

    Parameters
    ----------
    header, arrays : mapping
        Of the file.
    letters : Letters
    words : numpy.ndarray of uint64
        Ascending: number of a listing << 32 | hash of a word that it has.
    number : numpy.ndarray of int64, shape (n,)
        Of each row's listing.
    given : mapping of str to Labels
        The requests' columns, brought to the rows.
    """

    def __init__(
        self,
        header: Mapping[str, Any],
        arrays: Arrays,
        letters: Letters,
        words: npt.NDArray[np.uint64],
        number: Ints,
        given: Mapping[str, Labels],
    ) -> None:
        self._header, self._arrays, self._letters, self._words = header, arrays, letters, words
        self._number, self._given = number, given
        self._nowhere = np.zeros(len(number), dtype=np.int64)
        self._ids: dict[str, Ids] = {}
        self._labels: dict[str, Labels] = {}

    def totals(self) -> tuple[Floats, Floats, Floats]:
        """Logit, its variance, and product of the field factors, shape (n,) each.

        The listing's part first, then the joint model's columns and the FTRL models' features in
        the order of the header.
        """
        parts = ("logit", "variance", "factor")
        logit, variance, factor = (self._arrays[f"listing/{part}"][self._number] for part in parts)
        for namespace in self._header["namespaces"]:
            self._ids[namespace["name"]] = self._namespace(namespace)
        for column in self._header["columns"]:
            added, spread = self._column(column)
            logit, variance = logit + added, variance + spread
        for feature in self._header["features"]:
            logit = logit + self._feature(feature)
        for field in self._header["fields"]:
            own = self._one(field)
            factors = [field["factors"].get(label or "", 1.0) for label in own.values]
            factor = factor * np.array(factors)[own.codes]
        return logit, variance, factor

    # -- the joint model: ids of namespaces, then weights of columns -------------------------------

    def _namespace(self, namespace: Mapping[str, Any]) -> Ids:
        name, encoding = namespace["name"], namespace["encoding"]
        if namespace["scope"] == "listing":
            codes = self._arrays[f"listing/{name}/codes"][self._number].astype(np.int64)
            return Ids(self._arrays[f"listing/{name}/ids"], codes)
        if encoding == "cross":
            return crossed(name, [self._ids[part] for part in namespace["inputs"]])
        if encoding == "usual":  # only its own columns know it, see `_relation`
            return Ids(np.array([NONE]), self._nowhere)
        own = self._counted() if encoding == "shared_word_count" else self._one(namespace)
        self._labels[name] = own
        return Ids(value_ids(name, own.values), own.codes)

    def _column(self, column: Mapping[str, Any]) -> tuple[Floats, Floats]:
        """What a column adds to logit and variance, shape (n,) each."""
        name = column["name"]
        if column["missing"]:
            own = self._ids[column["missing"]]
            (absent,) = value_ids(name, ["missing"])
            value = Ids(np.where(own.values == NONE, absent, NONE), own.codes)
        elif column["usual"]:
            value = self._relation(column)
        elif column["parts"]:
            value = crossed(name, [self._ids[part] for part in column["parts"]])
        else:
            value = self._ids[name]
        ids, weights, variances = (
            self._arrays[f"column/{name}/{part}"] for part in ("ids", "weight", "variance")
        )
        weight = looked_up(ids, weights, value.values, 0.0)
        prior = np.where(value.values == NONE, 0.0, column["prior_variance"])
        variance = looked_up(ids, variances, value.values, prior)
        for content in column["contents"]:
            fresh = np.flatnonzero(~places(ids, value.values)[1] & (value.values != NONE))
            # The entity's labels are its values: it is encoded by identity.
            texts = self._labels[name].values
            weight[fresh] += self._content(content, [texts[k] for k in fresh.tolist()])
        return weight[value.codes], variance[value.codes]

    def _content(self, content: Mapping[str, Any], values: Sequence[Any]) -> Floats:
        """What a kind of content says of values that no row has taught: each label once."""
        name, encoding = content["name"], content["encoding"]
        held = [sorted(set(labels_of(encoding, value, self._letters))) for value in values]
        owner = np.repeat(np.arange(len(held)), [len(labels) for labels in held])
        wanted = value_ids(name, (label for labels in held for label in labels))
        ids, weights = (self._arrays[f"content/{name}/{part}"] for part in ("ids", "weight"))
        found = looked_up(ids, weights, wanted, 0.0)
        return np.bincount(owner, found, minlength=len(held)).astype(np.float64)

    def _relation(self, column: Mapping[str, Any]) -> Ids:
        """How each row's value stands to the one that its entity was mostly shown with."""
        usual = column["usual"]
        parts = (self._ids[part] for part in usual["inputs"])
        found = relation(usual["name"], self._arrays, *parts)
        if not column["parts"]:
            return found
        return crossed(column["name"], [self._ids[column["parts"][0]], found])

    # -- labels of one value a row -----------------------------------------------------------------

    def _raw(self, name: str) -> Labels:
        default = {"surface": "promoted", "ds": self._header["serves"]}.get(name)
        return self._given.get(name) or Labels([default], self._nowhere)

    def _one(self, namespace: Mapping[str, Any]) -> Labels:
        if namespace["encoding"] == "constant":
            return Labels(["1"], self._nowhere)
        raw, encode = self._raw(namespace["inputs"][0]), ENCODINGS[namespace["encoding"]]
        labels = distinct([None if value is None else encode(value) for value in raw.values])
        return Labels(labels.values, labels.codes[raw.codes])

    # -- words that query and listing share --------------------------------------------------------

    @cached_property
    def _asked(self) -> tuple[list[list[str]], Ints]:
        """Words of each distinct query, and which query each row has."""
        raw = self._raw("query")
        return [labels_of("unigrams", value, self._letters) for value in raw.values], raw.codes

    @cached_property
    def _matches(self) -> list[tuple[Ints, npt.NDArray[np.uint32]]]:
        """Rows whose listing has a word of the query, and the word's hash: an entry a place."""
        queries, codes = self._asked
        hashed = [np.unique(feature_hashes("shared_words", words)) for words in queries]
        count = np.array([len(words) for words in hashed], dtype=np.int64)
        table = np.zeros((int(count.max(initial=0)), len(hashed)), dtype=np.uint32)
        for query, words in enumerate(hashed):
            table[: len(words), query] = words
        owner = self._number.astype(np.uint64) << _32
        found = []
        for place in range(len(table)):
            rows = np.flatnonzero((count > place)[codes])
            word = table[place][codes[rows]]
            _, is_shared = places(self._words, owner[rows] | word)
            found.append((rows[is_shared], word[is_shared]))
        return found

    def _counted(self) -> Labels:
        """How many words the listing shares, of how many asked: each at most 3."""
        queries, codes = self._asked
        asked = np.array([min(len(words), MAX_SHARED) for words in queries], dtype=np.int64)
        shared = self._nowhere.copy()
        for rows, _ in self._matches:
            shared[rows] += 1
        labels = [f"{f}/{n}" if n else None for n in range(4) for f in range(4)]
        of = asked[codes]
        return Labels(labels, of * (MAX_SHARED + 1) + np.minimum(shared, of))

    # -- the two FTRL models -----------------------------------------------------------------------

    def _feature(self, feature: Mapping[str, Any]) -> Floats:
        """What a namespace adds, shape (n,)."""
        name, encoding = feature["name"], feature["encoding"]
        if encoding == "shared_words":
            total = np.zeros(len(self._number))
            for rows, words in self._matches:
                total[rows] += self._weights(feature, words)
            return total
        if encoding in LISTS:
            raw = self._raw(feature["inputs"][0])
            held = [labels_of(encoding, value, self._letters) for value in raw.values]
            owner = np.repeat(np.arange(len(held)), [len(labels) for labels in held])
            flat = feature_hashes(name, (label for labels in held for label in labels))
            sums = np.bincount(owner, self._weights(feature, flat), minlength=len(held))
            return sums[raw.codes].astype(np.float64)
        own = self._labels[name] = self._labelled(feature)
        is_value = np.array([label is not None for label in own.values], dtype=np.bool_)
        hashes = feature_hashes(name, (label or "" for label in own.values))
        return np.where(is_value, self._weights(feature, hashes), 0.0)[own.codes]

    def _labelled(self, feature: Mapping[str, Any]) -> Labels:
        encoding, inputs = feature["encoding"], feature["inputs"]
        if encoding == "cross":
            return joined([self._labels[part] for part in inputs])
        if encoding == "shared_word_count":
            return self._counted()
        if encoding == "band":
            raw, name = self._raw(inputs[0]), feature["name"]
            ids, bands = (self._arrays[f"band/{name}/{part}"] for part in ("ids", "band"))
            wanted = value_ids(inputs[0], raw.values)
            found = looked_up(ids, bands, wanted, feature["default"])
            return Labels([str(band) for band in found.tolist()], raw.codes)
        return self._one(feature)

    def _weights(self, feature: Mapping[str, Any], hashes: npt.NDArray[np.uint32]) -> Floats:
        """Weights of features, which hold the models' share in the published logit."""
        total = np.zeros(len(hashes))
        for model, bits in feature["models"].items():
            slots, weights = (self._arrays[f"{model}/{part}"] for part in ("slots", "weight"))
            total += looked_up(slots, weights, hashes & np.uint32((1 << bits) - 1), 0.0)
        return total
