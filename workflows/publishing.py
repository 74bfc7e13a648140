"""Publishing definitions: a version is immutable, and publishing the same text changes nothing."""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from agents import queries as agents
from agents.tools import registry
from config import logs
from config.access.callers import Caller
from config.access.models import Audience
from config.access.roles import ROLES
from config.errors import Conflict, NotFound
from monitoring import services as monitoring
from workflows.domain.definition import Plan
from workflows.domain.documents import parse
from workflows.domain.validation import Known, compile_definition, faults_of
from workflows.models import Workflow, WorkflowLabel, WorkflowVersion

logger = logging.getLogger(__name__)
LIBRARY = Path(__file__).parent / "library"


class _Arguments(Mapping[str, Mapping[str, Any]]):
    """Argument schemas of the declared tools by their names, each read when it is asked for.

    A definition names a few of a hundred: to read them all takes longer than to compile it.
    """

    def __init__(self) -> None:
        self._tools = {tool.name: tool for tool in registry.all_tools()}

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        return self._tools[name].parameters

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)


def known() -> Known:
    """What definitions may name at present."""
    return Known(
        tools=_Arguments(),
        agents=agents.known_agents(),
        workflows=frozenset(Workflow.objects.values_list("name", flat=True)),
        inputs_of={
            name: inputs or {}
            for name, inputs in WorkflowVersion.objects.filter(is_current=True).values_list(
                "workflow__name", "definition__inputs"
            )
        },
        outputs_of={
            tool.name: schema
            for tool in registry.all_tools()
            if (schema := tool.output_schema) is not None
        },
        roles=frozenset(ROLES),
        audiences=frozenset(f"{a.kind}:{a.name}" for a in Audience.objects.all()),
    )


def publish(
    source: str,
    *,
    user_id: UUID | None = None,
    by: Caller | None = None,
    shipped: bool = False,
    names: Known | None = None,
) -> tuple[WorkflowVersion, bool]:
    """Store ``source`` as the current version; the version, and whether it is new.

    Raises InvalidDocument with every fault; nothing is stored then.
    """
    names = names or known()
    plan = compile_definition(source, names)
    digest = hashlib.sha256(
        json.dumps(plan.source, sort_keys=False, default=str).encode()
    ).hexdigest()
    with transaction.atomic():
        workflow, _ = Workflow.objects.select_for_update().get_or_create(
            name=plan.name, defaults={"title": plan.title, "is_shipped": shipped}
        )
        existing = workflow.versions.filter(digest=digest).first()
        if existing is not None:
            if not existing.is_current and not shipped:
                _make_current(workflow, existing)
                _audit(by, existing, "made_current")
            return existing, False
        version = _add(workflow, plan, source, digest, user_id)
        _audit(by, version, "published")
    logs.event(logger, "workflows.version.published", workflow=plan.name, number=version.number)
    return version, True


def _add(
    workflow: Workflow, plan: Plan, source: str, digest: str, user_id: UUID | None
) -> WorkflowVersion:
    last = workflow.versions.order_by("-number").values_list("number", flat=True).first() or 0
    version = WorkflowVersion.objects.create(
        workflow=workflow,
        number=last + 1,
        digest=digest,
        source=source,
        definition=plan.source,
        published_by_id=user_id,
    )
    _make_current(workflow, version)
    Workflow.objects.filter(pk=workflow.pk).update(title=plan.title)
    return version


def _make_current(workflow: Workflow, version: WorkflowVersion) -> None:
    workflow.versions.filter(is_current=True).exclude(pk=version.pk).update(is_current=False)
    workflow.versions.filter(pk=version.pk).update(is_current=True, deprecated_at=None)
    version.is_current = True


def make_current(
    name: str, number: int, *, by: Caller | None = None, instead_of: Collection[int] = ()
) -> WorkflowVersion:
    """Let new runs use version ``number``; runs under way keep theirs.

    ``instead_of``: only where one of these versions is current. Raises NotFound, Conflict.
    """
    with transaction.atomic():
        workflow, version = _locked(name, number)
        if instead_of:
            _require_current(workflow, instead_of)
        _make_current(workflow, version)
        _audit(by, version, "made_current")
    return version


def _require_current(workflow: Workflow, numbers: Collection[int]) -> None:
    present = workflow.versions.filter(is_current=True).values_list("number", flat=True).first()
    if present not in numbers:
        named = " or ".join(f"v{number}" for number in sorted(set(numbers)))
        raise Conflict(f"workflow {workflow.name}", f"at v{present}", named)


