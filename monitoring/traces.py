"""Taking in traces of agents that run elsewhere, counting all of them, keeping some of them.

Every span counts once, however often it is sent. A trace is decided whole when nothing of it has
come for a while: errors and slow ones are kept, of the rest a share, which then stands for more.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from config import logs
from config.access.callers import Caller
from monitoring.addresses import TRACED, TRACES
from monitoring.domain import otlp
from monitoring.domain.noted import Measurement
from monitoring.domain.otlp import Sampling, Span
from monitoring.models import ExternalTrace
from monitoring.writing import record

logger = logging.getLogger(__name__)
State = ExternalTrace.State
# Exporters send every five seconds; nobody's spans of one trace lie further apart for long.
DECIDED_AFTER = timedelta(seconds=30)
KEEP = timedelta(days=30)
# A dropped trace's ids are remembered this long, so that a repeated request counts nothing twice.
REMEMBER_DROPPED = timedelta(hours=2)
MOST_DECIDED = 2000
MOST_SPANS = 2000
# Filters of calls that choose among calls of agents elsewhere too, or say nothing of them.
ALSO_ELSEWHERE = frozenset({*TRACED, "client", "replays", "sort"})


@transaction.atomic
def take(spans: Sequence[Span], *, client_id: UUID, service: str) -> int:
    """Count and store spans of one client; returns how many of them were new."""
    by_trace: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        by_trace[span.trace_id].append(span)
    ids = sorted(by_trace)
    ExternalTrace.objects.bulk_create(
        [_empty(client_id, trace_id, by_trace[trace_id]) for trace_id in ids],
        ignore_conflicts=True,
    )
    rows = ExternalTrace.objects.select_for_update().filter(
        client_id=client_id, trace_id__in=ids
    ).order_by("trace_id")  # fmt: skip
    new: list[Span] = []
    for row in rows:
        fresh = [s for s in by_trace[row.trace_id] if s.span_id not in row.spans]
        fresh = fresh[: max(0, MOST_SPANS - len(row.spans))]
        if fresh:
            _add(row, fresh, service)
            new += fresh
    found = otlp.measured(new, client=str(client_id), default_agent=service)
    record([Measurement(one.numbers, one.labels, one.at) for one in found])
    return len(new)


def _empty(client_id: UUID, trace_id: str, spans: Sequence[Span]) -> ExternalTrace:
    return ExternalTrace(
        client_id=client_id, trace_id=trace_id, started_at=min(s.started_at for s in spans),
        ended_at=max(s.ended_at for s in spans), weight=max(s.weight for s in spans),
    )  # fmt: skip


def _add(row: ExternalTrace, fresh: Sequence[Span], service: str) -> None:
    by_id = {span.span_id: span for span in fresh}
    was_dropped = row.state == State.DROPPED
    for span in fresh:
        row.spans[span.span_id] = None if was_dropped else span.as_dict()
    row.agent = row.agent or otlp.agent_label(otlp.agent_of(fresh[0], by_id, service))
    row.asked = sorted({*row.asked, *(one for s in fresh for one in otlp.asked_by(s) if one)})
    row.is_error = row.is_error or any(span.is_error for span in fresh)
    row.started_at = min(row.started_at, *(span.started_at for span in fresh))
    row.ended_at = max(row.ended_at, *(span.ended_at for span in fresh))
    row.save(update_fields=["spans", "agent", "asked", "is_error", "started_at", "ended_at"])
    ExternalTrace.objects.filter(pk=row.pk).update(arrived_at=Now())


def decide(*, now: datetime) -> tuple[int, int]:
    """Keep or drop the traces of which nothing more came; how many of each. Safe to repeat."""
    sampling = Sampling(
        share=settings.TRACE_SHARE, slow_seconds=settings.TRACE_SLOW.total_seconds()
    )
    kept = dropped = 0
    with transaction.atomic():
        rows = ExternalTrace.objects.select_for_update(skip_locked=True).filter(
            state=State.GATHERING, arrived_at__lt=now - DECIDED_AFTER
        )
        for row in rows.order_by("arrived_at")[:MOST_DECIDED]:
            keep, weight = otlp.verdict(
                row.trace_id, is_error=row.is_error, weight=row.weight, sampling=sampling,
                seconds=(row.ended_at - row.started_at).total_seconds(),
            )  # fmt: skip
            row.state, row.weight = (State.KEPT if keep else State.DROPPED), weight
            if not keep:
                row.spans = dict.fromkeys(row.spans)
            row.save(update_fields=["state", "weight", "spans"])
            kept, dropped = kept + keep, dropped + (not keep)
    if kept or dropped:
        logs.event(logger, "monitoring.traces.decided", kept=kept, dropped=dropped)
    return kept, dropped


def forget(*, now: datetime) -> int:
    """Delete what is past its time; returns how many traces."""
    old = ExternalTrace.objects.filter(arrived_at__lt=now - KEEP).delete()[0]
    known = ExternalTrace.objects.filter(
        state=State.DROPPED, arrived_at__lt=now - REMEMBER_DROPPED
    ).delete()[0]
    return old + known


def beside(caller: Caller, given: Mapping[str, str]) -> str:
    """Where the calls of agents elsewhere are that figures count with a list of calls so narrowed.

    Empty if there are none, or the caller may not see them.
    """
    is_about_ours = given.keys() - ALSO_ELSEWHERE or given.get("replays") == "only"
    if is_about_ours or given.get("state", "failed") != "failed":
        return ""
    rows = caller.only_visible(ExternalTrace.objects.exclude(state=State.DROPPED))
    if not caller.has("monitoring:read") or not rows.exists():
        return ""
    kept = {name: value for name, value in given.items() if name in (*TRACED, "client")}
    return f"{TRACES}?{urlencode(kept)}"
