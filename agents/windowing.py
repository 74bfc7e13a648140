"""A chat's history made to fit: the latest turns as they are, the earlier ones as a summary."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.conf import settings

from agents import endpoints
from agents.calls import Call
from agents.domain import condensing, context, cost, messages
from agents.domain.context import estimate_tokens
from agents.domain.messages import Message
from agents.domain.scoring import TIERS
from agents.domain.talks import SUMMARY_SHARE
from agents.endpoints.directory import EMBEDDINGS_ONLY
from agents.resolving import Choice
from config.errors import InvalidInput

# Tokens for the prompt's frame and its marks, beside its own text.
FRAME_TOKENS = 256
# Of a message beside its text: what the protocol adds, and marks around an earlier turn.
OVERHEAD = cost.TOKENS_PER_MESSAGE + 16
# Each time that a history still does not fit, so much of its room is left.
SHRINK = 0.75
MOST_SHRINKS = 16
INTRODUCED = "Earlier in this conversation: "


def fitted(call: Call, choice: Choice) -> tuple[Call, dict[str, Any] | None]:
    """The call with as much of its history as fits, and what the record says of it; as it is
    and None where all of it does.

    The room is the version's ``history_tokens``, or what the largest model leaves beside prompt,
    tools and answer. Raises InvalidInput if what always stays is too long for every model: the last
    question, and the last calls of tools with their results.
    """
    said = call.messages
    largest = _largest(choice)
    if not said or not largest:
        return call, None
    room = _room(choice, largest)
    least = context.least(said)
    if not _fits(least, room):
        most = f"at most about {room} beside the agent's prompt; put more into an artifact"
        raise InvalidInput("messages", f"about {_tokens(least)} tokens in the last turn", most)
    room = min(room, int(choice.version.model.get("history_tokens", room)))
    if len(said) == 1 or _fits(said, room):
        return call, None
    kept, summary, share = said, "", room
    for _ in range(MOST_SHRINKS):
        kept, summary = _shortened(said, share, choice.version.model.get("history", "summary"))
        if _fits(kept, room) or (not summary and len(kept) == len(least)):
            break
        share = int(share * SHRINK)
    told = {"messages": len(said), "kept": len(kept) - bool(summary),
            "summary_tokens": estimate_tokens(summary)}  # fmt: skip
    return replace(call, messages=kept), told


def _shortened(said: list[Message], room: int, how: str) -> tuple[list[Message], str]:
    """The latest messages within ``room`` tokens, before them a summary of the others."""
    latest = int(room * (1 - SUMMARY_SHARE)) if how == "summary" else room
    kept = context.sliding_window(said, latest, overhead=OVERHEAD)
    if how != "summary":
        return kept, ""
    staying = {id(message) for message in kept}
    texts = [
        f"{message['role']}: {messages.text_of(message)}"
        for message in said
        if id(message) not in staying and messages.text_of(message)
    ]
    left = room - _tokens(kept) - estimate_tokens(INTRODUCED) - OVERHEAD
    summary = condensing.summarise(texts, max(0, left), about=_asked(said))
    if not summary:
        return kept, ""
    start = sum(message["role"] in messages.INSTRUCTING for message in kept)
    earlier = {"role": "user", "content": INTRODUCED + summary}
    return [*kept[:start], earlier, *kept[start:]], summary


def _asked(said: list[Message]) -> str:
    return messages.text_of(said[messages.order_in(said)])


def _largest(choice: Choice) -> int:
    """Tokens that the largest model reads that the version may be answered by; 0 of none."""
    name, version = choice.version.model.get("name"), choice.version
    tiers = version.tiers if settings.MODEL_ROUTING else TIERS[-1:]
    least = min(map(TIERS.index, tiers))
    return max(
        (
            served.context_tokens
            for served in endpoints.directory()
            if served.capabilities != EMBEDDINGS_ONLY
            and (served.model == name if name else not served.is_named_only)
            and TIERS.index(served.tier) >= least
        ),
        default=0,
    )


def _room(choice: Choice, largest: int) -> int:
    version = choice.version
    fixed = estimate_tokens(version.prompt) + FRAME_TOKENS + version.max_output_tokens
    fixed += version.definition_characters // context.CHARACTERS_PER_TOKEN
    fixed += int(version.retrieval.get("max_tokens", 600)) if version.retrieval else 0
    return max(0, largest - fixed - _tokens(version.examples))


def _fits(said: list[Message], room: int) -> bool:
    return _tokens(said) <= room


def _tokens(said: Any) -> int:
    """About how many tokens ``said`` has; for scripts of several bytes a sign, more."""
    size = messages.byte_size(said)
    return size // context.CHARACTERS_PER_TOKEN + len(said) * OVERHEAD
