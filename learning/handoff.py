"""Handing an improvement to people's own tools: a patch for ``git am``, a work item, a webhook."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from django.conf import settings
from django.utils import timezone

from agents import evidence, versions
from agents import loading as catalogue
from config.access.callers import Caller, any_reader
from config.errors import Conflict, NotFound, Unavailable
from config.readable import plural
from learning import wishing
from learning.domain.abilities.declaring import in_order
from learning.domain.patching import EntryMissing, Patch, as_mail, changed_entry
from learning.domain.trackers import reference
from learning.models import Feedback, Improvement, Replay

# Of the evidence, what is told elsewhere or is rows' ids.
_APART = frozenset({"priority", "formula", "suggested_tool", "feedback"})
WEBHOOK_SECONDS = 10.0
# What of a version the catalogue's file can say.
IN_CATALOGUE = ("prompt", "model", "tools")
# And of its model.
OF_MODEL = ("tier", "temperature", "max_output_tokens")


def patch(caller: Caller, improvement_id: UUID) -> Patch:
    """The catalogue's YAML changed to the improvement's candidate, ready for ``git am``.

    Raises NotFound, or Conflict for an improvement without a candidate version or one that the
    catalogue's file can't express.
    """
    row = _find(caller, improvement_id)
    if row.candidate_version_id is None:
        raise Conflict(f"improvement {row.title!r}", "without a candidate", "a candidate version")
    candidate = evidence.version(row.agent_slug, row.candidate_version_id)
    _check_expressible(row, candidate)
    file = _file_of(row.agent_slug)
    before = file.read_text("utf-8")
    path = f"agents/catalogue/{file.name}"
    try:
        present = evidence.production(row.agent_slug).tools
        after = changed_entry(
            before, row.agent_slug, prompt=candidate.prompt, model=candidate.model,
            tools=candidate.tools if candidate.tools != present else None,
        )  # fmt: skip
        return as_mail(
            path=path, before=before, after=after, subject=f"agents: {_subject(row)}",
            body=_message(row), author="Ratchet", address=settings.DEFAULT_FROM_EMAIL,
            at=timezone.now(), name=f"0001-{row.agent_slug}-{str(row.pk)[-6:]}.patch",
        )  # fmt: skip
    except EntryMissing as error:
        raise Conflict(path, str(error), "an entry in the shipped form") from error
    except ValueError as error:
        raise Conflict(path, "already so", "a candidate that differs") from error


def _check_expressible(row: Improvement, candidate: Any) -> None:
    """Raise Conflict if the candidate differs in what the file does not say."""
    base = versions.content_of(evidence.production(row.agent_slug))
    other = versions.content_of(candidate)
    changed = [k for k, v in asdict(base).items() if k not in IN_CATALOGUE
               and asdict(other)[k] != v]  # fmt: skip
    models = {**base.model, **other.model}
    changed += [
        f"the model's {k}" for k in sorted(models)
        if k not in OF_MODEL and base.model.get(k) != other.model.get(k)
    ]  # fmt: skip
    if changed:
        raise Conflict(
            f"improvement {row.title!r}", f"a change of {', '.join(changed)}",
            f"one of the prompt, the tools or the model's {', '.join(OF_MODEL)}, which the "
            "catalogue's file can express",
        )  # fmt: skip


def work_item(caller: Caller, improvement_id: UUID) -> dict[str, Any]:
    """What an issue tracker's webhook takes: title, body in Markdown, labels, and the facts."""
    return item_of(caller, _find(caller, improvement_id))


def item_of(caller: Caller, row: Improvement) -> dict[str, Any]:
    """The work item of one improvement, with what ``caller`` may read of people's words."""
    return _item(row, wishing.quotes(caller, _said_in(row)))


def _item(row: Improvement, quotes: Sequence[str]) -> dict[str, Any]:
    shown = row.evidence if isinstance(row.evidence, dict) else {}
    tool = shown.get("suggested_tool")
    body = [_message(row)]
    if tool:
        body.append(f"## Suggested tool\n\n```json\n{json.dumps(in_order(tool), indent=2)}\n```")
    if quotes:
        told = "\n".join(f"> {' '.join(quote.split())}\n>" for quote in quotes).removesuffix("\n>")
        body.append(f"## What people said\n\n{told}")
    return {
        "title": f"{row.agent_slug}: {row.title}",
        "body": "\n\n".join(body),
        "labels": ["ratchet", row.kind, f"risk:{row.risk}"],
        "improvement": {
            "id": str(row.pk), "agent": row.agent_slug, "kind": row.kind, "state": row.state,
            "priority": row.priority, "proposal": row.proposal, "expected": row.expected,
            "candidate_version": str(row.candidate_version_id or ""),
            "suggested_tool": tool,
        },
        "sent": row.work_item or None,
    }  # fmt: skip


