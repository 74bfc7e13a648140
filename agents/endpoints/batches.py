"""The Batch API: a file of requests handed in, a file of replies taken out minutes to hours later.

The one place that speaks it. What waits for days (``agents.queueing``) hands in and looks now and
then; what waits for minutes (``agents.batching``) asks for all replies at once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import openai
from django.utils import timezone

from agents.endpoints.asking import failed_try, good_try
from agents.endpoints.clients import client_for
from agents.endpoints.directory import Served
from agents.endpoints.trying import body_of, whole_reply
from agents.endpoints.values import Failure, Reply, Request, Try
from config.errors import StepTimeout, Unavailable

URL: Literal["/v1/chat/completions"] = "/v1/chat/completions"
WINDOW: Literal["24h"] = "24h"
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
# How many of the provider's newest batches are searched for one that a dead worker handed in.
RECENT = 50
MARK = "ratchet_round"
# The protocol allows 50,000 lines; smaller files keep memory and a lost file's damage small.
LINES_AT_ONCE = 5_000
FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS = 0.05, 10.0


@dataclass(frozen=True, slots=True)
class Told:
    """What the provider says of a batch: over or not, and each reply by the id of its question."""

    is_over: bool
    replies: dict[str, dict[str, Any]]
    why: str = ""


def ask_all(served: Served, requests: Sequence[Request], *, until: float) -> list[Try]:
    """One try for each request, in their order, by ``until`` (monotonic).

    A line that failed is a failed try. Raises StepTimeout or Unavailable when a batch as a whole
    did not come back.
    """
    found: list[Try] = []
    for start in range(0, len(requests), LINES_AT_ONCE):
        found += _one_file(served, requests[start : start + LINES_AT_ONCE], until)
    return found


def body_for(served: Served, request: Request) -> dict[str, Any]:
    """The request as a line of a batch's file has it."""
    return body_of(served, request)


def submit(served: Served, bodies: Mapping[str, dict[str, Any]], mark: str = "") -> str:
    """Hand in ``bodies`` by id; returns the provider's id. Raises Unavailable.

    A batch that bears ``mark`` already is taken instead: it was handed in by a worker that died
    before it could say so.
    """
    client = client_for(served)
    lines = (
        {"custom_id": name, "method": "POST", "url": URL, "body": body}
        for name, body in bodies.items()
    )
    text = "".join(json.dumps(line, ensure_ascii=False, default=str) + "\n" for line in lines)
    try:
        for batch in client.batches.list(limit=RECENT).data if mark else ():
            if (batch.metadata or {}).get(MARK) == mark:
                return batch.id
        file = client.files.create(file=("batch.jsonl", text.encode()), purpose="batch")
        made = client.batches.create(
            input_file_id=file.id,
            endpoint=URL,
            completion_window=WINDOW,
            metadata={MARK: mark} if mark else {},
        )
    except openai.OpenAIError as error:
        raise _away(served, error) from error
    return made.id


def look(served: Served, external_id: str) -> Told:
    """How a batch stands, and its replies once it is over; raises Unavailable."""
    client = client_for(served)
    try:
        batch = client.batches.retrieve(external_id)
        if batch.status not in ENDED:
            return Told(False, {})
        replies: dict[str, dict[str, Any]] = {}
        for name in (batch.output_file_id, batch.error_file_id):
            if name:
                replies.update(_lines(client.files.content(name).read()))
    except openai.OpenAIError as error:
        raise _away(served, error) from error
    return Told(True, replies, "" if batch.status == "completed" else f"the batch {batch.status}")


def cancel(served: Served, external_id: str) -> None:
    """Ask the provider to stop; one that is over already stays so."""
    try:
        client_for(served).batches.cancel(external_id)
    except openai.APIStatusError:
        return
    except openai.OpenAIError as error:
        raise _away(served, error) from error


def delete_files(served: Served, external_id: str) -> None:
    """Leave neither questions nor replies with the provider; one that refuses keeps its own time.

    For a batch whose replies are taken out.
    """
    client = client_for(served)
    try:
        batch = client.batches.retrieve(external_id)
        for name in (batch.input_file_id, batch.output_file_id, batch.error_file_id):
            if name:
                client.files.delete(name)
    except openai.OpenAIError:
        return


def reply_from(line: Mapping[str, Any], served: Served) -> Reply:
    """The reply that a line holds; raises Failure for one that failed."""
    response = line.get("response") or {}
    status = response.get("status_code")
    if line.get("error") or status != 200:
        said = line.get("error") or (response.get("body") or {}).get("error") or "no reply"
        code = "rate_limited" if status == 429 else "unavailable"
        raise Failure(code, f"in the batch: {said}"[:300], http_status=status)
    return whole_reply(json.dumps(response["body"]).encode(), served)


def _one_file(served: Served, requests: Sequence[Request], until: float) -> list[Try]:
    began, at = time.monotonic(), timezone.now()
    bodies = {str(number): body_of(served, one) for number, one in enumerate(requests)}
    replies = _awaited(served, submit(served, bodies), until)
    seconds = (time.monotonic() - began) / len(requests)
    found = []
    for number, request in enumerate(requests):
        try:
            reply = reply_from(replies.get(str(number)) or {"error": "left out"}, served)
        except Failure as failure:
            found.append(failed_try(served, request, failure, at, seconds))
        else:
            found.append(good_try(served, request, reply, at, seconds, batch=True))
    return found


def _awaited(served: Served, external_id: str, until: float) -> dict[str, dict[str, Any]]:
    """The replies of a batch that is completed by ``until``."""
    wait = FIRST_POLL_SECONDS
    while not (told := look(served, external_id)).is_over:
        if time.monotonic() + wait >= until:
            cancel(served, external_id)
            raise StepTimeout(f"endpoint {served.endpoint} (batch {external_id})", wait)
        time.sleep(wait)
        wait = min(wait * 1.5, LONGEST_POLL_SECONDS)
    if told.why:
        raise Unavailable(f"endpoint {served.endpoint}", f"{external_id}: {told.why}", 30)
    delete_files(served, external_id)
    return told.replies


def _lines(content: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    for raw in content.splitlines():
        if raw.strip():
            line = json.loads(raw)
            yield str(line["custom_id"]), line


def _away(served: Served, error: Exception) -> Unavailable:
    return Unavailable(f"batches of endpoint {served.endpoint}", type(error).__name__, 30)
