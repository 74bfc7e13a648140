"""The shapes that every engine runs: a chain, a fan, diamonds, a random DAG, a wide fan-out."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

from tests.benchmarks import graphs

CHAIN = 100
FAN = 200
DIAMONDS = 200
# A -> BCD -> E -> FG -> H -> IJK -> L -> M -> N
STAGES = ("A", "BCD", "E", "FG", "H", "IJK", "L", "M", "N")


def _step(needs: list[str], *, light: bool) -> dict[str, Any]:
    step: dict[str, Any] = {"tool": "core.echo", "with": {"value": 1}}
    if needs:
        step["needs"] = needs
    if not light:  # a step with a time limit of its own is a task of its own
        step["timeout"] = "60s"
    return step


def _named(shape: str, light: bool) -> str:
    return f"bench_{shape}_{'light' if light else 'task'}"


def _definition(name: str, needs: dict[str, list[str]], *, light: bool) -> str:
    steps = {key: _step(before, light=light) for key, before in needs.items()}
    return json.dumps({"name": name, "steps": steps})


def chain(*, light: bool, length: int = CHAIN) -> str:
    needs = {f"s{i}": [f"s{i - 1}"] if i else [] for i in range(length)}
    source = json.loads(_definition(_named(f"chain_{length}", light), needs, light=light))
    for step in source["steps"].values():
        del step["with"]  # what makes 10,000 steps long to read, and is not measured
    return json.dumps(source, separators=(",", ":"))


def fan(*, light: bool, width: int = FAN) -> str:
    middle = [f"m{i}" for i in range(width)]
    needs: dict[str, list[str]] = {"a": [], **{key: ["a"] for key in middle}, "z": middle}
    return _definition(_named("fan", light), needs, light=light)


def diamond(*, light: bool) -> str:
    needs: dict[str, list[str]] = {}
    before: list[str] = []
    for stage in STAGES:
        needs.update(dict.fromkeys(stage, before))
        before = list(stage)
    return _definition(_named("diamond", light), needs, light=light)


def random_dag(*, light: bool, size: int = 2000) -> str:
    return _definition(_named(f"random_{size}", light), _random_needs(size), light=light)


def _random_needs(size: int, seed: int = 7) -> dict[str, list[str]]:
    draw = random.Random(seed)
    return {
        f"s{i}": sorted({f"s{draw.randrange(i)}" for _ in range(draw.randint(1, 3))}) if i else []
        for i in range(size)
    }


def random_levels(size: int) -> list[int]:
    """How many steps of the random DAG stand behind so many others in a row, from none on.

    For peers that know no such graph: each level waits for the whole of the one before.
    """
    depths: dict[str, int] = {}
    for key, needs in _random_needs(size).items():
        depths[key] = 1 + max((depths[need] for need in needs), default=-1)
    widths = Counter(depths.values())
    return [widths[depth] for depth in range(len(widths))]


def scientific(family: str, *, light: bool) -> str:
    """One of ``graphs.PUBLISHED`` as a definition."""
    return _definition(_named(family, light), graphs.PUBLISHED[family](), light=light)


def noted(source: str) -> str:
    """The same, each step of which leaves a note of its effect (``tests.benchmarks.noting``)."""
    return source.replace('"core.echo"', '"bench.note"')


def wide(*, light: bool) -> str:
    """A fan-out over a list that is known only at run time."""
    own = {} if light else {"timeout": "60s"}
    return json.dumps(
        {
            "name": _named("wide", light),
            "inputs": {"type": "object", "properties": {"xs": {"type": "array"}}},
            "steps": {
                "each": {"for_each": "${ inputs.xs }", "tool": "core.echo",
                         "with": {"value": "${ item }"}, **own},
                "end": {"needs": ["each"], "tool": "core.echo"},
            },
            "outputs": {"n": "${ size(steps.each.output) }"},
        }
    )  # fmt: skip