def post(caller: Caller, improvement_id: UUID) -> Improvement:
    """Send the work item to the configured issue tracker, and keep its id and link there.

    It quotes what every reader of the improvement may read, whoever sends it; no erasure reaches
    what was sent. One that was sent is not sent again. Raises Conflict where no tracker is
    configured (WORK_ITEM_WEBHOOK_URL), Unavailable if it does not take the item: nothing is kept
    then.
    """
    caller.require("learning:decide", "hand out work items")
    row = _find(caller, improvement_id)
    if row.work_item:
        return row
    url = settings.WORK_ITEM_WEBHOOK_URL
    if url == "-":
        raise Conflict("the issue tracker", "not configured", "WORK_ITEM_WEBHOOK_URL")
    item = {name: value for name, value in _item(row, _open_quotes(row)).items() if name != "sent"}
    try:
        answer = httpx.post(
            url, json=item, timeout=WEBHOOK_SECONDS,
            headers={"Idempotency-Key": f"improvement-{improvement_id}"},
        )  # fmt: skip
        answer.raise_for_status()
    except httpx.HTTPStatusError as error:
        said = f"it answered {error.response.status_code}"
        raise Unavailable("the issue tracker", said, 60) from error
    except httpx.HTTPError as error:
        raise Unavailable("the issue tracker", type(error).__name__, 60) from error
    made = reference(_json(answer), answer.headers.get("Location", ""))
    made["at"] = timezone.now().isoformat()  # who sent it is on the audit log
    Improvement.objects.filter(pk=row.pk, work_item={}).update(work_item=made)
    row.refresh_from_db()
    return row


def _said_in(row: Improvement) -> list[Any]:
    """Ids of the feedback that the improvement stands on."""
    shown = row.evidence if isinstance(row.evidence, dict) else {}
    return list(shown.get("feedback", ()))


def _open_quotes(row: Improvement) -> list[str]:
    """What was said at the improvement's own client, and of nothing that is limited to some."""
    own = Feedback.objects.filter(pk__in=_said_in(row), client_id=row.client_id)
    return wishing.quotes(any_reader(), list(own.order_by("id").values_list("pk", flat=True)))


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _find(caller: Caller, improvement_id: UUID) -> Improvement:
    found = caller.only_visible(Improvement.objects.filter(pk=improvement_id)).first()
    if found is None:
        raise NotFound("improvement", improvement_id)
    return found


def _file_of(slug: str) -> Path:
    for file in sorted(catalogue.CATALOGUE.glob("*.yaml")):
        if f"- slug: {slug}\n" in file.read_text("utf-8"):
            return file
    raise Conflict(f"agent {slug}", "not of the catalogue", "an agent of its files")


def _subject(row: Improvement) -> str:
    return f"{row.title.rstrip('.')} ({row.agent_slug})."


def _message(row: Improvement) -> str:
    """Why, with what evidence, and what is expected of it."""
    lines = [f"{row.title} for {row.agent_slug}.", ""]
    shown = row.evidence if isinstance(row.evidence, dict) else {}
    lines += [f"Proposed by: {row.proposed_by or 'unknown'}", f"Risk: {row.risk}"]
    if shown.get("priority"):
        lines.append(f"Priority: {shown['priority']}")
    for name, value in {**shown, **{f"expected {k}": v for k, v in row.expected.items()}}.items():
        if name not in _APART and value not in (None, "", [], {}):
            lines.append(f"{name.replace('_', ' ').capitalize()}: {_short(value)}")
    for replay in Replay.objects.filter(improvement_id=row.pk).exclude(verdict="")[:3]:
        found = replay.result
        lines.append(
            f"Replay: {replay.verdict} on {plural(found.get('cases', 0), 'case')}, difference "
            f"{found.get('difference')} [{found.get('lower')}, {found.get('upper')}]"
        )
    lines += ["", f"Improvement: {row.pk}"]
    return "\n".join(lines)


# Figures of a measured effect as people say them; any other goes by its name.
_WORDS = {
    "how": "{}", "cases": "{} cases", "base_score": "score {} before", "score": "{} after",
    "score_difference": "difference of score {}", "cost_ratio": "cost × {}",
}  # fmt: skip


def said(value: Any) -> str:
    """A value of evidence in words, cut where it is long."""
    return _short(value)


def _short(value: Any) -> str:
    if isinstance(value, dict):
        names = [
            *(name for name in _WORDS if name in value),
            *(n for n in value if n not in _WORDS),
        ]
        return ", ".join(
            plural(value[name], "case") if name == "cases" and isinstance(value[name], int)
            else _WORDS.get(name, f"{name.replace('_', ' ')} {{}}").format(_short(value[name]))
            for name in names if value[name] not in (None, "")
        )  # fmt: skip
    if isinstance(value, list):
        return ", ".join(map(_short, value[:5]))
    return " ".join(str(value).split())[:300]
