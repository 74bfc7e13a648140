"""Watches and their suggestions: swept, offered, started by a person or dismissed.

A watch starts nothing. It offers; who may start the workflow decides.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from config import logs
from config.access.callers import Caller
from config.access.ids import uuid7
from config.access.models import Client
from config.errors import AppError, Conflict, InvalidInput, NotFound
from monitoring import services as monitoring
from workflows import given, looking, rights, starting, versions
from workflows.database import execute
from workflows.domain import watching
from workflows.domain.expressions import ExpressionFailed, compile_template
from workflows.domain.watching import Found
from workflows.models import Run, Suggestion, Watch

logger = logging.getLogger(__name__)
State = Suggestion.State
MOST_WATCHES = 100
SHORTEST_SECONDS = 60
CHANGEABLE = ("title", "condition", "inputs", "every_seconds", "cooldown_seconds", "is_active")


# ------------------------------------------------------------------ watches
def visible_watches(caller: Caller) -> QuerySet[Watch]:
    """Watches of the caller's clients, and those of every client, of what it may see or start."""
    rows = Watch.objects.select_related("client")
    if withheld := rights.workflows_withheld_from(caller):
        rows = rows.exclude(workflow_name__in=withheld)
    if caller.client_ids is None:
        return rows
    return rows.filter(Q(client=None) | Q(client_id__in=caller.client_ids))


def create_watch(
    caller: Caller, *, slug: str, workflow: str, client_id: UUID | None = None, **settings: Any
) -> Watch:
    """Look for a condition from now on. Raises NotFound, InvalidInput, Conflict (slug taken).

    Without a client it watches each of them; only who sees all clients makes such a one.
    """
    caller.require("workflows:write", "keep watches")
    if client_id is None and caller.client_ids is not None:
        raise InvalidInput("client_id", client_id, "name one of your clients")
    if client_id is not None and not caller.sees(client_id):
        raise NotFound("client", client_id)
    made = Watch(
        id=uuid7(), slug=slug, workflow_name=workflow, client_id=client_id,
        created_by_id=caller.user_id, **settings,
    )  # fmt: skip
    _check(made)
    try:
        with transaction.atomic():
            made.save(force_insert=True)
            _audit(caller, made, "created")
    except IntegrityError:
        raise Conflict(f"the slug {slug!r}", "taken", "another slug") from None
    return made


@transaction.atomic
def change_watch(caller: Caller, watch_id: UUID, changes: dict[str, Any]) -> Watch:
    """Change a watch; it looks again at the next sweep. Raises NotFound, InvalidInput."""
    watch = _mine(caller, watch_id)
    for name in CHANGEABLE:
        setattr(watch, name, changes.get(name, getattr(watch, name)))
    _check(watch)
    watch.evaluated_at, watch.last_error = None, ""
    watch.save()
    if not watch.is_active:
        _withdraw(watch.suggestions.filter(state=State.OPEN))
    _audit(caller, watch, "changed", {"changed": sorted(changes)})
    return watch


@transaction.atomic
def delete_watch(caller: Caller, watch_id: UUID) -> None:
    """Look no more; its suggestions go with it. Raises NotFound."""
    watch = _mine(caller, watch_id)
    _audit(caller, watch, "deleted")
    watch.delete()


def _mine(caller: Caller, watch_id: UUID) -> Watch:
    caller.require("workflows:write", "change watches")
    rows = visible_watches(caller)
    if caller.client_ids is not None:
        rows = rows.exclude(client=None)
    if not rows.filter(pk=watch_id).exists():
        raise NotFound("watch", watch_id)
    return Watch.objects.select_for_update().get(pk=watch_id)


def _check(watch: Watch) -> None:
    versions.current_version(watch.workflow_name)
    if fault := watching.fault_of(watch.condition):
        raise InvalidInput(*fault)
    if not isinstance(watch.inputs, dict):
        raise InvalidInput("inputs", type(watch.inputs).__name__, "must be an object")
    given.require_short(watch.inputs)
    if watch.every_seconds < SHORTEST_SECONDS:
        raise InvalidInput("every_seconds", watch.every_seconds, f"at least {SHORTEST_SECONDS}")
    try:
        unknown = watching.unknown_names(watch.inputs)
    except ExpressionFailed as error:
        raise InvalidInput("inputs", "", str(error)) from None
    if unknown:
        names = ", ".join(sorted(watching.NAMES))
        raise InvalidInput("inputs", unknown[0], f"an expression may read {names}")
    looking.look(watch, now=timezone.now())  # an unknown metric or scope is said now


# ------------------------------------------------------------------ the sweep
def sweep() -> dict[str, int]:
    """Look with every watch whose time has come; how many suggestions it opened and withdrew."""
    now: datetime = execute("SELECT now()", {})[0][0]
    due = Watch.objects.filter(is_active=True).filter(
        Q(evaluated_at=None) | Q(evaluated_at__lte=now - F("every_seconds") * timedelta(seconds=1))
    )
    opened = withdrawn = 0
    for key in list(due.order_by("evaluated_at").values_list("pk", flat=True)[:MOST_WATCHES]):
        try:
            more, less = _look_again(key, now)
            opened, withdrawn = opened + more, withdrawn + less
        except AppError as error:  # a metric that is gone, an input that cannot be rendered
            Watch.objects.filter(pk=key).update(evaluated_at=now, last_error=str(error)[:300])
    if opened or withdrawn:
        logs.event(logger, "workflows.watch.acted", opened=opened, withdrawn=withdrawn)
    return {"opened": opened, "withdrawn": withdrawn}


