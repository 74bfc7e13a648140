"""The truth of a simulation: which candidates are better, equal or worse, and by how much.

It stands in a scenario's ``truth`` and is drawn from the seed. Only the offline model reads it, and
only when everything has been decided does it tell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from agents.offline_model.profile import Profile, Rule, Table, When
from agents.offline_model.quality import draw
from config.errors import InvalidDocument

SCHEMA_FILE = Path(__file__).parent / "truth.schema.json"
# How a candidate's prompt says which one it is.
REVISION = re.compile(r"Revision (c\d{3,6})\.")
MOST_CANDIDATES = 5_000
OPPOSITE = {"better": "worse", "worse": "better", "equal": "equal"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """What one candidate truly is; ``accuracy_ratio`` is its share of right answers."""

    group: str
    kind: str
    accuracy_ratio: float
    completion_tokens_ratio: float


class Truth:
    """Every candidate's truth. ``is_told`` says whether the simulation is over."""

    def __init__(self, base_ratio: float, candidates: Mapping[str, Candidate]) -> None:
        self._base_ratio, self._candidates = base_ratio, candidates
        self.is_told = False

    def profile(self) -> Profile:
        """The behaviour that acts it out."""
        rules = {
            name: Rule(When(), accuracy_ratio=one.accuracy_ratio,
                       completion_tokens_ratio=one.completion_tokens_ratio)
            for name, one in self._candidates.items()
        }  # fmt: skip
        return Profile(accuracy_ratio=self._base_ratio, table=Table(REVISION, rules))

    def tell(self) -> dict[str, Any]:
        """All of it, once; from now on nothing is answered."""
        self.is_told = True
        return {
            "base_accuracy": self._base_ratio,
            "candidates": {
                name: {"group": one.group, "is": one.kind, "accuracy": one.accuracy_ratio,
                       "completion_tokens_ratio": one.completion_tokens_ratio}
                for name, one in self._candidates.items()
            },
        }  # fmt: skip


def read_truth(path: Path, seed: int) -> Truth:
    """The truth of the scenario in ``path``; raises OSError, YAMLError, InvalidDocument."""
    return parse_truth(yaml.safe_load(path.read_text("utf-8")), seed, path.name)


def parse_truth(value: Any, seed: int, what: str = "scenario") -> Truth:
    """The truth that a scenario states, drawn from ``seed``; raises InvalidDocument."""
    given = value if isinstance(value, Mapping) else {}
    count, stated = given.get("candidates"), given.get("truth")
    stated = _checked(stated, what)
    if not isinstance(count, int) or not 1 <= count <= MOST_CANDIDATES:
        message = f"must be from 1 to {MOST_CANDIDATES}, got {count!r}"
        raise InvalidDocument(what, [{"path": "candidates", "message": message}])
    base, groups = float(stated["base_accuracy"]), stated["groups"]
    names = [f"c{number:03d}" for number in range(1, count + 1)]
    shuffled = sorted(names, key=lambda name: draw("order", seed, name))
    candidates: dict[str, Candidate] = {}
    sizes = _sizes([float(group.get("share", 1)) for group in groups], count)
    for place, (group, size) in enumerate(zip(groups, sizes, strict=True)):
        for _ in range(size):
            name = shuffled[len(candidates)]
            candidates[name] = _candidate(
                group, place, base, draw("size", seed, name), stated, what
            )
    return Truth(base, {name: candidates[name] for name in names})


def _checked(stated: Any, what: str) -> Mapping[str, Any]:
    schema = json.loads(SCHEMA_FILE.read_text("utf-8"))
    errors = sorted(
        Draft202012Validator(schema).iter_errors(stated), key=lambda e: list(map(str, e.path))
    )
    if errors:
        faults = [
            {"path": "/".join(["truth", *map(str, e.absolute_path)]), "message": e.message[:300]}
            for e in errors
        ]
        raise InvalidDocument(what, faults)
    found: Mapping[str, Any] = stated
    return found


def _candidate(
    group: Mapping[str, Any], place: int, base: float, at: float, stated: Mapping[str, Any],
    what: str,
) -> Candidate:  # fmt: skip
    low, high = _range(group.get("accuracy_shift", 0))
    shift = low + at * (high - low)
    kind = group["is"]
    if stated.get("inverted"):
        shift, kind = -shift, OPPOSITE[kind]
    if not 0 <= base + shift <= 1:
        message = f"base_accuracy {base:g} with a shift of {shift:+g} is outside of 0 to 1"
        path = f"truth/groups/{place}/accuracy_shift"
        raise InvalidDocument(what, [{"path": path, "message": message}])
    tokens = float(group.get("completion_tokens_ratio", 1))
    return Candidate(str(group.get("name", kind)), kind, base + shift, tokens)


def _range(value: float | Sequence[float]) -> tuple[float, float]:
    if isinstance(value, int | float):
        return float(value), float(value)
    return float(min(value)), float(max(value))


def _sizes(shares: Sequence[float], count: int) -> list[int]:
    """Whole sizes in these shares that add up; the largest remainders get one more."""
    exact = [count * share / sum(shares) for share in shares]
    sizes = [int(one) for one in exact]
    by_rest = sorted(range(len(shares)), key=lambda i: (sizes[i] - exact[i], i))
    for place in by_rest[: count - sum(sizes)]:
        sizes[place] += 1
    return sizes
