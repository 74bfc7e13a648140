"""Conversations: what of their history a model reads, and how well they went."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from agents.domain.condensing import summarise
from agents.domain.context import estimate_tokens
from agents.domain.lexical import stems
from agents.domain.messages import Message

# Share of the budget that the summary of what no longer fits may take.
SUMMARY_SHARE = 0.3
# Two questions are the same when they share so much of their words (Jaccard).
SAME_RATIO = 0.6
_UNHAPPY = re.compile(
    r"\b(?:wrong|incorrect|not what i (?:asked|meant)|doesn'?t help|useless|that'?s not|"
    r"(?:speak|talk) to (?:a|an|some) ?(?:person|human|someone|agent)|you (?:already|just) said)\b",
    re.IGNORECASE,
)
_HAPPY = re.compile(r"\b(?:thanks|thank you|perfect|great|that helps|solved|got it)\b", re.I)


@dataclass(frozen=True, slots=True)
class Said:
    """One turn: ``role`` is user, assistant or person; ``went`` is how its call ended, if any."""

    role: str
    text: str
    went: str = "succeeded"


@dataclass(frozen=True, slots=True)
class Memory:
    """Messages of the history, oldest first, and the summary that stands for the rest."""

    messages: list[Message]
    summary: str


def remember(turns: Sequence[Said], max_tokens: int, *, about: str = "") -> Memory:
    """The latest turns that fit into ``max_tokens``, and a summary of the earlier ones.

    A question and its answer stay together. The summary is made of the turns' own sentences.
    """
    if sum(_size(turn) for turn in turns) <= max_tokens:
        return Memory([_message(turn) for turn in turns], "")
    room = int(max_tokens * (1 - SUMMARY_SHARE))
    start = len(turns)
    while start > 0 and room - _size(turns[start - 1]) >= 0:
        start -= 1
        room -= _size(turns[start])
    while start < len(turns) and turns[start].role != "user":
        start += 1
    left = max_tokens - sum(_size(turn) for turn in turns[start:])
    told = [f"{turn.role}: {turn.text}" for turn in turns[:start]]
    summary = summarise(told, max(0, left - 16), about=about)
    kept = [_message(turn) for turn in turns[start:]]
    if summary:
        kept.insert(0, {"role": "user", "content": f"Earlier in this conversation: {summary}"})
    return Memory(kept, summary)


def quality(turns: Sequence[Said], *, handed_over: bool = False) -> float | None:
    """How well a conversation went, from 0 to 1; None before its first answer.

    The mean of four shares: questions answered by the agent itself (not by a fallback, an error
    or a block), questions that were not asked again, turns without a complaint, and the end
    (thanks 1, a hand-over 0, otherwise 0.75). It needs no judge; scores of people stand beside it.
    """
    answers = [turn for turn in turns if turn.role == "assistant"]
    asked = [turn.text for turn in turns if turn.role == "user"]
    if not answers or not asked:
        return None
    good = sum(turn.went == "succeeded" for turn in answers) / len(answers)
    again = sum(_same(a, b) for a, b in pairwise(asked))
    complaints = sum(_UNHAPPY.search(text) is not None for text in asked)
    end = 0.0 if handed_over else 1.0 if _HAPPY.search(asked[-1]) else 0.75
    parts = (good, 1 - again / max(1, len(asked) - 1), 1 - complaints / len(asked), end)
    return round(sum(parts) / len(parts), 4)


def is_abandoned(turns: Sequence[Said], *, handed_over: bool = False) -> bool:
    """Whether the person left without what they came for.

    That is: the last answer was none (an error, a block, a fallback), or the last question
    was a complaint or had been asked before. Handed to a person is not abandoned.
    """
    asked = [turn.text for turn in turns if turn.role == "user"]
    if handed_over or not asked:
        return False
    if turns[-1].role == "user" or turns[-1].went != "succeeded":
        return True
    again = len(asked) > 1 and _same(asked[-2], asked[-1])
    return again or _UNHAPPY.search(asked[-1]) is not None


def _same(first: str, second: str) -> bool:
    a, b = set(stems(first)), set(stems(second))
    return bool(a and b) and len(a & b) / len(a | b) >= SAME_RATIO


def _size(turn: Said) -> int:
    return estimate_tokens(turn.text) + 4


def _message(turn: Said) -> Message:
    return {"role": "user" if turn.role == "user" else "assistant", "content": turn.text}
