"""Feature requests: suggestions, and abilities that complaints miss, ranked by a stated formula."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from django.db.models import Q

from config.access.callers import Caller
from learning import feedback, said
from learning.domain.abilities.declaring import declared
from learning.domain.abilities.reading import Ability, ability_of
from learning.models import Feedback, Improvement

# A request counts its people, and its age halves it every two months: said once, it fades.
HALF_LIFE_DAYS = 60.0
FORMULA = "people who asked × ½ per 60 days since the last of them"
# The newest words that are looked at.
MOST_READ = 1_000
READ = ("agent_slug", "kind", "rating", "text", "reason", "author_id", "author_key", "created_at")


def requests(caller: Caller, *, now: datetime) -> list[dict[str, Any]]:
    """What people ask each agent for, by ``FORMULA``.

    What misses the same ability is one request, whatever its words and whether it complains or
    suggests: ``improvement`` is the proposal that answers it. Other suggestions count as the same
    if they use the same words.
    """
    rows = feedback.visible(caller).filter(superseded_at=None).exclude(text="", reason="")
    rows = rows.filter(
        Q(kind__in=[Feedback.Kind.SUGGESTION, Feedback.Kind.COMPLAINT, Feedback.Kind.CORRECTION])
        | Q(kind=Feedback.Kind.RATING, rating__lte=said.BAD_RATING)
    )
    # A corrected output is long, and nobody reads it here.
    rows = rows.order_by("-id").only(*READ)[:MOST_READ]
    found: dict[tuple[str, str], list[tuple[Feedback, str]]] = defaultdict(list)
    abilities: dict[tuple[str, str], list[tuple[str, Ability]]] = defaultdict(list)
    for row in rows:
        text = said.wished(row)
        ability = ability_of(text)
        if ability is not None:
            found[row.agent_slug, ability.key].append((row, text))
            abilities[row.agent_slug, ability.key].append((said.person(row), ability))
        elif row.kind == Feedback.Kind.SUGGESTION:
            found[row.agent_slug, " ".join(text.lower().split())[:80]].append((row, text))
    answers = _answers(caller)
    ranked = [
        _request(key, told, abilities.get(key, []), answers.get(key), now)
        for key, told in found.items()
    ]
    return sorted(ranked, key=lambda one: (-one["score"], one["text"]))


def _request(
    key: tuple[str, str],
    told: list[tuple[Feedback, str]],
    abilities: list[tuple[str, Ability]],
    answer: Improvement | None,
    now: datetime,
) -> dict[str, Any]:
    newest, words = told[0]
    people = len({said.person(row) for row, _ in told})
    age_days = max(0.0, (now - newest.created_at).total_seconds() / 86_400)
    tool = declared(abilities) if abilities else None
    return {
        "agent": key[0], "text": str(tool["description"]) if tool else words,
        "said": words if tool else "", "last": newest.created_at, "people": people,
        "score": round(people * 0.5 ** (age_days / HALF_LIFE_DAYS), 2), "improvement": answer,
    }  # fmt: skip


def _answers(caller: Caller) -> dict[tuple[str, str], Improvement]:
    """Agent and ability → the newest proposal that would give it."""
    rows = Improvement.objects.filter(proposal__rule="missing_ability").order_by("id")
    return {
        (row.agent_slug, str(row.proposal.get("ability"))): row for row in caller.only_visible(rows)
    }
