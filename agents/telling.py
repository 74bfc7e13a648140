"""What conversations tell monitoring: volume, turns, hand-overs, abandonment, quality."""

from __future__ import annotations

from agents.models import Conversation
from agents.places import place_of
from monitoring import services
from monitoring.services import Measurement


def talked(talk: Conversation, *, is_first: bool) -> None:
    """A question of a conversation was answered."""
    numbers = {"conversation_turns": 1.0, **({"conversations": 1.0} if is_first else {})}
    services.record([Measurement(numbers, _labels_of(talk))])


def handed_over(talk: Conversation) -> None:
    """A person has taken over."""
    numbers = {"escalations": 1.0, "conversations_handed_over": 1.0}
    services.record([Measurement(numbers, _labels_of(talk))])


def talk_ended(talk: Conversation, *, is_abandoned: bool) -> None:
    """Nobody has said anything for a day: how it went, told at the time of its last turn."""
    numbers = {"conversations_ended": 1.0, "conversations_abandoned": float(is_abandoned)}
    if talk.quality_ratio is not None:
        numbers["conversation_quality_ratio"] = talk.quality_ratio
    services.record([Measurement(numbers, _labels_of(talk), talk.last_turn_at)])


def _labels_of(talk: Conversation) -> dict[str, str]:
    domain, audience = place_of(talk.agent_id)
    return {
        "agent": talk.agent_slug, "domain": domain, "audience": audience,
        "client": str(talk.client_id), "channel": talk.channel,
        "intent": talk.intent or talk.agent_slug,
    }  # fmt: skip
