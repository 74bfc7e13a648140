"""The Batch API: a file of requests handed in, a file of replies taken out hours later."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import openai

from agents.endpoints.clients import client_for
from agents.endpoints.directory import Served
from agents.endpoints.trying import body_of, whole_reply
from agents.endpoints.values import Failure, Reply, Request
from config.errors import Unavailable

URL: Literal["/v1/chat/completions"] = "/v1/chat/completions"
WINDOW: Literal["24h"] = "24h"
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
# How many of the provider's newest batches are searched for one that a dead worker handed in.
RECENT = 50
MARK = "ratchet_round"


@dataclass(frozen=True, slots=True)
class Told:
    """What the provider says of a batch: over or not, and each reply by the id of its question."""

    is_over: bool
    replies: dict[str, dict[str, Any]]
    why: str = ""


def body_for(served: Served, request: Request) -> dict[str, Any]:
    """The request as a line of a batch's file has it."""
    return body_of(served, request)


def submit(served: Served, bodies: Mapping[str, dict[str, Any]], mark: str) -> str:
    """Hand in ``bodies`` by id; returns the provider's id. Raises Unavailable.

    A batch that bears ``mark`` already is taken instead: it was handed in by a worker that died
    before it could say so.
    """
    client = client_for(served)
    lines = (
        {"custom_id": name, "method": "POST", "url": URL, "body": body}
        for name, body in bodies.items()
    )
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    try:
        for batch in client.batches.list(limit=RECENT).data:
            if (batch.metadata or {}).get(MARK) == mark:
                return batch.id
        file = client.files.create(file=("batch.jsonl", text.encode()), purpose="batch")
        made = client.batches.create(
            input_file_id=file.id, endpoint=URL, completion_window=WINDOW, metadata={MARK: mark}
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


def reply_from(line: Mapping[str, Any], served: Served) -> Reply:
    """The reply that a line holds; raises Failure for one that failed."""
    response = line.get("response") or {}
    if line.get("error") or response.get("status_code") != 200:
        said = line.get("error") or (response.get("body") or {}).get("error") or "no reply"
        status = response.get("status_code")
        raise Failure("unavailable", f"in the batch: {said}"[:300], http_status=status)
    return whole_reply(json.dumps(response["body"]).encode(), served)


def _lines(content: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    for raw in content.splitlines():
        if raw.strip():
            line = json.loads(raw)
            yield str(line["custom_id"]), line


def _away(served: Served, error: Exception) -> Unavailable:
    return Unavailable(f"batches of endpoint {served.endpoint}", type(error).__name__, 30)