def deprecate(name: str, number: int, *, by: Caller | None = None) -> WorkflowVersion:
    """Mark a version as no longer to be used; runs on it finish.

    Raises NotFound, Conflict for the current one: what new runs use instead is for a person to say.
    """
    with transaction.atomic():
        workflow, version = _locked(name, number)
        if version.is_current:
            raise Conflict(f"{name} v{number}", "current", _other_than(workflow, version))
        WorkflowVersion.objects.filter(pk=version.pk, deprecated_at=None).update(
            deprecated_at=timezone.now()
        )
        _audit(by, version, "deprecated")
    version.refresh_from_db()
    return version


def _other_than(workflow: Workflow, version: WorkflowVersion) -> str:
    """What has to be done before the current version can be deprecated."""
    others = workflow.versions.filter(deprecated_at=None).exclude(pk=version.pk)
    numbers = [f"v{n}" for n in others.order_by("-number").values_list("number", flat=True)[:5]]
    if not numbers:
        return "another version: publish one first, because this is the only one still in use"
    return f"another version: make one current first, {' or '.join(numbers)}"


def label(name: str, number: int, label: str, *, by: Caller | None = None) -> WorkflowVersion:
    """Let ``label`` stand for version ``number``, whichever it stood for before."""
    with transaction.atomic():
        workflow, version = _locked(name, number)
        WorkflowLabel.objects.update_or_create(
            workflow=workflow, name=label, defaults={"version": version, "moved_at": timezone.now()}
        )
        _audit(by, version, "labelled", label)
    return version


def unlabel(name: str, number: int, label: str, *, by: Caller | None = None) -> WorkflowVersion:
    """Take a label away; raises NotFound if it does not stand for this version."""
    with transaction.atomic():
        workflow, version = _locked(name, number)
        rows = WorkflowLabel.objects.filter(workflow=workflow, name=label, version=version)
        if not rows.delete()[0]:
            raise NotFound("label", f"{label} of {name} v{number}")
        _audit(by, version, "unlabelled", label)
    return version


def _locked(name: str, number: int) -> tuple[Workflow, WorkflowVersion]:
    workflow = Workflow.objects.select_for_update().filter(name=name).first()
    version = workflow.versions.filter(number=number).first() if workflow else None
    if workflow is None or version is None:
        raise NotFound("workflow version", f"{name} v{number}")
    return workflow, version


def _audit(by: Caller | None, version: WorkflowVersion, what: str, after: Any = None) -> None:
    monitoring.audit(
        actor=by.principal if by else "system:library",
        action=f"workflows.version.{what}",
        target=f"workflow:{version.workflow.name} v{version.number}",
        client_id=by.home_client_id if by else None,
        user_id=by.user_id if by else None,
        after=after if after is not None else {"digest": version.digest},
    )


def diff(older: WorkflowVersion, newer: WorkflowVersion) -> str:
    """A unified diff of what was written."""
    return "\n".join(
        difflib.unified_diff(
            older.source.splitlines(), newer.source.splitlines(),
            f"v{older.number}", f"v{newer.number}", lineterm="",
        )
    )  # fmt: skip


def faults(source: str) -> list[dict[str, Any]]:
    """Every fault of a definition, for an editor; empty means it may be published."""
    return faults_of(parse(source, what="the workflow definition"), known())


def publish_library(directory: Path = LIBRARY) -> dict[str, bool]:
    """Publish the shipped definitions, in an order in which those that are contained come first.

    The name of each, and whether it was new. Doing it twice changes nothing.
    """
    waiting = {path: path.read_text("utf-8") for path in sorted(directory.glob("*.yaml"))}
    done: dict[str, bool] = {}
    base = known()
    while waiting:
        shipped = {str(parse(text).value.get("name")) for text in waiting.values()}
        for path, text in list(waiting.items()):
            contained = {
                raw["workflow"]
                for raw in parse(text).value.get("steps", {}).values()
                if isinstance(raw, dict) and "workflow" in raw
            }
            if contained & shipped - {parse(text).value.get("name")}:
                continue
            names = replace(base, workflows=base.workflows | frozenset(done))  # type: ignore[operator]
            version, new = publish(text, shipped=True, names=names)
            done[version.workflow.name] = new
            del waiting[path]
            break
        else:
            names = known()
            path, text = next(iter(waiting.items()))
            publish(text, shipped=True, names=names)  # raises, naming what is circular
            del waiting[path]
    return done