@transaction.atomic
def _look_again(watch_id: UUID, now: datetime) -> tuple[int, int]:
    watch = Watch.objects.select_for_update(skip_locked=True).filter(pk=watch_id).first()
    if watch is None:
        return 0, 0
    found = looking.look(watch, now=now)
    mine = Suggestion.objects.filter(watch=watch)
    is_open = set(mine.filter(state=State.OPEN).values_list("client_id", "key"))
    rest = now - timedelta(seconds=watch.cooldown_seconds)
    answered = mine.filter(state__in=[State.STARTED, State.DISMISSED], decided_at__gt=rest)
    changes = watching.changes(
        found, is_open=is_open, resting=set(answered.values_list("client_id", "key"))
    )
    for one in changes.open:
        _offer(watch, one, now)
    gone = 0
    for client, key in changes.withdraw:
        gone += _withdraw(mine.filter(state=State.OPEN, client_id=client, key=key))
    Watch.objects.filter(pk=watch.pk).update(evaluated_at=now, last_error="")
    return len(changes.open), gone


def _offer(watch: Watch, found: Found, now: datetime) -> None:
    client = Client.objects.get(pk=found.client_id)
    context = {
        "value": found.value, "today": now.date().isoformat(),
        "client": {"id": str(client.pk), "name": client.name, "slug": client.slug},
        "artifact": found.evidence.get("artifact"),
    }  # fmt: skip
    Suggestion.objects.create(
        watch=watch, client=client, key=found.key, title=watch.title, why=found.why[:400],
        evidence=dict(found.evidence), workflow_name=watch.workflow_name,
        inputs=compile_template(watch.inputs).render(context),
    )  # fmt: skip


def _withdraw(rows: QuerySet[Suggestion]) -> int:
    return rows.update(state=State.WITHDRAWN, decided_at=timezone.now())


# ------------------------------------------------------------------ suggestions
def visible_suggestions(caller: Caller) -> QuerySet[Suggestion]:
    """Suggestions for the caller's clients of what it may see or start, newest first."""
    rows = Suggestion.objects.select_related("client", "watch", "decided_by")
    if withheld := rights.workflows_withheld_from(caller):
        rows = rows.exclude(workflow_name__in=withheld)
    return caller.only_visible(rows).order_by("-id")


def find_suggestion(caller: Caller, suggestion_id: UUID) -> Suggestion:
    """A suggestion that the caller may see; raises NotFound."""
    found = visible_suggestions(caller).filter(pk=suggestion_id).first()
    if found is None:
        raise NotFound("suggestion", suggestion_id)
    return found


@transaction.atomic
def start_suggestion(
    caller: Caller, suggestion_id: UUID, *, inputs: dict[str, Any] | None = None
) -> tuple[Suggestion, Run]:
    """Start what a suggestion offers; ``inputs`` replace single ones.

    Raises NotFound, Forbidden, InvalidInput, Conflict (answered or withdrawn before).
    """
    suggestion = _open(caller, suggestion_id)
    run, _ = starting.start_run(
        caller=caller, workflow=suggestion.workflow_name, client_id=suggestion.client_id,
        inputs={**suggestion.inputs, **(inputs or {})},
        idempotency_key=f"suggestion:{suggestion.pk}",
    )  # fmt: skip
    return _decide(caller, suggestion, State.STARTED, run=run), run


@transaction.atomic
def dismiss_suggestion(caller: Caller, suggestion_id: UUID, *, reason: str = "") -> Suggestion:
    """Offer this no more until the watch's cooldown is over. Raises NotFound, Conflict."""
    caller.require("runs:start", "dismiss suggestions")
    return _decide(caller, _open(caller, suggestion_id), State.DISMISSED, reason=reason)


def _open(caller: Caller, suggestion_id: UUID) -> Suggestion:
    find_suggestion(caller, suggestion_id)
    suggestion = Suggestion.objects.select_for_update().get(pk=suggestion_id)
    if suggestion.state != State.OPEN:
        raise Conflict("this suggestion", suggestion.state, "one that is open")
    return suggestion


def _decide(
    caller: Caller, suggestion: Suggestion, state: str, *, run: Run | None = None, reason: str = ""
) -> Suggestion:
    suggestion.state, suggestion.run, suggestion.reason = state, run, reason[:500]
    suggestion.decided_by_id, suggestion.decided_at = caller.user_id, timezone.now()
    suggestion.save()
    monitoring.audit(
        actor=caller.principal, action=f"workflows.suggestion.{state}",
        target=f"suggestion:{suggestion.pk}", client_id=suggestion.client_id,
        user_id=caller.user_id,
    )  # fmt: skip
    return suggestion


def _audit(caller: Caller, watch: Watch, what: str, after: Any = None) -> None:
    monitoring.audit(
        actor=caller.principal, action=f"workflows.watch.{what}", target=f"watch:{watch.slug}",
        client_id=watch.client_id, user_id=caller.user_id, after=after,
    )  # fmt: skip
