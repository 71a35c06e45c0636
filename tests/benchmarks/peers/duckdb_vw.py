"""Peer (a): features by DuckDB, learnt by ``vw --ftrl``, calibrated by Platt scaling.

Each row of both surfaces is learnt once, in the order of time. A judged day is predicted with the
model and the history of the day before, and its sigmoid is fitted to earlier days predicted in
the same way. Tuned is the learning rate, by `tune.py`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.linear_model import LogisticRegression
from vowpalwabbit import Workspace

Setting = float | str
CHOSEN: dict[str, Setting] = {
    "ftrl_alpha": 0.02, "ftrl_beta": 1.0, "l1": 0.0, "l2": 1.0, "ignored": "", "platt_days": 14,
}  # fmt: skip
GRID: dict[str, tuple[Setting, ...]] = {
    "ftrl_alpha": (0.01, 0.02, 0.05, 0.1),
    "l2": (0.0, 1.0, 10.0),
    "l1": (0.0, 0.5, 2.0),
    "ignored": ("", "lqu", "h"),
    "platt_days": (7, 14),
}
# Namespaces that are crossed: s surface, p position, c context, g category, m match of query and
# listing, h history, n numbers of the listing, u user.
_CROSSES = ("sp", "sc", "sg", "sm", "sh", "sn", "ug", "cg", "cp")

_ROWS = r"""
SET TimeZone = 'UTC';
CREATE MACRO words(text) AS
    trim(regexp_replace(lower(coalesce(text, '')), '[^\p{{L}}\p{{N}}]+', ' ', 'g'));
CREATE MACRO token(text) AS replace(words(coalesce(text, 'none')), ' ', '_');
CREATE MACRO band(clicks, expected) AS
    round(3 * ln((coalesce(clicks, 0) + 1) / (coalesce(expected, 0) + 1)))::INT;
CREATE MACRO size(number) AS floor(log2(coalesce(number, 0) + 1))::INT;
CREATE TABLE listed AS
SELECT listing_id, ds::DATE AS ds, token(shop_id) AS shop,
    token(split_part(category, ' > ', 1)) AS top,
    token(split_part(category, ' > ', 1) || '_' || split_part(category, ' > ', 2)) AS branch,
    token(category) AS leaf, words(title) AS title, words(array_to_string(tags, ' ')) AS tags,
    token(attributes['shipping']) AS shipping, token(attributes['material']) AS material,
    round(2 * log2(price + 1))::INT AS price,
    round(2 * log2(price / avg(price) OVER (PARTITION BY category, ds)))::INT AS relative,
    size(quantity) AS stock, size(date_diff('day', created_ts::DATE, ds::DATE)) AS age,
    array_to_string(list_transform(image_vector, lambda x, i: i || ':' || round(x, 3)), ' ')
        AS image
FROM read_parquet('{landing}/listings/*/*.parquet');
CREATE TABLE shown AS
SELECT impression_id, i.ds::DATE AS ds, ts, surface, position, token(device) AS device,
    token(country) AS country, token(attributes['page_type']) AS page, i.listing_id,
    coalesce(user_id, 'none') AS user, words(query) AS query, l.* EXCLUDE (listing_id, ds),
    coalesce(clicked_at < i.ds::DATE::TIMESTAMPTZ + INTERVAL 26 HOUR, false)::INT AS clicked
FROM read_parquet('{landing}/impressions/*/*.parquet') AS i
LEFT JOIN (
    SELECT impression_id, min(ts) AS clicked_at
    FROM read_parquet('{landing}/clicks/*/*.parquet') GROUP BY ALL
) USING (impression_id)
LEFT JOIN listed AS l ON l.listing_id = i.listing_id AND l.ds = i.ds::DATE;
CREATE TABLE places AS
SELECT surface, position, ds, (coalesce(sum(sum(clicked)) OVER past, 0) + 2)
    / (coalesce(sum(count(*)) OVER past, 0) + 100) AS rate
FROM shown GROUP BY surface, position, ds
WINDOW past AS (PARTITION BY surface, position ORDER BY ds
    RANGE BETWEEN INTERVAL 30 DAY PRECEDING AND INTERVAL 1 DAY PRECEDING);
CREATE TABLE history AS
WITH keyed AS (
    SELECT ds, surface, clicked, rate, unnest([
        'listing ' || listing_id, 'shop ' || shop, 'leaf ' || leaf, 'user ' || user,
        'query ' || query, 'query leaf ' || query || ' ' || leaf
    ]) AS key
    FROM shown JOIN places USING (surface, position, ds)
), daily AS (
    SELECT key, ds, count(*) AS shown, sum(clicked) AS clicks, sum(rate) AS expected,
        sum(clicked) FILTER (surface = 'promoted') AS ad_clicks,
        sum(rate) FILTER (surface = 'promoted') AS ad_expected
    FROM keyed GROUP BY ALL
)
SELECT key, ds, coalesce(sum(shown) OVER past, 0) AS shown,
    band(sum(clicks) OVER past, sum(expected) OVER past) AS rate, size(sum(shown) OVER past) AS n,
    band(sum(ad_clicks) OVER past, sum(ad_expected) OVER past) AS ad_rate
