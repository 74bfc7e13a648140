"""What people say an agent has no way to do: gathered for the rules, and quoted for who may read.

Words stay where they were said: a proposal keeps the rows' ids, so what is erased, taken back or
hidden from a reader is quoted no more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from agents import evidence
from agents.domain.guardrails.redact import redact
from config.access.callers import Caller
from config.partitions import first_id
from learning import feedback, improvements, said
from learning.domain.abilities import wishes_in
from learning.domain.abilities.matching import Declared, matches
from learning.domain.proposals import MIN_COMPLAINTS, MIN_PEOPLE, change_of
from learning.models import Feedback, Improvement, PatternCount, Subject

MOST_READ = 2_000
DAY = timedelta(days=1)
# Rows that a proposal names, quotes that a reviewer reads, and their length.
MOST_KEPT, MOST_QUOTES, MOST_QUOTE = 100, 8, 300
# Calls that a proposal leads to.
MOST_CALLS = 5


def of_agent(
    reader: Caller, slug: str, since: datetime, until: datetime, *, tools: Sequence[str]
) -> list[dict[str, Any]]:
    """Abilities that people miss in one agent, with the tool that would give each.

    Days are taken whole, as patterns count them: whoever begins a cycle has just said something.

    ``tool`` declares it, ``offered`` is a registered tool that does the same (``is_safe`` if it
    computes and no more), ``has`` one of the agent's own ``tools`` that does. ``is_barred`` once
    that was refused. What one person alone asks for, however often, is no wish.
    ``patterns`` says in which patterns of complaints the comments were counted, and how often.
    """
    since, until = _midnight(since) + DAY, _midnight(until) + DAY
    rows = list(_rows(reader, since, until).filter(agent_slug=slug).order_by("-id")[:MOST_READ])
    told = [(row, text) for row in reversed(rows) if (text := said.wished(row))]
    wishes = wishes_in(
        [redact(text) for _, text in told], [said.person(row) for row, _ in told],
        least=MIN_COMPLAINTS, least_people=MIN_PEOPLE,
    )  # fmt: skip
    if not wishes:
        return []
    patterns = _patterns(slug, since, until)
    registered = [Declared(*one) for one in evidence.tools_on_offer()]
    found = []
    for wish in wishes:
        mine = [told[place][0] for place in wish.members]
        named = Counter(patterns[row.pk] for row in mine if row.pk in patterns)
        doing = matches(wish.verb, wish.thing, registered)
        offered = next((tool for tool in doing if tool.name not in tools), None)
        given: dict[str, Any] = {
            "key": wish.key, "verb": wish.verb, "thing": wish.thing, "count": len(mine),
            "people": len({said.person(row) for row in mine}), "tool": dict(wish.tool),
            "patterns": dict(named), "feedback": [str(row.pk) for row in mine[-MOST_KEPT:]],
            "invocations": [
                str(row.subject_id) for row in mine if row.subject_kind == Subject.INVOCATION
            ][-MOST_CALLS:],
            "offered": offered.name if offered else "",
            "is_safe": offered.is_safe if offered else True,
            "has": next((tool.name for tool in doing if tool.name in tools), ""),
        }  # fmt: skip
        barred = improvements.digest_of(slug, Improvement.Kind.TOOLS, change_of(given), None)
        given["is_barred"] = improvements.standing_tombstone(slug, barred) is not None
        found.append(given)
    return found


def quotes(caller: Caller, ids: Sequence[Any], *, most: int = MOST_QUOTES) -> list[str]:
    """What these rows say, redacted, the newest first, as far as the caller may read them."""
    texts = [text for _, text in said_by(caller, ids)]
    return list(dict.fromkeys(text[:MOST_QUOTE] for text in texts if text))[:most]


def said_by(caller: Caller, ids: Sequence[Any]) -> list[tuple[str, str]]:
    """Who said it, and what: as ``quotes``, whole."""
    known = [UUID(str(one)) for one in ids][-MOST_KEPT:]
    rows = feedback.visible(caller).filter(pk__in=known, superseded_at=None).order_by("-id")
    return [(said.person(row), redact(said.wished(row))) for row in rows]


def _rows(reader: Caller, since: datetime, until: datetime) -> Any:
    return feedback.visible(reader).filter(
        id__gte=first_id(since), id__lt=first_id(until), superseded_at=None
    ).exclude(kind=Feedback.Kind.PRAISE)  # fmt: skip


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _patterns(slug: str, since: datetime, until: datetime) -> dict[UUID, str]:
    """Row of feedback → key of the pattern that it was counted in last."""
    rows = PatternCount.objects.filter(
        agent_slug=slug, day__gte=since.date(), day__lt=until.date(), pattern__kind="complaint"
    ).order_by("day")  # fmt: skip
    return {
        one: key for key, ids in rows.values_list("pattern__key", "feedback_ids") for one in ids
    }
