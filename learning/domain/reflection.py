"""Rewriting a prompt from reasons in words, and which prompts are worth rewriting.

The search keeps every prompt that is best on some case, not only the best on average: what one
prompt learnt may be what the others lack. Source: Agrawal et al., "GEPA: Reflective Prompt
Evolution Can Outperform Reinforcement Learning", 2025.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from agents.domain.prompts import check_prompt
from config.errors import InvalidInput

# Reasons that one rewriting is given, and lessons that a prompt carries at most.
MOST_REASONS = 16
MOST_LESSONS = 10
# A rewriting that is longer than this many times its parent says something else.
MOST_GROWTH = 3.0
HEADING = "Learnt from reviewed answers:"
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_FAILED = re.compile(r"^failed: (?P<code>\w+)")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d.,']*")


class Source(StrEnum):
    """Who gave a reason."""

    CASE = "graded case"
    CORRECTION = "correction"
    COMPLAINT = "complaint"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an answer was not good, in words; ``source`` says who says so."""

    text: str
    source: Source


def front(scores: Mapping[str, Sequence[float]]) -> dict[str, tuple[int, ...]]:
    """The candidates that no other one dominates, each with the cases that it is best on.

    Every sequence scores the same cases in the same order. A candidate that another one equals on
    all of its cases and beats on one more is left out. Raises ValueError for unequal lengths.
    """
    lengths = {len(found) for found in scores.values()}
    if len(lengths) > 1:
        raise ValueError(f"need the same cases of every candidate, got {sorted(lengths)}")
    cases = range(lengths.pop() if lengths else 0)
    most = {place: max(found[place] for found in scores.values()) for place in cases}
    wins = {name: tuple(p for p in cases if found[p] == most[p]) for name, found in scores.items()}
    kept: dict[str, tuple[int, ...]] = {}
    for name, places in wins.items():
        mine = set(places)
        beaten = any(
            mine < set(other) or (mine == set(other) and _better(scores, rival, name, wins))
            for rival, other in wins.items()
            if rival != name
        )
        if places and not beaten:
            kept[name] = places
    return kept


def _better(
    scores: Mapping[str, Sequence[float]], rival: str, name: str, wins: Mapping[str, object]
) -> bool:
    """Of two with the same cases the higher sum stays, and of equal ones the earlier."""
    order = list(wins)
    ours, theirs = sum(scores[name]), sum(scores[rival])
    return theirs > ours or (theirs == ours and order.index(rival) < order.index(name))


def parent(found: Mapping[str, Sequence[int]], draw: float) -> str:
    """The candidate to rewrite: each as likely as it is best on cases.

    ``draw`` is the caller's, from [0, 1). Raises ValueError for an empty front or another draw.
    """
    if not found or not 0 <= draw < 1:
        raise ValueError(f"need candidates and a draw from [0, 1), got {len(found)}, {draw}")
    left = draw * sum(len(places) for places in found.values())
    for name, places in found.items():
        left -= len(places)
        if left < 0:
            return name
    return list(found)[-1]


def lessons(reasons: Sequence[Reason]) -> list[str]:
    """What a prompt can say so that it does not happen again, each once, most mentioned first.

    A graded case's own figures stay out: a prompt that holds them knows the answer, not the way.
    """
    counted: dict[str, int] = {}
    for reason in reasons:
        for text in _lessons_of(reason):
            counted[text] = counted.get(text, 0) + 1
    ranked = sorted(counted, key=lambda text: -counted[text])
    return ranked[:MOST_LESSONS]


def _lessons_of(reason: Reason) -> list[str]:
    text = _words(reason.text)
    if reason.source is Source.CORRECTION:
        return [f"A reviewer corrected an answer: {_NUMBER.sub('…', text)}"] if text else []
    if reason.source is Source.COMPLAINT:
        return [f"A reader complained: {_NUMBER.sub('…', text)}"] if text else []
    if reason.source is Source.FAILURE:
        return [f'It failed with "{text}": avoid what leads to it, and say so if it happens.']
    return [_of_case(reason.text)]


def _of_case(missing: str) -> str:
    failed = _FAILED.match(missing)
    if failed:
        return (
            f'An answer ended with "{failed["code"]}": answer from what is there, and name what '
            "could not be had."
        )
    if missing.startswith("number"):
        return (
            "Call every tool that applies before you write, and state each figure of its result "
            "once, with its label and unit and not rounded."
        )
    if missing.startswith("absent"):
        return "Leave out what neither the question nor a tool's result says."
    return "Repeat the conclusion of a tool's result in its own words before you explain it."


def rewritten(prompt: str, learnt: Sequence[str]) -> str:
    """The prompt with its list of lessons, old ones kept and new ones added behind them."""
    head, _, rest = prompt.rstrip().partition(f"\n\n{HEADING}\n")
    before = [line[2:] for line in rest.splitlines() if line.startswith("- ")]
    merged = list(dict.fromkeys([*before, *learnt]))[:MOST_LESSONS]
    if not merged:
        return prompt
    return "\n".join([f"{head.rstrip()}\n", HEADING, *(f"- {text}" for text in merged)]) + "\n"


def merged(base: str, one: str, other: str) -> str | None:
    """A prompt with what both added to ``base``; None if one of them did more than add."""
    added = [text[len(base.rstrip()) :] for text in (one, other) if _adds(base, text)]
    if len(added) < 2 or added[0].strip() == added[1].strip():
        return None
    return f"{base.rstrip()}\n\n{added[0].strip()}\n\n{added[1].strip()}\n"


def _adds(base: str, text: str) -> bool:
    return text.startswith(base.rstrip()) and text.strip() != base.strip()


def fault_in(before: str, after: str, variables: Sequence[str]) -> str:
    """Why a rewriting that a model gave can't be used; empty if it can."""
    if not after.strip():
        return "it is empty"
    if after.split() == before.split():
        return "it changes nothing"
    if len(after) > MOST_GROWTH * max(len(before), 500):
        return f"it is more than {MOST_GROWTH:g} times as long"
    lost = set(_TEMPLATE.findall(before)) - set(_TEMPLATE.findall(after))
    if lost:
        return f"it lost {', '.join(sorted(lost))}"
    if set(_TEMPLATE.findall(after)) - set(_TEMPLATE.findall(before)):
        return "it adds template code"
    try:
        check_prompt(after, variables)
    except InvalidInput as error:
        return str(error)
    return ""


def _words(text: str) -> str:
    """A text that no template engine takes for anything but words."""
    plain = " ".join(text.replace("{", "(").replace("}", ")").split())
    return plain[:200].rstrip(" .")
