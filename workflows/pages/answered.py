"""The list of approvals that people answered, as figures count them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_GET

from config.access.callers import Caller
from config.errors import InvalidInput
from config.pages import page
from monitoring import lists
from monitoring.asked import filters_of, identifier
from monitoring.lists import Listing
from workflows import rights
from workflows.models import Approval
from workflows.plans import plan_for

ANSWERED = (Approval.State.APPROVED, Approval.State.REJECTED)
NAMES = ("workflow", "client", "state", "range", "since", "until")
COLUMNS = ("id", "run_id", "workflow", "step", "level", "role", "state", "decided_by", "decided_at",
           "reason")  # fmt: skip
# What a row is read of: neither what was shown to the approver, nor what its run holds.
_READ = ("id", "run_id", "level", "levels", "role", "state", "decided_at", "reason", "step__key",
         "run__workflow_name", "run__version_id", "decided_by__username", "decided_by__first_name",
         "decided_by__last_name", "decided_by__email")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """An answer with the titles of its workflow and step."""

    approval: Approval
    workflow: str
    title: str


@require_GET
@page("runs:read")
def all_answered(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """``/dashboard/approvals/answered``; ``?state=approved`` those that were given."""
    return LIST.page(request, caller)


@require_GET
@page("runs:read")
def as_csv(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """``/dashboard/approvals/answered.csv``: the newest that match, exact."""
    return LIST.file(request, caller)


def _read(request: HttpRequest, caller: Caller, limit: int, before: str) -> list[Row]:
    rows = lists.later_pages(_chosen(request, caller), before, "decided_at")
    return [_row(one) for one in rows.select_related("run", "step", "decided_by")
            .only(*_READ)[:limit]]  # fmt: skip


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
    return lists.in_time(rows, "decided_at", lists.times_of(request, caller, given))


def _row(one: Approval) -> Row:
    plan = plan_for(one.run.version_id)
    step = plan.steps.get(one.step.key)
    return Row(one, plan.title, step.title if step else one.step.key)


def _cells(row: Row) -> Sequence[object]:
    one = row.approval
    return (one.pk, one.run_id, one.run.workflow_name, one.step.key, one.level, one.role, one.state,
            str(one.decided_by), one.decided_at, one.reason)  # fmt: skip


LIST: Listing[Row] = Listing(
    place="/dashboard/approvals/answered", template="approvals/answered.html", names=NAMES,
    columns=COLUMNS, one="answered approval", many="answered approvals", read=_read,
    place_of=lambda row: lists.place(row.approval.decided_at, row.approval.pk),  # type: ignore[arg-type]
    cells=_cells, said={("state", "approved"): "given", ("state", "rejected"): "refused"},
)  # fmt: skip
