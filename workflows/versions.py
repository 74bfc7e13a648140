"""Which version of a workflow a new run uses, and which ones the runs inside of it will."""

from __future__ import annotations

from uuid import UUID

from config.errors import Conflict, NotFound
from workflows.database import execute
from workflows.domain.definition import Plan
from workflows.models import WorkflowVersion
from workflows.plans import plan_for


def current_version(workflow: str) -> WorkflowVersion:
    """The version that new runs use; raises NotFound."""
    found = WorkflowVersion.objects.filter(workflow__name=workflow, is_current=True).first()
    if found is None:
        raise NotFound("workflow", workflow)
    return found


def named_version(workflow: str, name: str) -> WorkflowVersion:
    """A version by its number or one of its labels.

    Raises NotFound, Conflict for a deprecated one.
    """
    by = {"number": int(name)} if name.isdecimal() else {"labels__name": name}
    rows = WorkflowVersion.objects.filter(workflow__name=workflow)
    found = rows.filter(**by).first() if len(name) < 9 or not name.isdecimal() else None
    if found is None:
        raise NotFound("workflow version", f"{workflow} {name}")
    if found.deprecated_at is not None:
        raise Conflict(f"{workflow} v{found.number}", "deprecated", "a version still in use")
    return found


_CURRENT = """
SELECT w.name, v.id
FROM workflows_workflowversion v JOIN workflows_workflow w ON w.id = v.workflow_id
WHERE v.is_current AND w.name = ANY(%(names)s)
"""


def pins_of(plan: Plan, version_id: UUID) -> dict[str, str] | None:
    """Version by name of all workflows inside ``plan``, and of those inside them, as of now.

    None, at no cost, where there are none. One that contains itself stays what it is. A name that
    has no version yet is left out: it is looked up when its step is reached.
    """
    if not plan.contains:
        return None
    found: dict[str, UUID] = {}
    wanted = set(plan.contains)
    while wanted:
        rows = dict(execute(_CURRENT, {"names": sorted(wanted)}))
        if plan.name in wanted:
            rows[plan.name] = version_id
        found |= rows
        inside = (plan_for(version).contains for version in rows.values())
        wanted = set().union(*inside) - found.keys()
    return {name: str(version) for name, version in found.items()}
