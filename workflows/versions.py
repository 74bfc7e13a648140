"""Which version of a workflow a new run uses."""

from __future__ import annotations

from config.errors import Conflict, NotFound
from workflows.models import WorkflowVersion


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
