"""What workflows know of a person: runs they started, files they gave, answers and signals.

What a person started belongs to a client, too. Erasing blanks it by default, because it was said
by the person; ``keep_records`` leaves it to the client and takes the name off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, TextField
from django.db.models.functions import Cast

from config.errors import Conflict
from config.privacy import ERASED, Subject, as_rows, take_name_off
from workflows import artifacts, payloads
from workflows.models import (
    Approval,
    Artifact,
    ArtifactUse,
    Run,
    RunEvent,
    Schedule,
    Signal,
    StepRun,
    Suggestion,
    WorkflowSplit,
)

_ERROR = {"code": ERASED, "message": "what it said was erased with its person"}
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_ENDED = ("succeeded", "failed", "cancelled")


def export_subject(subject: Subject) -> dict[str, list[dict[str, Any]]]:
    """Runs with their steps and events, answers to approvals, signals, files by name."""
    runs = _runs(subject)
    return {
        "runs": as_rows(runs.order_by("id")),
        "steps": as_rows(StepRun.objects.filter(run__in=runs).order_by("id")),
        "events": as_rows(RunEvent.objects.filter(run_id__in=runs.values("id")).order_by("id")),
        "approvals": as_rows(Approval.objects.filter(decided_by_id=subject.id)),
        "signals": as_rows(Signal.objects.filter(sent_by_id=subject.id)),
        "schedules": as_rows(Schedule.objects.filter(runs_as_id=subject.id)),
        "suggestions": as_rows(Suggestion.objects.filter(decided_by_id=subject.id)),
        "artifacts": as_rows(_given(subject)),
        "artifacts_given": as_rows(ArtifactUse.objects.filter(user_id=subject.id)),
    }


def files_of(subject: Subject) -> Iterator[tuple[str, bytes]]:
    """The files that the person gave: ``artifacts/<id>/<name>`` and their content."""
    for row in _given(subject):
        name = row.name.replace("/", "_").replace("\\", "_")
        yield f"artifacts/{row.pk}/{name}", artifacts.read(row.pk, client_id=row.client_id)


def erase_subject(subject: Subject, *, keep_records: bool) -> dict[str, int]:
    """Blank the person's runs and files, or only unname them. Raises Conflict for open runs."""
    runs = _runs(subject)
    under_way = runs.exclude(state__in=_ENDED).count()
    if under_way:
        raise Conflict(f"{under_way} run(s) of this person", "under way",
                       "them to have ended: cancel them, or wait")  # fmt: skip
    # Nobody else gives one of them from here on without seeing what becomes of it.
    list(_files(subject).select_for_update().values_list("pk"))
    said = _files_said_by(subject)
    done = {
        "approvals": Approval.objects.filter(decided_by_id=subject.id)
        .exclude(reason="", answer=None)
        .update(reason="", answer=None),
        "signals": Signal.objects.filter(sent_by_id=subject.id).update(payload=None, sent_by=None),
        # They start runs with this person's rights.
        "schedules_paused": Schedule.objects.filter(runs_as_id=subject.id).update(is_paused=True),
        "suggestions": Suggestion.objects.filter(decided_by_id=subject.id).update(
            reason="", decided_by=None
        ),
        "names": take_name_off(subject, [(RunEvent, "actor"), (WorkflowSplit, "opened_by")]),
    }
    ArtifactUse.objects.filter(user_id=subject.id).delete()
    done["artifacts_left_to_others"] = _leave_to_others(_files(subject))
    done["payloads"] = _erase_files(_files(subject).filter(pk__in=said))
    if keep_records:
        done["artifacts_unnamed"] = _files(subject).update(created_by=None)
        done["runs_unnamed"] = runs.update(started_by=None)
        return done
    steps = StepRun.objects.filter(run__in=runs)
    made = _made_by(runs)
    steps.filter(error__isnull=False).update(error=_ERROR)
    done["steps"] = steps.update(value=None, input=None, output=None)
    done["events"] = (
        RunEvent.objects.filter(run_id__in=runs.values("id"))
        .exclude(detail=None)
        .update(detail=None)
    )
    Approval.objects.filter(run__in=runs).update(shown=None)
    done["artifacts"] = _erase_files(_files(subject)) + _erase_files(made)
    runs.filter(error__isnull=False).update(error=_ERROR)
    done["runs"] = runs.update(
        inputs={}, outputs=None, inputs_digest="", concurrency_key="",
        idempotency_key=None, started_by=None,
    )  # fmt: skip
    return done


