"""What a call has done so far, and what it has cost."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from agents.domain import context
from agents.domain.cost import Usage
from agents.domain.guardrails.untrusted import Mark
from agents.domain.messages import Message
from agents.endpoints import Try
from agents.resolving import Version
from agents.tool_calls import Ran
from config.errors import AppError

# An answer with its tools' results stays in the record up to this size; above it, the text only.
MAX_KEPT_CHARACTERS = 512 * 1024


@dataclass(slots=True)
class Work:
    """What a call has done so far; what it costs is known even if it fails."""

    messages: list[Message]
    tries: list[Try] = field(default_factory=list)
    # Requests for vectors of the question; each has been paid when it was made.
    vectors: list[Try] = field(default_factory=list)
    ran: list[Ran] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    parsed: Any = None
    finish_reason: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    waited_seconds: float = 0.0
    spared_characters: int = 0
    is_heard: bool = False
    # To which tier the answer was asked for again, why, and whether that helped; after how many
    # tries; and the one whose answer stood all the same.
    escalated: dict[str, Any] | None = None
    escalated_after: int = 0
    stood: Try | None = None
    # Above a soft cap: the lightest model is asked, and none again.
    is_above_soft_cap: bool = False
    # The version with the tools that a later reply is offered, where they became more.
    version: Version | None = None
    # Around what the model must read as data, where there is any.
    mark: Mark | None = None
    # What a judge said of texts: why one is an attack, or None.
    verdicts: dict[str, str | None] = field(default_factory=dict)

    @property
    def usage(self) -> Usage:
        """Tokens of all replies, and of streams that broke."""
        return sum((t.usage for t in self.tries), Usage())

    @property
    def talk(self) -> list[Try]:
        """The tries that lead to the answer, without those that are aside."""
        return [one for one in self.tries if not one.is_aside]

    @property
    def answered(self) -> Try | None:
        """The try that gave the answer: the last with a reply, or the one whose reply stood."""
        tries = self.talk or self.tries  # where only a judge was asked, it is what was paid for
        good = (one for one in reversed(tries) if one.reply is not None)
        return self.stood or next(good, tries[-1] if tries else None)

    @property
    def vain(self) -> list[Try]:
        """The tries that an answer of another model took the place of."""
        if self.escalated is None:
            return []
        after = self.escalated_after
        return self.tries[after:] if self.stood is not None else self.tries[:after]

    @property
    def tools_error(self) -> AppError | None:
        """The first tool's error, if every tool failed that was asked."""
        errors = [ran.error for ran in self.ran if ran.error is not None]
        return errors[0] if errors and len(errors) == len(self.ran) else None

    @property
    def cost_usd(self) -> Decimal:
        """What all replies cost."""
        return sum((t.cost_usd for t in self.tries), Decimal(0))

    @property
    def vectors_usd(self) -> Decimal:
        """What the vectors cost, beside ``cost_usd``."""
        return sum((t.cost_usd for t in self.vectors), Decimal(0))

    @property
    def said(self) -> str:
        """The answer as its reader meets it: in JSON no sign hides behind an escape."""
        if self.parsed is None or "\\" not in self.text:
            return self.text
        return context.as_json(self.parsed)

    def let_out(self, text: str) -> None:
        """Take what the guardrails made of ``said``; JSON that a mask broke is left out."""
        if text == self.said:
            return
        self.text = text
        if self.parsed is not None:
            try:
                self.parsed = json.loads(text)
            except ValueError:
                self.parsed = None

    @property
    def remembered(self) -> dict[str, Any] | None:
        """The answer as it may be kept: masked as the model read it; None if it is too large.

        A result that was cut for the model is kept whole, as the ledger extract that it is.
        """
        results: dict[str, Any] = {}
        facts: dict[str, Any] = {}
        for ran in self.ran:
            if ran.result is not None:
                kept = ran.result if context.is_cut(ran.told) else ran.told
                results[ran.fallback_of or ran.name] = kept
                facts.update(kept)
        out = {**self.output, "facts": facts, "tools": results}
        return out if len(context.as_json(out)) <= MAX_KEPT_CHARACTERS else None

    @property
    def output(self) -> dict[str, Any]:
        """The answer as the caller reads it."""
        out: dict[str, Any] = {"text": self.text, "facts": self.facts, "tools": self.results}
        if self.parsed is not None:
            out["json"] = self.parsed
        if self.asked:
            out["tool_calls"] = self.asked
        if self.finish_reason == "length":
            out["truncated"] = True
        return out
