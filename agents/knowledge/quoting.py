"""The passages that one call may quote: looked up, screened, marked as data, numbered."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.calls import Call
from agents.domain import messages, retrieval
from agents.domain.guardrails.findings import Source
from agents.domain.guardrails.untrusted import delimit
from agents.errors import GuardrailBlocked
from agents.guarding import Guard
from agents.knowledge.embedding import Payer
from agents.knowledge.index import ANY_SOURCE
from agents.knowledge.search import Found, search
from agents.resolving import Choice
from config.access import rights

# What a version's retrieval settings say if they do not say otherwise.
PASSAGES = 4
MAX_TOKENS = 600
_TAGS = re.compile(r"</?\s*(?:passage|document|doc|source|context|excerpt)\b[^>]*>", re.IGNORECASE)
_RULE = "Where a passage supports a statement, cite its number like [1]; cite nothing else."


@dataclass(frozen=True, slots=True)
class Quotable:
    """``text`` belongs behind the prompt; ``passages`` are what its numbers stand for, and
    ``found`` with their texts as they were screened."""

    text: str = ""
    passages: list[dict[str, Any]] = field(default_factory=list)
    found: list[tuple[Found, str]] = field(default_factory=list)

    @property
    def limited_to(self) -> list[str] | None:
        """What a reader of the answer must hold; None for nothing."""
        return sorted({line for one, _ in self.found for line in one.limited_to}) or None


NOTHING = Quotable()


def quotable(call: Call, choice: Choice, guard: Guard, payer: Payer | None = None) -> Quotable:
    """Passages for ``call`` from the documents that its version names, for its client only, which
    its user may read. A batch quotes none that is limited: all of its client may fetch its results.

    A passage that the agent's policy would block is left out, and the finding is kept.
    """
    settings = choice.version.retrieval
    sources = list(settings.get("sources") or ())
    if not sources:
        return NOTHING
    found = search(
        question_of(call.inputs, call.messages),
        client_ids={call.client_id},
        titles=() if ANY_SOURCE in sources else sources,
        limit=int(settings.get("passages", PASSAGES)),
        max_tokens=int(settings.get("max_tokens", MAX_TOKENS)),
        cut=str(settings.get("cut", "")),
        weights=retrieval.weights_from(settings.get("weights") or {}),
        payer=payer,
        held=rights.of_user(call.user_id) if call.ask is None else rights.NOBODY,
    )
    safe = [(one, text) for one in found if (text := _screened(one, guard)) is not None]
    return _quoted(safe, choice, guard)


def without(quotes: Quotable, left_out: Collection[str], choice: Choice, guard: Guard) -> Quotable:
    """``quotes`` without the passages whose texts are ``left_out``."""
    return _quoted([(one, text) for one, text in quotes.found if text not in left_out],
                   choice, guard)  # fmt: skip


def _quoted(safe: list[tuple[Found, str]], choice: Choice, guard: Guard) -> Quotable:
    if not safe:
        guard.sources = []  # nothing supports what the agent says now
        return NOTHING
    texts = [_TAGS.sub(" ", text) for _, text in safe]
    guard.sources = texts
    body = "\n".join(
        f'<passage id="{number}" title="{_plain(one.title)}">{text}</passage>'
        for number, ((one, _), text) in enumerate(zip(safe, texts, strict=True), start=1)
    )
    # The same passages give the same mark, so that prompts stay cacheable; nobody can guess it.
    nonce = hmac.new(choice.version.canary.encode(), body.encode(), hashlib.sha256)
    spotlit = delimit(body, nonce.hexdigest()[:16], source="passages")
    return Quotable(
        f"\n\n{spotlit.rule} {_RULE}\n{spotlit.text}",
        [_citation(number, one) for number, (one, _) in enumerate(safe, start=1)],
        safe,
    )


def question_of(inputs: Mapping[str, Any], chat: Sequence[messages.Message] | None) -> str:
    """What a call asks, as words: a chat's last message, or names and words of an input."""
    if chat:
        return messages.text_of(chat[-1])
    words: list[str] = []
    for name, value in inputs.items():
        words.append(name.replace("_", " "))
        if isinstance(value, str):
            words.append(value)
    return " ".join(words)


def _screened(one: Found, guard: Guard) -> str | None:
    try:
        text: str = guard.screen(one.text, Source.DOCUMENT, f"document {one.title}")
    except GuardrailBlocked:
        return None
    return text


def _citation(number: int, one: Found) -> dict[str, Any]:
    return {
        "number": number,
        "title": one.title,
        "heading": one.heading,
        "page": one.page,
        "document_id": str(one.document_id),
        "passage_id": str(one.passage_id),
        "as_of": one.as_of.isoformat() if one.as_of else None,
    }


def _plain(title: str) -> str:
    return re.sub(r"[<>\"\n]", " ", title)
