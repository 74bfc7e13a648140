"""Fine-tuning sets: the OpenAI chat format, one JSON object a line, and the card beside them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from learning.domain.probes import LeakRate
from learning.domain.splits import digest_of, split


@dataclass(frozen=True, slots=True)
class Lesson:
    """One question and the answer to learn; ``source`` says who gave it.

    ``before``: role and text of each turn before the question, in a conversation.
    """

    system: str
    question: str
    answer: str
    source: str
    before: tuple[tuple[str, str], ...] = ()

    @property
    def asked(self) -> str:
        """The question with all that was said before it."""
        return "\n".join([*(text for _, text in self.before), self.question])

    @property
    def line(self) -> str:
        """The lesson as the fine-tuning endpoints of the OpenAI protocol take it.

        Of a conversation only the answer that was corrected is learnt (``weight``).
        """
        turns: list[dict[str, Any]] = [
            {"role": "system", "content": self.system},
            *(_heard(role, text) for role, text in self.before),
            {"role": "user", "content": self.question},
            {"role": "assistant", "content": self.answer},
        ]
        return json.dumps({"messages": turns}, ensure_ascii=False)


def _heard(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": text} | ({"weight": 0} if role == "assistant" else {})


@dataclass(frozen=True, slots=True)
class Dataset:
    """Training and validation lessons, no question in both."""

    training: tuple[Lesson, ...]
    validation: tuple[Lesson, ...]

    @property
    def digest(self) -> str:
        """The same lessons on the same sides have the same digest."""
        return digest_of([[x.line for x in self.training], [x.line for x in self.validation]])


def build(lessons: Iterable[Lesson], *, validation_ratio: float, seed: str) -> Dataset:
    """Split ``lessons`` by question; raises ValueError for a ratio outside [0, 1)."""
    training, validation = split(
        lessons,
        key=lambda lesson: digest_of(lesson.asked),
        held_out_ratio=validation_ratio,
        seed=seed,
    )
    return Dataset(tuple(training), tuple(validation))


def as_lines(lessons: Sequence[Lesson]) -> str:
    """JSON Lines; an empty text of no lessons."""
    return "".join(f"{lesson.line}\n" for lesson in lessons)


def card(
    dataset: Dataset, *, about: Mapping[str, Any], leaks: LeakRate, refused: Mapping[str, int]
) -> str:
    """The data card in Markdown: what is in it, how it came about, what it must not be used for.

    ``about`` holds agent, version, seed and made_at; ``refused`` counts what was left out and why.
    """
    every = (*dataset.training, *dataset.validation)
    sources = Counter(lesson.source for lesson in every)
    lengths = sorted(len(lesson.answer) for lesson in every)
    middle = lengths[len(lengths) // 2] if lengths else 0
    left_out = "; ".join(f"{count} {why}" for why, count in sorted(refused.items())) or "nothing"
    lines = [
        f"# Data card: {about['agent']}",
        "",
        f"- Made at {about['made_at']} from reviewed examples; prompt of version "
        f"{about['version']}.",
        f"- Training {len(dataset.training)}, validation {len(dataset.validation)}, split by "
        f"question with seed `{about['seed']}`: no question is in both.",
        f"- Sources: {', '.join(f'{n} {s}' for s, n in sources.most_common()) or 'none'}.",
        f"- Answers: {middle} characters in the middle, {lengths[-1] if lengths else 0} at most.",
        f"- Left out: {left_out}.",
        "- Personal data and secrets were masked before storing and again at the export.",
        f"- Leak rate: {leaks.leaked} of {leaks.planted} planted identifiers stayed readable "
        f"({leaks.ratio:.2%}; at most {leaks.upper:.2%} with 95 % confidence). It covers e-mail, "
        "phone, card, IBAN, SSN and IP address, not names of people.",
        "- Use: tuning this agent at this firm. Not for judging it: the graded cases of the "
        "catalogue are not in here.",
        f"- Digest: `{dataset.digest}`.",
    ]
    return "\n".join(lines) + "\n"
