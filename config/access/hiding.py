"""What definitions of workflows hide from somebody, for apps that know no workflow.

A row with a run's id is seen with its run: whoever may not see the run sees no call made in it, nor
one that was asked about it later, wherever the call is kept. Sums over an agent, a client or
everything include it, as money has to.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.utils.module_loading import import_string

from config.access import rights
from config.access.callers import Caller

# Fields that tie a row to a run: the one that it was made in, the one that it was asked about.
RUN_IDS = ("run_id", "about_run_id")


def of_visible_runs(caller: Caller, rows: QuerySet[Any]) -> QuerySet[Any]:
    """``rows`` of clients that the caller sees, without those whose run is hidden from it.

    A row without a run's id belongs to no run. One that is limited to some is left out for others.
    """
    rows = of_readers(caller, caller.only_visible(rows))
    hidden = hidden_runs(caller)
    return rows if hidden is None else rows.exclude(of_runs(hidden, rows.model))


def of_readers(caller: Caller, rows: QuerySet[Any]) -> QuerySet[Any]:
    """``rows`` without those that are limited to roles or audiences which the caller is not in."""
    named = {field.name for field in rows.model._meta.concrete_fields}
    if caller.user_id is None or rights.FIELD not in named:
        return rows
    return rights.only_met(rows, rights.of_caller(caller))


def of_runs(runs: QuerySet[Any], model: type[Model]) -> Q:
    """Which rows of ``model`` belong to one of ``runs`` or are about one."""
    found = Q()
    for field in model._meta.concrete_fields:
        if field.attname in RUN_IDS:
            found |= Q(Exists(runs.filter(pk=OuterRef(field.attname))))
    return found


def hidden_runs(caller: Caller) -> QuerySet[Any] | None:
    """Runs that the caller may not see though it sees their client; None if there are none.

    Nothing is hidden from parts of Ratchet itself: they count and learn from everything.
    """
    if caller.user_id is None:
        return None
    found: QuerySet[Any] | None = import_string(settings.HIDDEN_RUNS)(caller)
    return found


def hidden_workflows(caller: Caller) -> frozenset[str]:
    """Names of workflows whose own figures the caller may not see."""
    if caller.user_id is None:
        return frozenset()
    found: frozenset[str] = import_string(settings.HIDDEN_WORKFLOWS)(caller)
    return found
