"""How an agent's conversations went, for those who look for a better flow."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Avg, Count, Q

from agents.models import Conversation
from config.partitions import first_id

# Under this quality (0 to 1) a conversation did not go well.
POOR = 0.6
MOST_SHOWN = 5


def talk_figures(slug: str, since: datetime, until: datetime) -> dict[str, Any]:
    """Conversations that began in [since, until): how many, poor, handed over, mean quality.

    ``intents`` are what most of the poor ones were about, ``shown`` the newest of them by id.
    """
    rows = Conversation.objects.filter(
        agent_slug=slug, id__gte=first_id(since), id__lt=first_id(until),
        quality_ratio__isnull=False,
    )  # fmt: skip
    poor = Q(quality_ratio__lt=POOR) | Q(handed_over_at__isnull=False)
    found = rows.aggregate(
        talks=Count("id"), poor=Count("id", filter=poor), quality_ratio=Avg("quality_ratio"),
        handed_over=Count("id", filter=Q(handed_over_at__isnull=False)),
    )  # fmt: skip
    about = (
        rows.filter(poor).exclude(intent="").values_list("intent")
        .annotate(number=Count("id")).order_by("-number", "intent")[:MOST_SHOWN]
    )  # fmt: skip
    newest = rows.filter(poor).order_by("-id").values_list("id", flat=True)[:MOST_SHOWN]
    return {**found, "intents": dict(about), "shown": [str(one) for one in newest]}
