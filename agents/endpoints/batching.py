"""Asking one model many things at once, through its provider's batch door.

A batch takes minutes to hours at a provider and costs less there; it is for work that can wait.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import openai
from django.utils import timezone

from agents.endpoints.asking import failed_try, good_try
from agents.endpoints.clients import client_for
from agents.endpoints.directory import Served
from agents.endpoints.trying import body_of, reply_of
from agents.endpoints.values import Failure, Request, Try
from config.errors import StepTimeout, Unavailable

URL: Final = "/v1/chat/completions"
# The protocol allows 50,000 lines; smaller files keep memory and a lost file's damage small.
LINES_AT_ONCE = 5_000
FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS = 0.05, 10.0
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})


def ask_all(served: Served, requests: Sequence[Request], *, until: float) -> list[Try]:
    """One try for each request, in their order, by ``until`` (monotonic).

    A line that failed is a failed try. Raises StepTimeout or Unavailable when a batch as a whole
    did not come back.
    """
    found: list[Try] = []
    for start in range(0, len(requests), LINES_AT_ONCE):
        found += _one_file(served, requests[start : start + LINES_AT_ONCE], until)
    return found


def _one_file(served: Served, requests: Sequence[Request], until: float) -> list[Try]:
    began, at = time.monotonic(), timezone.now()
    lines = [
        json.dumps(
            {"custom_id": str(number), "method": "POST", "url": URL,
             "body": body_of(served, request)},
            ensure_ascii=False, default=str,
        )
        for number, request in enumerate(requests)
    ]  # fmt: skip
    try:
        answers = _sent(served, "\n".join(lines).encode(), until)
    except openai.APIError as error:
        raise Unavailable(f"endpoint {served.endpoint}", f"batch: {error.message}", 30) from error
    seconds = (time.monotonic() - began) / len(requests)
    found = []
    for number, request in enumerate(requests):
        try:
            reply = reply_of(_body(answers.get(str(number))), served)
        except Failure as failure:
            found.append(failed_try(served, request, failure, at, seconds))
        else:
            found.append(good_try(served, request, reply, at, seconds))
    return found


def _sent(served: Served, content: bytes, until: float) -> dict[str, Mapping[str, Any]]:
    """Send the file, wait for its batch, and read both of its result files."""
    client = client_for(served)
    source = client.files.create(file=("batch.jsonl", content), purpose="batch")
    batch = client.batches.create(input_file_id=source.id, endpoint=URL, completion_window="24h")
    wait = FIRST_POLL_SECONDS
    while batch.status not in ENDED:
        if time.monotonic() + wait >= until:
            client.batches.cancel(batch.id)
            raise StepTimeout(f"endpoint {served.endpoint} (batch {batch.id})", wait)
        time.sleep(wait)
        wait = min(wait * 1.5, LONGEST_POLL_SECONDS)
        batch = client.batches.retrieve(batch.id)
    if batch.status != "completed":
        why = f"batch {batch.id} ended as {batch.status}"
        raise Unavailable(f"endpoint {served.endpoint}", why, 30)
    files = [name for name in (batch.output_file_id, batch.error_file_id) if name]
    answers: dict[str, Mapping[str, Any]] = {
        str(line["custom_id"]): line
        for name in files
        for line in _lines(client.files.content(name).read())
    }
    for name in (source.id, *files):
        client.files.delete(name)
    return answers


def _lines(content: bytes) -> Iterator[dict[str, Any]]:
    for line in content.splitlines():
        if line.strip():
            yield json.loads(line)


def _body(line: Mapping[str, Any] | None) -> Any:
    """The answer's body; raises Failure for a line that is missing or failed."""
    if line is None:
        raise Failure("unavailable", "the batch has no answer to this line")
    response = line.get("response") or {}
    status, body = response.get("status_code"), response.get("body") or {}
    if status == 200:
        return body
    why = str((body.get("error") or line.get("error") or {}).get("message", ""))[:200]
    code = "rate_limited" if status == 429 else "unavailable"
    raise Failure(code, f"HTTP {status}: {why}", http_status=status)
