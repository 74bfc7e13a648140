"""Failures and complaints of the last week, clustered; their trend and what they cost.

Each pass counts the whole week again, so a pass that was lost or ran twice changes nothing.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet, Sum
from django.db.models.functions import Now

from agents import evidence, sight
from agents.domain.guardrails.redact import redact
from config import logs
from config.access import hiding
from config.access.callers import Caller
from config.errors import NotFound
from learning import said
from learning.domain.clustering.comments import MOST_COMMENTS
from learning.domain.clustering.identity import carried_ids
from learning.domain.clustering.templates import group_messages
from learning.domain.topics import named_topics
from learning.domain.trends import trend
from learning.models import Pattern, PatternCount
from workflows import evidence as step_evidence

logger = logging.getLogger(__name__)
WINDOW = timedelta(days=7)
# What the week is compared with.
BEFORE = timedelta(days=21)
# A pattern that nobody has met for so long gives its key back.
REMEMBERED = timedelta(days=90)
MOST_FAILURES = 20_000
# Known topics grouped along with new complaints; the rest of the room is for the new ones.
MOST_KNOWN = 400
MOST_IDS = 1000
MOST_EXAMPLES = 5
# Calls and words that one day keeps of a pattern, agent and client; a page shows the newest.
MOST_ROWS = 100
# Of each kind of rows behind a pattern.
MOST_SHOWN = 50
# Words that a complaint is not about.
_SAYS_LITTLE = frozenset(
    "did does was were has have had are the and but for with this that".split()
)
# Rows of one listing.
MOST_LISTED = 200


@dataclass(frozen=True, slots=True)
class Mention:
    """One failure or complaint: whose, about which agent, when, and what it says (redacted)."""

    client_id: UUID
    agent_slug: str
    user_id: UUID | None
    run_id: UUID | None
    invocation_id: UUID | None
    text: str
    cost_usd: Decimal
    at: datetime
    feedback_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """One cluster: its key, how people read it, and its mentions by place."""

    key: str
    title: str
    words: tuple[str, ...]
    example: str
    members: tuple[int, ...]


def find_patterns(until: datetime) -> dict[str, int]:
    """Cluster the week before ``until``; how many failures, complaints and patterns there were.

    The week's first day is taken whole, because counts are kept by day.
    """
    since = _midnight(until - WINDOW)
    failed, said = _failures(since, until), _complaints(since, until)
    counts = {
        Pattern.Kind.FAILURE: _store(
            Pattern.Kind.FAILURE, failed, _templates(failed), since, until
        ),
        Pattern.Kind.COMPLAINT: _store(Pattern.Kind.COMPLAINT, said, _topics(said), since, until),
    }
    # A day that is done again says nothing of where patterns went after it.
    if not PatternCount.objects.filter(day__gt=until.date()).exists():
        _mark_trends(since, until)
    found = {
        "failures": len(failed),
        "complaints": len(said),
        "failure_patterns": counts[Pattern.Kind.FAILURE],
        "complaint_patterns": counts[Pattern.Kind.COMPLAINT],
    }
    logs.event(logger, "learning.patterns.found", **found)
    return found


def _failures(since: datetime, until: datetime) -> list[Mention]:
    calls = evidence.failures(since, until, limit=MOST_FAILURES)
    steps = step_evidence.failed_steps(since, until, limit=MOST_FAILURES)
    found = [
        Mention(f.client_id, f.agent_slug, f.user_id, f.run_id, f.invocation_id,
                redact(f.message), f.cost_usd, f.at)
        for f in calls
    ]  # fmt: skip
    found += [
        Mention(s.client_id, "", s.user_id, s.run_id, None, redact(s.message), s.cost_usd, s.at)
        for s in steps
    ]
    return sorted(found, key=lambda m: m.at)[-MOST_FAILURES:]


def _complaints(since: datetime, until: datetime) -> list[Mention]:
    rows = said.complaints(since, until, limit=MOST_COMMENTS - MOST_KNOWN)
    return [
        Mention(c.client_id, c.agent_slug, c.user_id, c.run_id, c.invocation_id, redact(c.text),
                Decimal(0), c.at, c.id)
        for c in rows
    ]  # fmt: skip


def _templates(mentions: Sequence[Mention]) -> list[Found]:
    found = group_messages([m.text for m in mentions])
    rows = Pattern.objects.filter(kind=Pattern.Kind.FAILURE).order_by("-last_seen_at")
    known = {key: tuple(words) for key, words in rows.values_list("key", "words")[:5000]}
    keys = carried_ids([t.words for t in found], known)
    return [
        Found(key, t.text, t.words, mentions[t.members[-1]].text, t.members)
        for key, t in zip(keys, found, strict=True)
    ]


def _topics(mentions: Sequence[Mention]) -> list[Found]:
    rows = Pattern.objects.filter(kind=Pattern.Kind.COMPLAINT).order_by("-last_seen_at")
    known = dict(rows.values_list("key", "example")[:MOST_KNOWN])
    return [
        Found(t.key, _title(t.words, mentions[t.example].text) or mentions[t.example].text[:80],
              t.words,
              known.get(t.key) or mentions[t.example].text, t.members)
        for t in named_topics([m.text for m in mentions], known)
    ]  # fmt: skip


@transaction.atomic
def _store(
    kind: str,
    mentions: Sequence[Mention],
    found: Sequence[Found],
    since: datetime,
    until: datetime,
) -> int:
    """Replace the week's counts of this kind, no later ones; the number of patterns seen in it."""
    days = (since.date(), (until - timedelta(microseconds=1)).date())
    PatternCount.objects.filter(pattern__kind=kind, day__range=days).delete()
    for one in found:
        seen = [mentions[place].at for place in one.members]
        pattern, created = Pattern.objects.get_or_create(
            kind=kind,
            key=one.key,
            defaults={"title": one.title, "words": list(one.words), "example": one.example,
                      "first_seen_at": min(seen), "last_seen_at": max(seen)},
        )  # fmt: skip
        if not created:
            pattern.title, pattern.words, pattern.example = one.title, list(one.words), one.example
            pattern.first_seen_at = min(pattern.first_seen_at, *seen)
            pattern.last_seen_at = max(pattern.last_seen_at, *seen)
            pattern.updated_at = Now()
            pattern.save()
        PatternCount.objects.bulk_create(_counts(pattern, [mentions[p] for p in one.members]))
    return len(found)


