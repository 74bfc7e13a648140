"""The list of approvals that people answered, as figures count them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from config import readable
from config.access.callers import Caller
from config.errors import InvalidInput
from config.pages import page
from config.spreadsheets import table
from monitoring.asked import asked, chips, filters_of, identifier, moment
from monitoring.stretch import RANGES
from workflows import rights
from workflows.models import Approval
from workflows.plans import plan_for

SHOWN, CSV_ROWS = 50, 10_000
PLACE = "/dashboard/approvals/answered"
ANSWERED = (Approval.State.APPROVED, Approval.State.REJECTED)
NAMES = ("workflow", "client", "state", "range", "since", "until")
SAID = {("state", "approved"): "given", ("state", "rejected"): "refused",
        **{("range", name): f"last {words}" for name, (_, _, words) in RANGES.items()}}  # fmt: skip
COLUMNS = ("id", "run_id", "workflow", "step", "level", "role", "state", "decided_by", "decided_at",
           "reason")  # fmt: skip


@require_GET
@page("runs:read")
def all_answered(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/approvals/answered``; ``?state=approved`` those that were given."""
    rows, given = _chosen(request, caller), filters_of(request, NAMES)
    if before := request.GET.get("before"):
        at, _, last = before.rpartition("|")
        when, place = moment("before", at), identifier("before", last)
        behind = Q(decided_at__lt=when) | Q(decided_at=when, id__lt=place)
        rows = rows.filter(behind, decided_at__lte=when)
    found, older = list(rows[: SHOWN + 1]), ""
    if len(found) > SHOWN:
        found = found[:SHOWN]
        place_of = f"{found[-1].decided_at.isoformat()}|{found[-1].pk}"
        older = f"{PLACE}?{urlencode({**given, 'before': place_of})}"
    context = {
        "rows": [_row(one) for one in found], "older": older, "words": _words(found, bool(older)),
        "filters": chips(given, SAID),
        "csv": f"{PLACE}.csv?{urlencode(given)}",
    }  # fmt: skip
    return render(request, "approvals/answered.html", context)


@require_GET
@page("runs:read")
def as_csv(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/approvals/answered.csv``: the newest ``CSV_ROWS`` that match."""
    rows = (
        (one.pk, one.run_id, one.run.workflow_name, one.step.key, one.level, one.role, one.state,
         str(one.decided_by), one.decided_at, one.reason)
        for one in _chosen(request, caller)[:CSV_ROWS].iterator()
    )  # fmt: skip
    return table(COLUMNS, rows, "approvals.csv")


def _chosen(request: HttpRequest, caller: Caller) -> QuerySet[Any]:
    given = filters_of(request, NAMES)
    states: list[str] = given["state"].split(",") if given.get("state") else list(ANSWERED)
    if wrong := set(states) - set(ANSWERED):
        raise InvalidInput("state", sorted(wrong)[0], f"some of {', '.join(ANSWERED)}")
    rows: QuerySet[Any] = rights.visible(caller, Approval.objects.all(), "run__")
    rows = rows.filter(state__in=states, decided_at__isnull=False)
    if workflow := given.get("workflow"):
        rows = rows.filter(run__workflow_name=workflow)
    if client := given.get("client"):
        rows = rows.filter(client_id=identifier("client", client))
    if given.get("since"):
        rows = rows.filter(decided_at__gte=moment("since", given["since"]))
    elif given.get("range"):
        rows = rows.filter(decided_at__gte=asked(request, caller).when.since)
    if until := given.get("until"):
        rows = rows.filter(decided_at__lt=moment("until", until))
    return rows.select_related("run", "step", "decided_by").order_by("-decided_at", "-id")


def _row(one: Approval) -> dict[str, Any]:
    plan = plan_for(one.run.version_id)
    step = plan.steps.get(one.step.key)
    return {"approval": one, "workflow": plan.title, "title": step.title if step else one.step.key}


def _words(found: list[Any], more: bool) -> str:
    if not found:
        return "No answered approval matches."
    if more:
        return f"The newest {len(found)} answers that match."
    return f"{readable.plural(len(found), 'answer')} match{'es' if len(found) == 1 else ''}."
