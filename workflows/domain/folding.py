"""A graph of hundreds or thousands of steps as some dozens of stages: what stands side by side
and is called alike is one.

Nobody reads a drawing of a thousand boxes; how far each part of the run is can be read from few.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Columns and boxes that still can be looked at. More layers than columns share them evenly.
MOST_COLUMNS = 24
MOST_STAGES = 72
_NUMBER = re.compile(r"[\s_.:#-]*\d[\d\s_.:#-]*$")


@dataclass(frozen=True, slots=True)
class Stage:
    """Steps of one column. ``key`` names it in an address; ``title`` is what its steps share."""

    key: str
    title: str
    column: int
    steps: tuple[str, ...]


def fold(layers: Mapping[str, int], titles: Mapping[str, str]) -> list[Stage]:
    """Every step of ``layers`` in exactly one stage, the leftmost stages first.

    Stages of one column differ in what their steps are called without a number at the end; where
    that makes more than MOST_STAGES, each column is one stage. The same graph always folds alike.
    """
    deepest = max(layers.values(), default=-1) + 1
    share = max(-(-deepest // MOST_COLUMNS), 1)
    for by_name in (True, False):
        groups: dict[tuple[int, str], list[str]] = {}
        for key, layer in layers.items():
            name = stem(titles[key]) if by_name else ""
            groups.setdefault((layer // share, name), []).append(key)
        if len(groups) <= MOST_STAGES:
            break
    return _named(groups, titles)


def _named(groups: Mapping[tuple[int, str], list[str]], titles: Mapping[str, str]) -> list[Stage]:
    found: list[Stage] = []
    place, last = 0, -1
    for (column, name), keys in sorted(groups.items(), key=lambda group: group[0][0]):
        place = place + 1 if column == last else 0
        last = column
        title = titles[keys[0]] if len(keys) == 1 else name or f"Stage {column + 1}"
        found.append(Stage(f"{column + 1}-{place + 1}", title, column, tuple(keys)))
    return found


def stem(title: str) -> str:
    """A title without the number at its end; one that is only a number stays."""
    return _NUMBER.sub("", title) or title


def edges_between(
    stages: Sequence[Stage], edges: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Which stage leads to which later one; what happens inside of a column is not drawn."""
    of = {key: stage for stage in stages for key in stage.steps}
    pairs = ((of[source], of[target]) for source, target in edges)
    return list(dict.fromkeys((a.key, b.key) for a, b in pairs if a.column < b.column))