def _counts(pattern: Pattern, mentions: Sequence[Mention]) -> list[PatternCount]:
    groups: dict[tuple[UUID, str, date], list[Mention]] = defaultdict(list)
    for mention in mentions:
        groups[mention.client_id, mention.agent_slug, mention.at.date()].append(mention)
    return [
        PatternCount(
            pattern=pattern, client_id=client, agent_slug=agent, day=day, count=len(rows),
            user_ids=sorted({m.user_id for m in rows if m.user_id})[:MOST_IDS],
            run_ids=sorted({m.run_id for m in rows if m.run_id})[:MOST_IDS],
            invocation_ids=[m.invocation_id for m in rows if m.invocation_id][-MOST_ROWS:],
            feedback_ids=[m.feedback_id for m in rows if m.feedback_id][-MOST_ROWS:],
            cost_usd=sum((m.cost_usd for m in rows), Decimal(0)),
        )
        for (client, agent, day), rows in groups.items()
    ]  # fmt: skip


def _title(words: Sequence[str], example: str) -> str:
    """The telling words as the example brings them, without marks of figures and names."""
    text = example.lower()
    named = _telling(words)
    told = [word for word in named if word not in _SAYS_LITTLE] or named
    return ", ".join(sorted(told, key=lambda word: (text.find(word) < 0, text.find(word))))


def _telling(words: Sequence[str]) -> list[str]:
    return [word for word in words if not word.startswith("<")]


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _mark_trends(since: datetime, until: datetime) -> None:
    """Compare each pattern's week with the three before it, by the calls there were."""
    week, before = since.date(), (since - BEFORE).date()
    calls = sum(evidence.call_counts(since, until).values())
    earlier = sum(evidence.call_counts(since - BEFORE, since).values())
    now = _sums(week, (until - timedelta(microseconds=1)).date())
    past = _sums(before, week - timedelta(days=1))
    Pattern.objects.filter(last_seen_at__lt=until - REMEMBERED).delete()
    for pattern in Pattern.objects.filter(last_seen_at__gte=until - WINDOW - BEFORE):
        found = trend(
            before=past[pattern.pk], before_calls=max(earlier, past[pattern.pk]),
            now=now[pattern.pk], now_calls=max(calls, now[pattern.pk]),
        )  # fmt: skip
        Pattern.objects.filter(pk=pattern.pk).update(trend=found.direction, trend_ratio=found.ratio)


def _sums(first: date, last: date) -> Counter[UUID]:
    rows = PatternCount.objects.filter(day__range=(first, last)).values_list("pattern_id")
    return Counter(dict(rows.annotate(total=Sum("count"))))


