"""Dialogflow CX fulfilment: an agent's answer inside five seconds, or its beginning and then more.

Dialogflow gives a webhook five seconds. An answer that takes longer goes on in this process; the
caller hears what there is so far and gets the rest with the next turn. What is pending travels in
the session's parameters, so any web process may tell the rest.
"""

from __future__ import annotations

import logging
import re
import time
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from agents import (
    bodies,
    connections,
    conversations,
    doors,
    guarding,
    interactive,
    pacing,
    spans,
    talking,
)
from agents.calls import Answer
from agents.models import Conversation, Invocation, Turn
from agents.models.records import CallState
from config import logs
from config.access import attempts, callers
from config.access.callers import Caller
from config.access.ids import uuid7
from config.errors import AppError, InvalidInput, TooManyRequests
from config.outages import outage_of

logger = logging.getLogger(__name__)
CHANNEL = "dialogflow"
# Dialogflow gives up after five seconds: the network needs some of them, and under a full load to
# write the beginning down takes more than one.
ANSWER_SECONDS = 3.0
POLL_SECONDS = 0.1
# An answer that nobody gave by then was lost with its process.
LOST_SECONDS = 150.0
MAX_BODY_BYTES = 256 * 1024
PENDING, SAID = "ratchet_pending", "ratchet_said"
TAG = "agent:"

STILL = "I am still working on that. Say “go on” in a moment and you get the rest."
LOST = "I lost track of that answer. Please ask me again."
BUSY = "Many people are asking right now. Please try again in a moment."
FAILED = "I can't answer that right now. Please try again, or ask for a person."
PERSON = "A colleague has taken over and will answer here."
_GO_ON = re.compile(
    r"^\W*(?:go on|continue|and|yes|ok(?:ay)?|more|the rest|please|weiter|ja|continuez|oui|sigue)"
    r"(?:\W+(?:please|go on|then))?\W*$",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)")
_pool = ThreadPoolExecutor(settings.INTERACTIVE_CALLS, thread_name_prefix="dialogflow")
# Whose latest answers of a model took no longer is asked for whole ones: a stream costs twice.
LATEST, QUICK_SECONDS = 5, ANSWER_SECONDS / 2


@dataclass(frozen=True, slots=True)
class Told:
    """What the caller hears, and what of it is still to come."""

    texts: list[str]
    pending: str = ""
    said: str = ""


class _Quickness:
    """Which agents answer so soon that there is no beginning to be told before the end."""

    def __init__(self) -> None:
        self._seconds: dict[str, deque[float]] = defaultdict(partial(deque, maxlen=LATEST))

    def ask(self, agent: str, answer: Callable[[bool], Answer]) -> Answer:
        """``answer(is_quick)``. How long it took counts for the next ones, where it asked a model,
        and where it failed late."""
        latest, started = self._seconds[agent], time.monotonic()
        known = list(latest)
        is_told = False
        try:
            given = answer(len(known) == LATEST and max(known) <= QUICK_SECONDS)
            is_told = not given.cached and not given.is_fallback
            return given
        finally:
            seconds = time.monotonic() - started
            if is_told or seconds > QUICK_SECONDS:
                latest.append(seconds)

    def forget(self) -> None:
        """Begin anew (for tests)."""
        self._seconds.clear()


_quickness = _Quickness()


def _refusals(view: Callable[[HttpRequest], JsonResponse]) -> Callable[[HttpRequest], JsonResponse]:
    @wraps(view)
    def answer(request: HttpRequest) -> JsonResponse:
        try:
            return view(request)
        except Exception as error:
            found = error if isinstance(error, AppError) else outage_of(error)
            if found is None:
                raise
            response = JsonResponse(found.as_problem(), status=found.http_status)
            response["Content-Type"] = "application/problem+json"
            return response

    return answer


class BadToken(AppError):
    """No token, or one that is unknown, revoked, expired or without the right."""

    code, http_status = "not_authenticated", 401

    def __str__(self) -> str:
        return "send Authorization: Bearer rk_… with a live key that has the scope agents:invoke"


@csrf_exempt
@_refusals
def dialogflow(request: HttpRequest) -> JsonResponse:
    """Answer one fulfilment request within ANSWER_SECONDS, whatever happens behind it.

    The fulfilment's tag names the agent (``agent:<slug>``). Requests without a valid key or
    shape get a problem document; everything later is said in Dialogflow's own shape.
    """
    # A request that had to wait for a thread has less time left; a test's client notes no moment.
    received_at = getattr(request, "scope", {}).get("received_at", time.monotonic())
    until = received_at + ANSWER_SECONDS
    caller = _caller(request)
    asked = _body(request)
    slug = (asked["fulfillmentInfo"].get("tag") or "").removeprefix(TAG)
    session = asked["sessionInfo"].get("session")
    if not slug or not session:
        raise InvalidInput("fulfillmentInfo.tag", slug, "agent:<slug>, and sessionInfo.session")
    text = _text(asked)
    doors.check_agent(caller, slug)
    talk = conversations.named(
        caller=caller,
        agent=slug,
        client_id=caller.home_client_id,
        external_id=session[-200:],
        channel=CHANNEL,
    )
    intent = (asked["intentInfo"].get("displayName") or "")[:80]
    if intent not in ("", talk.intent):
        Conversation.objects.filter(pk=talk.pk).update(intent=intent)
    given = asked["sessionInfo"].get("parameters") or {}
    told = _tell(talk, caller, text, given if isinstance(given, dict) else {}, until)
    return JsonResponse(_document(told))


