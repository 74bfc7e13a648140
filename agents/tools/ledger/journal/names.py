"""Who a vendor is: names compared, ids grouped, look-alikes paired."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

# Two names this near (cosine of letter trigrams) are worth a letter-by-letter comparison.
CANDIDATE_COSINE = 0.55
# Ids with more names than this are a ledger's own collective account for one-time payees.
MAX_NAMES_PER_ID = 4
# Beyond this many vendors the comparison goes in blocks, to bound memory.
_BLOCK = 2000

PAIR_COLUMNS = ("minor", "major", "distance", "minor_lines", "major_lines", "spelled_apart")

_LEGAL = {
    "LIMITED": "", "LTD": "", "PLC": "", "LLP": "", "INC": "", "CO": "", "COMPANY": "",
    "THE": "", "AND": "", "UK": "", "LT": "", "LIMITE": "", "LIMIT": "", "LIMI": "", "LIM": "",
}  # fmt: skip


@cache
def name_key(name: str) -> str:
    """Letters and digits of a name in upper case, without legal forms and filler words."""
    words = re.findall(r"[A-Z0-9]+", name.upper().replace("'", "").replace("’", ""))
    kept = [word for word in words if _LEGAL.get(word, word)]
    return "".join(kept or words)


def edit_distance(left: str, right: str, limit: int = 4) -> int:
    """Optimal string alignment distance (a swap of neighbours is one edit), capped at limit + 1."""
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        older, before, row = before, row, [i]
        for j, b in enumerate(right, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and b == left[i - 2]:
                best = min(best, older[j - 2] + 1)
            row.append(best)
        if min(row) > limit:
            return limit + 1
    return min(row[-1], limit + 1)


def entities(lines: pd.DataFrame) -> pd.Series:
    """One key per payee: the vendor id, or id and name where an id is shared by many names."""
    keys = lines["vendor"].map(name_key)
    many = keys.groupby(lines["vendor_id"]).nunique()
    shared = lines["vendor_id"].map(many) > MAX_NAMES_PER_ID
    return lines["vendor_id"].where(~shared, lines["vendor_id"] + "|" + keys)


def near_pairs(names: list[str]) -> list[tuple[int, int, int]]:
    """Pairs (i < j, distance) of distinct positions whose names differ by a few letters.

    Equal keys have distance 0. At most one edit per five letters counts as near.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    if len(names) < 2:
        return []
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3)).fit_transform(
        [name or "?" for name in names]
    )
    found: list[tuple[int, int, int]] = []
    for start in range(0, len(names), _BLOCK):
        product = (vectors[start : start + _BLOCK] @ vectors.T).tocoo()
        strong = product.data >= CANDIDATE_COSINE
        for i, j in zip(product.row[strong] + start, product.col[strong], strict=True):
            if i < j and (distance := _near(names[i], names[j])) is not None:
                found.append((int(i), int(j), distance))
    return found


def _near(left: str, right: str) -> int | None:
    """Edits between two names if they are few for their length; None if they are two names."""
    size = max(len(left), len(right))
    allowed = 0 if size < 5 else 1 if size < 14 else 2
    distance = edit_distance(left, right, limit=max(allowed, 1))
    if distance > allowed or _differ_in_number(left, right):
        return None
    # BARNET and BRENT after the same long prefix are two towns: judge what is left of both.
    core = size - _shared_ends(left, right)
    return None if distance > 1 and core > distance + 1 else distance


def _shared_ends(left: str, right: str) -> int:
    """Letters shared at the front and at the end."""
    least = min(len(left), len(right))
    front = next((i for i in range(least) if left[i] != right[i]), least)
    back = next((i for i in range(least - front) if left[-1 - i] != right[-1 - i]), least - front)
    return front + back


def _differ_in_number(left: str, right: str) -> bool:
    """True for "UNIT 3" against "UNIT 4": numbers tell vendors apart on purpose."""
    return re.findall(r"\d+", left) != re.findall(r"\d+", right) and bool(
        re.search(r"\d", left) and re.search(r"\d", right)
    )


def parties(lines: pd.DataFrame, entity: pd.Series) -> tuple[pd.Series, pd.DataFrame]:
    """Payees with their look-alikes merged, and the table of look-alike pairs.

    The pairs' columns: minor, major (entity keys; minor has fewer lines), distance, lines of each.
    """
    sizes = entity.value_counts()
    first = lines.assign(entity=entity, key=lines["vendor"].map(name_key))
    variants = first.drop_duplicates(["entity", "key"])[["entity", "key", "vendor"]]
    variants = variants.reset_index(drop=True)
    rows: list[dict[str, Any]] = []
    for i, j, distance in near_pairs(variants["key"].tolist()):
        a, b = variants["entity"][i], variants["entity"][j]
        if a != b:
            minor, major = sorted((a, b), key=lambda key: (sizes[key], key))
            apart = variants["vendor"][i].upper() != variants["vendor"][j].upper()
            rows.append({"minor": minor, "major": major, "distance": distance,
                         "minor_lines": sizes[minor], "major_lines": sizes[major],
                         "spelled_apart": apart})  # fmt: skip
    pairs = pd.DataFrame(rows, columns=list(PAIR_COLUMNS))
    pairs = pairs.sort_values("distance").drop_duplicates(["minor", "major"])
    parent = {key: key for key in sizes.index}
    for minor, major in zip(pairs["minor"], pairs["major"], strict=True):
        parent[_root(parent, minor)] = _root(parent, major)
    return entity.map(lambda key: _root(parent, key)), pairs


def _root(parent: dict[str, str], key: str) -> str:
    while parent[key] != key:
        parent[key] = parent[parent[key]]
        key = parent[key]
    return key


def surprise(probability: Any) -> Any:
    """-ln p, in nats, for scalars and arrays; p is clipped to [1e-12, 1]."""
    return -np.log(np.clip(probability, 1e-12, 1.0))