def listed(
    caller: Caller, *, until: date, days: int = 28, kind: str = "", agent: str = ""
) -> list[dict[str, Any]]:
    """Patterns that ``caller`` may see, most frequent first.

    ``impact``: how often, how many users and runs, and what the calls cost in USD.
    """
    rows = PatternCount.objects.all()
    if kind:
        rows = rows.filter(pattern__kind=kind)
    if agent:
        rows = rows.filter(agent_slug=agent)
    found = _documents(caller, rows, until, days)
    return sorted(found, key=lambda p: (-p["impact"]["count"], p["key"]))[:MOST_LISTED]


def one(caller: Caller, pattern_id: UUID, *, until: date, days: int = 28) -> dict[str, Any]:
    """One pattern as it is listed, with the ids of all that is kept of it; raises NotFound."""
    found = _documents(caller, PatternCount.objects.filter(pattern_id=pattern_id), until, days)
    if not found:
        raise NotFound("pattern", pattern_id)
    return found[0]


def _documents(
    caller: Caller, rows: QuerySet[PatternCount], until: date, days: int
) -> list[dict[str, Any]]:
    rows = rows.filter(day__gt=until - timedelta(days=days), day__lte=until)
    counts = list(caller.only_visible(rows).select_related("pattern").order_by("day"))
    hidden = _hidden(caller, counts)
    by_pattern: dict[UUID, list[PatternCount]] = defaultdict(list)
    for row in counts:
        ids = {*row.run_ids, *row.invocation_ids}
        if hidden is None or not ids or ids - hidden:
            by_pattern[row.pattern_id].append(row)
    # An example quotes somebody, of any client and run: only for those from whom none is hidden.
    quoted = caller.client_ids is None and hidden is None and _shows_all(caller, by_pattern)
    return [_document(kept, hidden or set(), quoted=quoted) for kept in by_pattern.values()]


def _shows_all(caller: Caller, patterns: Collection[UUID]) -> bool:
    """Whether nothing of these patterns, of any day, is hidden: an example may be an old one."""
    rows = PatternCount.objects.filter(pattern_id__in=patterns)
    return _hidden(caller, list(rows.only("run_ids", "invocation_ids"))) is None


def _hidden(caller: Caller, counts: Sequence[PatternCount]) -> set[UUID] | None:
    """Runs and calls in ``counts`` that are hidden from the caller; None if none are."""
    runs, calls = hiding.hidden_runs(caller), sight.hidden_invocations(caller)
    of_runs = {one for row in counts for one in row.run_ids}
    of_calls = {one for row in counts for one in row.invocation_ids}
    found: set[UUID] = set()
    if calls is not None:
        found.update(calls.filter(pk__in=of_calls).values_list("pk", flat=True))
    if runs is None:
        return found or None
    return found | set(runs.filter(pk__in=of_runs).values_list("pk", flat=True))


def _document(counts: Sequence[PatternCount], hidden: set[UUID], *, quoted: bool) -> dict[str, Any]:
    pattern = counts[0].pattern
    calls = [one for row in counts for one in row.invocation_ids if one not in hidden]
    agents: Counter[str] = Counter()
    days: Counter[str] = Counter()
    for row in counts:
        agents[row.agent_slug] += row.count
        days[row.day.isoformat()] += row.count
    return {
        "id": str(pattern.pk),
        "key": pattern.key,
        "kind": pattern.kind,
        # Without telling words the title of a topic is what somebody wrote.
        "title": pattern.title if quoted or _telling(pattern.words) else "a topic in few words",
        "example": pattern.example if quoted else "",
        "trend": pattern.trend,
        "trend_ratio": pattern.trend_ratio,
        "first_seen_at": pattern.first_seen_at,
        "last_seen_at": pattern.last_seen_at,
        "impact": {
            "count": sum(row.count for row in counts),
            "users": len({user for row in counts for user in row.user_ids}),
            "runs": len({run for row in counts for run in row.run_ids}),
            "clients": len({row.client_id for row in counts}),
            "cost_usd": f"{sum((row.cost_usd for row in counts), Decimal(0)):f}",
            "currency": "USD",
        },
        "agents": [{"slug": slug, "count": n} for slug, n in agents.most_common() if slug],
        "days": [{"day": day, "count": n} for day, n in sorted(days.items())],
        "invocations": [str(one) for one in calls[-MOST_EXAMPLES:]],
        "rows": {
            "calls": calls[-MOST_SHOWN:],
            "feedback": [one for row in counts for one in row.feedback_ids][-MOST_SHOWN:],
            "runs": list(
                dict.fromkeys(one for row in counts for one in row.run_ids if one not in hidden)
            )[-MOST_SHOWN:],
        },
    }
