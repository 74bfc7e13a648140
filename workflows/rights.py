"""Who may do what with a workflow's runs, as its definition says: by role and by audience."""

from __future__ import annotations

import json
from uuid import UUID

from config.access.callers import Caller
from config.access.models import Audience
from workflows.database import execute
from workflows.domain.definition import Plan

# A definition is immutable, so what it says of seeing is asked once by each process.
_sees: dict[UUID, tuple[str, ...]] = {}

_UNKNOWN = """
SELECT id, coalesce(definition->'access'->'see', '[]')::text FROM workflows_workflowversion
WHERE NOT id = ANY(%(known)s::uuid[])
"""


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


def hidden_versions(caller: Caller) -> list[UUID]:
    """Versions of which this caller may see only the runs that it started itself."""
    _sees.update({key: _names(text) for key, text in execute(_UNKNOWN, {"known": list(_sees)})})
    limited = {names for names in _sees.values() if names}
    refused = {names for names in limited if not _holds(caller, names)}
    return [key for key, names in _sees.items() if names in refused] if refused else []


def _names(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))
