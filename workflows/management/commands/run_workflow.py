"""``manage.py run_workflow FILE_OR_NAME --inputs JSON --wait``: run it and print the run."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.access import callers
from config.access.callers import Caller
from config.access.models import User
from config.access.roles import ROLES
from config.errors import AppError
from config.supervisor.standby import standby
from workflows import artifacts, decisions, documents, publishing, starting, versions
from workflows.domain.transitions import RunState
from workflows.models import Approval, Run
from workflows.plans import plan_for

POLL_SECONDS = 0.2


class Command(BaseCommand):
    help = "Runs a definition file or a named workflow and prints the run as JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("workflow", help="a definition file (YAML or JSON), or a name")
        parser.add_argument("--inputs", default="{}", help="JSON, or @FILE that holds it")
        parser.add_argument("--wait", action="store_true", help="until the run has ended")
        parser.add_argument("--approve", action="store_true", help="approve what it asks")
        parser.add_argument("--user", default="", help="username to act as")
        parser.add_argument("--timeout", type=float, default=3600.0, help="seconds to wait")
        parser.add_argument("--priority", choices=starting.PRIORITIES, default=None)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            document = self._run(options)
        except AppError as error:
            raise CommandError(str(error)) from None
        json.dump(document, self.stdout, default=_plain, indent=2, ensure_ascii=False)
        self.stdout.write("")
        if options["wait"] and document["state"] != RunState.SUCCEEDED:
            sys.exit(1)

    def _run(self, options: dict[str, Any]) -> dict[str, Any]:
        if not options["wait"]:
            return documents.run_document(_start(options))
        with standby(settings.RATCHET_HOME):
            run = _start(options)
            _follow(run, approve=options["approve"], limit=options["timeout"])
        run.refresh_from_db()
        return documents.run_document(run, all_items=True)


def _start(options: dict[str, Any]) -> Run:
    caller = _caller(options["user"])
    name = _published(options["workflow"], caller)
    inputs = _with_files(_inputs(options["inputs"]), name, caller)
    run, _ = starting.start_run(
        caller=caller, workflow=name, inputs=inputs, priority=options["priority"]
    )
    return run


def _follow(run: Run, *, approve: bool, limit: float) -> None:
    """Wait until the run has ended, answering approvals if asked to."""
    until = time.monotonic() + limit
    while time.monotonic() < until:
        run.refresh_from_db()
        if RunState(run.state).is_final:
            return
        if approve:
            _approve(run)
        time.sleep(POLL_SECONDS)
    raise CommandError(f"run {run.pk} is still {run.state} after {limit:g} s")


def _approve(run: Run) -> None:
    """Answer the lowest open level of every approval of the run and of the runs inside it."""
    rows = Approval.objects.filter(state=Approval.State.WAITING, client_id=run.client_id)
    for approval in rows.select_related("run").order_by("step_id", "level"):
        if approval.run_id != run.pk and not _inside(approval.run, run):
            continue
        lower = approval.before()
        if lower.exclude(state=Approval.State.APPROVED).exists():
            continue
        decisions.answer_approval(
            _approver(approval),
            approval.pk,
            approve=True,
            answer=_blank_answer(approval.form),
            reason="approved on the command line",
        )


def _inside(inner: Run, outer: Run) -> bool:
    while inner.parent_step_id is not None:
        parent = Run.objects.filter(steps__id=inner.parent_step_id).first()
        if parent is None:
            return False
        if parent.pk == outer.pk:
            return True
        inner = parent
    return False


def _approver(approval: Approval) -> Caller:
    """A person who may answer; raises CommandError naming the role that is missing."""
    for user in User.objects.filter(is_active=True).order_by("-is_demo", "username"):
        try:
            caller = callers.of_user(user)
        except AppError:
            continue
        if caller.sees(approval.client_id) and not decisions.may_answer(caller, approval):
            return caller
    raise CommandError(f"nobody may approve as {approval.role}; add a user with that role")


def _blank_answer(form: dict[str, Any] | None) -> dict[str, Any] | None:
    """The smallest answer to a form: its defaults, first choices, and what says yes."""
    if not form:
        return None
    answer: dict[str, Any] = {}
    for name in form.get("required", []):
        part = (form.get("properties") or {}).get(name, {})
        blank = {"boolean": True, "number": part.get("minimum", 0),
                 "integer": part.get("minimum", 0), "array": [], "object": {}}  # fmt: skip
        choices = part.get("enum") or [blank.get(part.get("type", ""), "approved")]
        answer[name] = part.get("const", part.get("default", choices[0]))
    return answer


def _caller(username: str) -> Caller:
    """The person to act as: named, or the demo professional, or the first administrator."""
    users = User.objects.filter(is_active=True)
    if username:
        user = users.filter(username=username).first()
        if user is None:
            raise CommandError(f"no active user {username!r}")
        return callers.of_user(user)
    user = users.filter(is_demo=True, memberships__role="professional").first()
    user = user or users.filter(is_superuser=True).first()
    if user is None:
        raise CommandError("nobody to act as: run `manage.py prepare`, or give --user")
    caller = callers.of_user(user)
    # Whoever may run commands here owns the installation; the person's client still holds.
    return replace(caller, scopes=frozenset(ROLES["administrator"]))


def _published(workflow: str, caller: Caller) -> str:
    path = Path(workflow)
    if path.suffix in (".yaml", ".yml", ".json") or path.is_file():
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"cannot read {workflow}: {error}") from None
        version, _ = publishing.publish(text, user_id=caller.user_id)
        return version.workflow.name
    return workflow


def _inputs(text: str) -> dict[str, Any]:
    try:
        value = json.loads(Path(text[1:]).read_text("utf-8") if text.startswith("@") else text)
    except (OSError, ValueError) as error:
        raise CommandError(f"--inputs: {error}") from None
    if not isinstance(value, dict):
        raise CommandError(f"--inputs: must be a JSON object, got {type(value).__name__}")
    return value


def _with_files(inputs: dict[str, Any], name: str, caller: Caller) -> dict[str, Any]:
    """Inputs in which a path stands for an artifact of its content."""
    schema = plan_for(versions.current_version(name).pk).inputs_schema
    for key, part in (schema.get("properties") or {}).items():
        path = Path(str(inputs.get(key, "")))
        if part.get("format") == "artifact" and path.is_file():
            size = path.stat().st_size
            if size > settings.MAX_ARTIFACT_BYTES:
                limit = settings.MAX_ARTIFACT_BYTES
                raise CommandError(f"{path}: {size} bytes; the limit is {limit} bytes")
            kept = artifacts.save(
                client_id=caller.home_client_id, name=path.name, content=path.read_bytes(),
                content_type="text/csv", user_id=caller.user_id,
            )  # fmt: skip
            inputs = {**inputs, key: str(kept.pk)}
    return inputs


def _plain(value: object) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