def _files_said_by(subject: Subject) -> list[str]:
    """What answers to approvals and signals of the person hold that was too large for a row."""
    said = [
        *Approval.objects.filter(decided_by_id=subject.id).values_list("answer", flat=True),
        *Signal.objects.filter(sent_by_id=subject.id).values_list("payload", flat=True),
    ]
    files = [file for value in said for file in payloads.references_in(value).values()]
    return [file[payloads.REFERENCE] for file in files]


def _leave_to_others(files: QuerySet[Artifact]) -> int:
    """Files that somebody else gave, too, are theirs from now on; how many."""
    others = ArtifactUse.objects.filter(artifact=OuterRef("pk"), user__isnull=False).order_by("id")
    shared = files.filter(Exists(others))
    return shared.update(created_by=Subquery(others.values("user")[:1]))


def _made_by(runs: QuerySet[Run]) -> QuerySet[Artifact]:
    """Files that these runs made and no other run of their clients speaks of."""
    uses = ArtifactUse.objects.filter(run__isnull=False)
    used = set(uses.filter(run__in=runs).values_list("artifact", flat=True))
    clients = list(runs.values_list("client_id", flat=True).distinct())
    steps = StepRun.objects.filter(run__in=runs).exclude(output=None)
    named = {
        UUID(match)
        for output in steps.values_list(Cast("output", TextField()), flat=True).iterator()
        for match in _UUID.findall(output)
    }
    made = Artifact.objects.filter(pk__in=named | used, client__in=clients, created_by=None)
    made = made.exclude(Exists(uses.filter(artifact=OuterRef("pk")).exclude(run__in=runs)))
    ids = [str(pk) for pk in made.values_list("pk", flat=True)]
    if not ids:
        return Artifact.objects.none()
    others = StepRun.objects.filter(run__client__in=clients).exclude(run__in=runs)
    shared = {
        UUID(match)
        for output in others.annotate(text=Cast("output", TextField()))
        .filter(text__regex="|".join(ids))
        .values_list("text", flat=True)
        .iterator()
        for match in _UUID.findall(output)
    }
    return Artifact.objects.filter(pk__in=set(map(UUID, ids)) - shared)


def _erase_files(rows: QuerySet[Artifact]) -> int:
    """Empty the rows now, which others point at; remove the files once that has held."""
    found = list(rows.exclude(file=""))  # some are erased twice: said by, and made for, a person
    for row in found:
        transaction.on_commit(partial(row.file.storage.delete, str(row.file.name)))
        Artifact.objects.filter(pk=row.pk).update(
            name=f"{ERASED}-{row.pk}", file="", size=0, sha256="", created_by=None
        )
    return len(found)


def _runs(subject: Subject) -> QuerySet[Run]:
    return Run.objects.filter(started_by_id=subject.id)


def _files(subject: Subject) -> QuerySet[Artifact]:
    return Artifact.objects.filter(created_by_id=subject.id)


def _given(subject: Subject) -> QuerySet[Artifact]:
    """The person's files, and those that somebody else had given before."""
    uses = ArtifactUse.objects.filter(artifact=OuterRef("pk"), user_id=subject.id)
    return Artifact.objects.filter(Q(created_by_id=subject.id) | Exists(uses)).exclude(file="")
