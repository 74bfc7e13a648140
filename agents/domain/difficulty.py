# ruff: noqa: E501 (word lists read better whole)
"""How hard a task looks before it is asked, and which strength of model it is worth."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agents.domain.scoring import TIERS

# From where a sign counts in full. Half of it counts half.
FULL_CHARACTERS = 6_000
FULL_FIGURES = 20
FULL_STEPS = 4
FULL_TOOLS = 8
FULL_TURNS = 10
FULL_FAILURES_RATIO = 0.2
# What each sign weighs in full. Figures to be worked with, or failures, make a task hard alone.
WEIGHTS = {
    "length": 0.4, "figures": 0.7, "steps": 0.3, "tools": 0.15, "turns": 0.15, "failures": 0.7,
    "declared": 0.35,
}  # fmt: skip

_FIGURE = re.compile(r"\d[\d.,]*")
# Words of work in several steps, and of comparing.
_STEPS = re.compile(
    r"\b(?:then|after that|afterwards|first|second|third|finally|compare|reconcile|explain|why|"
    r"justify|derive|consolidate|restate|depends?|unless|except|respectively|each of|step by step)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Task:
    """What can be seen of a task: the text that is asked, tools offered, turns before it, the share
    of this version's calls that failed at the lightest tier of late, and the tier that its author
    declared."""

    text: str
    tools: int = 0
    turns: int = 0
    failed_ratio: float = 0.0
    declared: str = TIERS[0]


@dataclass(frozen=True, slots=True)
class Estimate:
    """``score`` from 0 (easy) to 1 (hard), and the share of it that each sign gave."""

    score: float
    signs: dict[str, float]


def estimate(task: Task) -> Estimate:
    """How hard ``task`` looks: each sign counts up to its weight; the sum ends at 1."""
    found = {
        "length": len(task.text) / FULL_CHARACTERS,
        "figures": len(_FIGURE.findall(task.text)) / FULL_FIGURES,
        "steps": len(_STEPS.findall(task.text)) / FULL_STEPS,
        "tools": max(0, task.tools - 1) / FULL_TOOLS,
        "turns": task.turns / FULL_TURNS,
        "failures": task.failed_ratio / FULL_FAILURES_RATIO,
        "declared": TIERS.index(task.declared) / (len(TIERS) - 1),
    }
    signs = {
        name: round(min(1.0, value) * WEIGHTS[name], 3) for name, value in found.items() if value
    }
    return Estimate(round(min(1.0, sum(signs.values())), 3), signs)


def tier_for(score: float, allowed: Sequence[str]) -> str:
    """The tier that a task of this ``score`` is worth: ``allowed`` ones share 0 to 1 evenly."""
    tiers = sorted(allowed, key=TIERS.index)
    return tiers[min(len(tiers) - 1, int(score * len(tiers)))]