def _tell(
    talk: Conversation, caller: Caller, text: str, given: dict[str, Any], until: float
) -> Told:
    before: list[str] = []
    if pending := str(given.get(PENDING) or ""):
        rest = _rest(talk, pending, str(given.get(SAID) or ""), until)
        if rest.pending or not text or _GO_ON.match(text):
            return rest
        before = rest.texts
    if not text:
        return Told(before or [FAILED])
    if talk.state != Conversation.State.OPEN:
        talking.say(talk, Turn.Role.USER, text)
        return Told([*before, PERSON])
    told = _ask(talk, caller, text, until)
    return Told([*before, *told.texts], told.pending, told.said)


def _ask(talk: Conversation, caller: Caller, text: str, until: float) -> Told:
    """Begin the answer; all of it if it comes in time, or else what was said so far."""
    invocation_id = uuid7()
    parts: list[str] = []
    occupied = interactive.place()
    try:
        occupied.__enter__()
    except TooManyRequests:
        return Told([BUSY])

    def answer(is_quick: bool) -> Answer:
        return talking.ask(
            talk,
            text,
            user_id=caller.user_id,
            key_id=caller.key_id,
            stream=None if is_quick else parts.append,
            invocation_id=invocation_id,
        )

    def work() -> Answer:
        try:
            with pacing.at_work():
                return _quickness.ask(talk.agent_slug, answer)
        finally:
            connections.end_of_work()
            occupied.__exit__(None, None, None)

    running: Future[Answer] = _pool.submit(spans.carried(work))
    connections.release()
    try:
        given = running.result(max(0.0, until - time.monotonic()))
    except FutureTimeout:
        so_far = _sentences("".join(parts))
        return Told([*([so_far] if so_far else []), STILL], str(invocation_id), so_far)
    except AppError as error:
        logs.event(logger, "agents.dialogflow.failed", level=logging.WARNING, code=error.code,
                   conversation=str(talk.pk))  # fmt: skip
        return Told([FAILED])
    return Told([str(given.output.get("text") or FAILED)])


def _rest(talk: Conversation, pending: str, said: str, until: float) -> Told:
    """What was left of an answer, once it is there."""
    try:
        invocation_id = UUID(pending)
    except ValueError:
        return Told([LOST])
    while True:
        row = Invocation.objects.filter(pk=invocation_id, conversation_id=talk.pk).first()
        if row is not None or time.monotonic() + POLL_SECONDS >= until:
            break
        connections.release()
        time.sleep(POLL_SECONDS)
    if row is None:
        age = timezone.now().timestamp() - (invocation_id.int >> 80) / 1000
        return Told([LOST]) if age > LOST_SECONDS else Told([STILL], pending, said)
    if row.state not in (CallState.SUCCEEDED, CallState.FALLBACK):
        return Told([FAILED])
    whole = str(guarding.restored(row.output, row.sealed).get("text", ""))
    rest = whole.removeprefix(said).strip()
    return Told([rest or whole])


def _sentences(text: str) -> str:
    """The whole sentences at the start of ``text``: half a sentence is worse than none."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text[:-1])]
    return text[: ends[-1]] if ends else ""


def _document(told: Told) -> dict[str, Any]:
    return {
        "fulfillmentResponse": {
            "messages": [{"text": {"text": [text]}} for text in told.texts],
            "mergeBehavior": "REPLACE",
        },
        # null takes a session parameter away
        "sessionInfo": {
            "parameters": {PENDING: told.pending or None, SAID: told.said or None},
        },
    }


def _caller(request: HttpRequest) -> Caller:
    if request.method != "POST":
        raise InvalidInput("method", request.method, "POST")
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    caller = callers.of_key(token.strip()) if kind.lower() == "bearer" else None
    if caller is None and token:
        attempts.refuse_wrong_key(token.strip(), request)
    if caller is None or not caller.has("agents:invoke"):
        raise BadToken
    return caller


def _body(request: HttpRequest) -> dict[str, Any]:
    asked = bodies.json_object(request, most_bytes=MAX_BODY_BYTES, what="a WebhookRequest object")
    for name in ("fulfillmentInfo", "sessionInfo", "intentInfo"):
        if asked.get(name) is None:
            asked[name] = {}
        if not isinstance(asked[name], dict):
            raise InvalidInput(name, asked[name], "an object")
    for owner, name in (("fulfillmentInfo", "tag"), ("sessionInfo", "session"),
                        ("intentInfo", "displayName")):  # fmt: skip
        if not isinstance(asked[owner].get(name) or "", str):
            raise InvalidInput(f"{owner}.{name}", asked[owner][name], "a string")
    return asked


def _text(asked: dict[str, Any]) -> str:
    """What the person said or typed; empty for an event."""
    said = asked.get("text") or asked.get("transcript") or asked.get("dtmfDigits") or ""
    if not isinstance(said, str):
        raise InvalidInput("text", said, "a string")
    return said.strip()[: talking.MAX_TEXT]
