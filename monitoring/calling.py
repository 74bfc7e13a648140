"""Calls a web hook as an incident's first response, and again to take it back.

The target is the name of a channel: its address was entered by an administrator, is signed with
its secret, and leads nowhere inside this network unless the channel allows it.
"""

from __future__ import annotations

import json
import logging

from django.utils import timezone

from config import logs
from config.errors import NotFound
from monitoring import posting
from monitoring.actions import Asked, report_action, take_actions
from monitoring.models import Action, Channel

logger = logging.getLogger(__name__)
CALL, RECALL = "call_webhook", "recall_webhook"


def respond() -> int:
    """Make the calls that are asked for; how many. A refused one is told, not repeated."""
    asked = take_actions((CALL, RECALL))
    for action in asked:
        try:
            _call(action)
            said, ok = "accepted", True
        except Exception as error:  # whatever a receiver or the way to it may do
            said, ok = f"{type(error).__name__}: {error}"[:300], False
        report_action(action.id, ok=ok, result={"said": said})
        logs.event(logger, "monitoring.action.done", kind=action.kind, ok=ok)
    return len(asked)


def _call(asked: Asked) -> None:
    channel = Channel.objects.filter(name=asked.target, kind=Channel.Kind.WEBHOOK).first()
    if channel is None:
        raise NotFound("web hook channel", asked.target)
    incident = Action.objects.select_related("incident").get(pk=asked.id).incident
    content = {
        "event": "action.undone" if asked.is_undo else "action.asked",
        "incident": str(incident.pk),
        "title": incident.title,
        "severity": incident.severity,
        "cause": incident.cause,
        "parameters": asked.parameters,
    }
    raw = json.dumps(content, sort_keys=True).encode()
    at = int(timezone.now().timestamp())
    headers = posting.signature(str(asked.id), at, raw, channel.secret)
    posting.post(channel.address, raw, headers, may_be_private=channel.may_be_private)
