"""Who may do what with a workflow's runs, as its definition says: by role and by audience.

A run inside another one is seen by those who may see both, and everything in between; so is all
that belongs to it. Who started a run sees it and what is inside. A fork is seen as its original.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from config.access.callers import Caller
from config.access.models import Audience, Client
from config.errors import NotFound
from workflows.database import execute
from workflows.domain.definition import Plan
from workflows.models import Artifact, ArtifactUse, Run
from workflows.plans import plan_for
from workflows.versions import current_version

# A definition is immutable, so what it says of seeing is asked once by each process.
_sees: dict[UUID, tuple[str, ...]] = {}

_UNKNOWN = """
SELECT id, coalesce(definition->'access'->'see', '[]')::text FROM workflows_workflowversion
WHERE NOT id = ANY(%(known)s::uuid[])
"""

_NAMES = """
SELECT w.name FROM workflows_workflow w
JOIN workflows_workflowversion v ON v.workflow_id = w.id AND v.is_current
WHERE v.id = ANY(%(hidden)s::uuid[])
"""
_NONE: frozenset[str] = frozenset()


def may(caller: Caller, plan: Plan, action: str) -> bool:
    """Whether the definition lets the caller ``start``, ``see``, ``approve`` or ``cancel``.

    Without a word on the action everybody may whose scopes allow it.
    """
    return _holds(caller, plan.access.get(action, ()))


def _holds(caller: Caller, named: tuple[str, ...]) -> bool:
    """One of the roles named, if any is, and one of the audiences named, if any is."""
    roles = [name for name in named if ":" not in name]
    audiences = [name for name in named if ":" in name]
    if roles and not any(caller.may_act_as(role) for role in roles):
        return False
    return not audiences or bool(audiences_of(caller) & set(audiences))


def audiences_of(caller: Caller) -> set[str]:
    """The caller's audiences as definitions name them: ``department:audit``."""
    rows = Audience.objects.filter(user=caller.user_id).values_list("kind", "name")
    return {f"{kind}:{name}" for kind, name in rows}


def in_words(plan: Plan, action: str) -> str:
    """What ``action`` needs, for an error."""
    return f"one of {', '.join(plan.access.get(action, ()))}"


def may_see(caller: Caller, run: Run) -> bool:
    """Whether the caller may see a run of a client that it sees; as ``hidden_runs`` for one."""
    if run.started_by_id is not None and run.started_by_id == caller.user_id:
        return True
    return all(may(caller, plan_for(version), "see") for version in (run.version_id, *run.within))


def hidden_runs(caller: Caller, run: str = "") -> Q | None:
    """Which runs definitions hide from the caller, all clients'; None if there are none.

    For rows of something else ``run`` is the way to their run: ``run__``.
    """
    hidden = _hidden_versions(caller)
    if not hidden:
        return None
    others = Q(**{f"{run}version_id__in": hidden}) | Q(**{f"{run}within__overlap": hidden})
    if caller.user_id is None:
        return others
    return others & ~Q(**{f"{run}started_by_id": caller.user_id})


def runs_hidden_from(caller: Caller) -> QuerySet[Run] | None:
    """Runs that definitions hide from the caller, all clients'; None if there are none.

    Named in settings.HIDDEN_RUNS: other apps hide with it what belongs to these runs.
    """
    hidden = hidden_runs(caller)
    return None if hidden is None else Run.objects.filter(hidden)


def workflows_hidden_from(caller: Caller) -> frozenset[str]:
    """Workflows whose figures are hidden: the current version hides other people's runs.

    Named in settings.HIDDEN_WORKFLOWS.
    """
    hidden = _hidden_versions(caller)
    return frozenset(name for (name,) in execute(_NAMES, {"hidden": hidden})) if hidden else _NONE


def workflows_withheld_from(caller: Caller) -> frozenset[str]:
    """Workflows of which the caller may neither see other people's runs nor start any."""
    hidden = workflows_hidden_from(caller)
    plans = {name: plan_for(current_version(name).pk) for name in hidden}
    return frozenset(name for name, plan in plans.items() if not may(caller, plan, "start"))


def visible(caller: Caller, rows: QuerySet[Any], run: str = "") -> QuerySet[Any]:
    """``rows`` of runs (or of what lies at ``run`` from them) that the caller may see."""
    if (hidden := hidden_runs(caller, run)) is not None:
        rows = rows.exclude(hidden)
    return caller.only_visible(rows, f"{run}client_id")


def visible_artifacts(caller: Caller) -> QuerySet[Artifact]:
    """Files that the caller may see.

    A file that runs use is seen with one of these runs, or by who gave it; one that no run uses
    is seen by everybody of its client.
    """
    rows = caller.only_visible(Artifact.objects.all())
    hidden = hidden_runs(caller, "run__")
    if hidden is None:
        return rows
    uses = ArtifactUse.objects.filter(artifact=OuterRef("pk"))
    used = uses.filter(run__isnull=False)
    seen = Q(~Exists(used)) | Q(Exists(used.exclude(hidden)))
    if caller.user_id is not None:
        seen |= Q(created_by_id=caller.user_id) | Q(Exists(uses.filter(user=caller.user_id)))
    return rows.filter(seen)


def _hidden_versions(caller: Caller) -> list[UUID]:
    """Versions of which this caller may see only the runs that it started itself."""
    _sees.update({key: _names(text) for key, text in execute(_UNKNOWN, {"known": list(_sees)})})
    limited = {names for names in _sees.values() if names}
    refused = {names for names in limited if not _holds(caller, names)}
    return [key for key, names in _sees.items() if names in refused] if refused else []


def _names(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


def require_client(caller: Caller, client: UUID) -> None:
    """Raise NotFound unless there is such a client and the caller may see it."""
    if not caller.sees(client) or not Client.objects.filter(pk=client).exists():
        raise NotFound("client", client)