FROM daily
WINDOW past AS (PARTITION BY key ORDER BY ds
    RANGE BETWEEN INTERVAL 30 DAY PRECEDING AND INTERVAL 1 DAY PRECEDING);
"""

_LINES = """
SELECT (2 * clicked - 1) || ' |s ' || surface || ' |p ' || position
    || ' |c d' || device || ' c' || country || ' t' || page
    || ' |d h' || hour(ts) || ' w' || dayofweek(x.ds)
    || ' |l ' || listing_id || ' ' || shop || ' |u ' || user || ' |q ' || replace(query, ' ', '_')
    || ' |w ' || query || ' |g ' || top || ' ' || branch || ' ' || leaf
    || ' |t ' || title || ' |k ' || tags || ' s' || shipping || ' m' || material
    || ' |i ' || coalesce(image, '')
    || ' |n p' || price || ' r' || relative || ' a' || age || ' q' || stock
    || ' |m w' || least(len(list_intersect(string_split(query, ' '), string_split(title, ' '))), 3)
    || ' g' || CASE WHEN query = '' THEN 'x' ELSE round(5 * ql.shown / (q.shown + 1))::INT::TEXT END
    || ' |h l' || l.rate || ' p' || l.ad_rate || ' n' || l.n || ' x' || l.rate || '_' || l.n
    || ' s' || s.rate || ' sp' || s.ad_rate || ' c' || c.rate || ' u' || u.rate || '_' || u.n
    || ' q' || q.rate || '_' || q.n || ' y' || ql.rate || '_' || ql.n
FROM shown AS x
JOIN history AS l ON l.ds = x.ds AND l.key = 'listing ' || listing_id
JOIN history AS s ON s.ds = x.ds AND s.key = 'shop ' || shop
JOIN history AS c ON c.ds = x.ds AND c.key = 'leaf ' || leaf
JOIN history AS u ON u.ds = x.ds AND u.key = 'user ' || user
JOIN history AS q ON q.ds = x.ds AND q.key = 'query ' || query
JOIN history AS ql ON ql.ds = x.ds AND ql.key = 'query leaf ' || query || ' ' || leaf
WHERE x.ds = DATE '{day}'
ORDER BY ts, impression_id
"""


def predict(
    landing: Path, judged: Sequence[date], *, settings: dict[str, Setting] = CHOSEN
) -> pa.Table:
    """Click probabilities of the promoted impressions of some days: impression_id, p."""
    platt_days = int(settings["platt_days"])
    past: list[pa.Table] = []
    found = []
    with duckdb.connect() as rows, tempfile.TemporaryDirectory() as scratch:
        rows.execute(_ROWS.format(landing=landing))
        first = date.fromordinal(judged[0].toordinal() - platt_days)
        for day, logits in _logits(rows, Path(scratch), first, judged[-1], settings):
            promoted = rows.sql(
                f"SELECT impression_id, clicked, surface = 'promoted' AS is_promoted FROM shown "
                f"WHERE ds = DATE '{day}' ORDER BY ts, impression_id"
            ).to_arrow_table()
            promoted = promoted.append_column("logit", pa.array(logits))
            promoted = promoted.filter(promoted["is_promoted"])
            if day in judged:
                sigmoid = LogisticRegression(C=1e6)
                learnt = pa.concat_tables(past[-platt_days:])
                sigmoid.fit(learnt["logit"].to_numpy()[:, None], learnt["clicked"].to_numpy())
                p = sigmoid.predict_proba(promoted["logit"].to_numpy()[:, None])[:, 1]
                found.append(pa.table({"impression_id": promoted["impression_id"], "p": p}))
            past.append(promoted)
    return pa.concat_tables(found)


def _logits(
    rows: duckdb.DuckDBPyConnection,
    scratch: Path,
    first: date,
    last: date,
    settings: dict[str, Setting],
) -> Iterator[tuple[date, npt.NDArray[np.float64]]]:
    """Learn day after day; give the logits of the days from `first`, each before it is learnt."""
    flags = "--quiet --loss_function logistic --ftrl -b 22"
    for name in ("ftrl_alpha", "ftrl_beta", "l1", "l2"):
        flags += f" --{name} {settings[name]}"
    flags += "".join(f" --ignore {letter}" for letter in str(settings["ignored"]))
    flags += "".join(f" -q {cross}" for cross in _CROSSES)
    days = rows.sql(f"SELECT DISTINCT ds FROM shown WHERE ds <= DATE '{last}' ORDER BY ds")
    model, lines, logits = scratch / "model", scratch / "rows", scratch / "logits"
    for number, (day,) in enumerate(days.fetchall()):
        rows.execute(
            f"COPY ({_LINES.format(day=day)}) TO '{lines}' "
            "(FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\t')"
        )
        if number and day >= first:
            Workspace(f"{flags} -t -i {model} -d {lines} -p {logits}").finish()
            yield day, np.loadtxt(logits)
        start = f"-i {model}" if number else ""
        Workspace(f"{flags} {start} -d {lines} -f {model}").finish()
