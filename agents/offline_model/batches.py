"""Batches: each line of an input file answered by the same path, results kept as files."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from agents.offline_model.protocol import ApiError, bad
from agents.offline_model.store import Store, lines_of, new_id

ENDPOINTS = ("/v1/chat/completions", "/v1/embeddings")
MAX_LINES = 50_000
COMPLETION_WINDOW_SECONDS = 24 * 3600
UNFINISHED = frozenset({"validating", "in_progress", "finalizing"})
# Interactive requests go between as many lines of a batch.
LINES_AT_ONCE = 8

# endpoint, body → (status code, response body)
Answer = Callable[[str, bytes], tuple[int, dict[str, Any]]]


class Batches:
    """Batches of one store; unfinished ones of an earlier process are taken up again."""

    def __init__(self, store: Store, answer: Answer) -> None:
        self._store, self._answer = store, answer
        self._tasks: set[asyncio.Task[None]] = set()

    def resume(self) -> None:
        """Start what was left unfinished. Answers are deterministic, so it starts over."""
        for batch in self._store.listed("batches"):
            if batch["status"] in UNFINISHED:
                self._launch(batch["id"])
            elif batch["status"] == "cancelling":
                self._end(batch["id"], "cancelled", [], [], None)

    def start(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """A new batch, running; raises ApiError 400 or 404."""
        endpoint, source = request.get("endpoint"), request.get("input_file_id")
        if endpoint not in ENDPOINTS:
            raise bad("endpoint", f"endpoint must be one of {list(ENDPOINTS)}, got {endpoint!r}")
        if not isinstance(source, str):
            raise bad("input_file_id", "input_file_id must be the id of an uploaded file")
        self._store.find("files", source)
        now = int(time.time())
        batch = {
            "id": new_id("batch_", source, endpoint),
            "object": "batch",
            "endpoint": endpoint,
            "errors": None,
            "input_file_id": source,
            "completion_window": request.get("completion_window") or "24h",
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": now,
            "expires_at": now + COMPLETION_WINDOW_SECONDS,
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": request.get("metadata"),
        }
        self._store.save("batches", batch)
        self._launch(batch["id"])
        return batch

    def cancel(self, name: str) -> dict[str, Any]:
        """Ask a running batch to stop; what is done stays in its output file."""
        batch = self._store.find("batches", name)
        if batch["status"] not in UNFINISHED:
            raise ApiError(409, f"the batch is {batch['status']}; it can't be cancelled")
        now = int(time.time())
        return self._store.save("batches", {**batch, "status": "cancelling", "cancelling_at": now})

    def _launch(self, name: str) -> None:
        task = asyncio.get_running_loop().create_task(self._run(name))
        self._tasks.add(task)  # the loop keeps only weak references to its tasks
        task.add_done_callback(self._tasks.discard)

    async def _run(self, name: str) -> None:
        batch = self._store.find("batches", name)
        try:
            lines = list(lines_of(self._store.content(batch["input_file_id"])))
            requests = [_request(number, line, batch["endpoint"]) for number, line in lines]
        except ApiError as error:
            self._end(name, "failed", [], [], error)
            return
        if not 0 < len(requests) <= MAX_LINES:
            problem = bad("input_file_id", f"{len(requests)} lines; 1 to {MAX_LINES} are allowed")
            self._end(name, "failed", [], [], problem)
            return
        counts = {"total": len(requests), "completed": 0, "failed": 0}
        running = {"status": "in_progress", "in_progress_at": int(time.time())}
        self._store.save("batches", {**batch, **running, "request_counts": counts})
        answered: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        for place, request in enumerate(requests):
            if place % LINES_AT_ONCE == 0:
                await asyncio.sleep(0)
                if self._store.find("batches", name)["status"] == "cancelling":
                    break
            line = self._line(name, request)
            (answered if line["response"]["status_code"] == 200 else failed).append(line)
        stopped = self._store.find("batches", name)["status"] == "cancelling"
        self._end(name, "cancelled" if stopped else "completed", answered, failed, None)

    def _line(self, batch: str, request: Mapping[str, Any]) -> dict[str, Any]:
        status, body = self._answer(request["url"], json.dumps(request["body"]).encode())
        name = f"batch_req_{batch.removeprefix('batch_')}_{request['custom_id']}"
        response = {"status_code": status, "request_id": name, "body": body}
        told = {"id": name, "custom_id": request["custom_id"], "response": response, "error": None}
        return told

    def _end(
        self,
        name: str,
        status: str,
        answered: list[dict[str, Any]],
        failed: list[dict[str, Any]],
        problem: ApiError | None,
    ) -> None:
        batch = self._store.find("batches", name)
        done: dict[str, Any] = {"status": status, f"{status}_at": int(time.time())}
        for field, lines in (("output_file_id", answered), ("error_file_id", failed)):
            if lines:
                text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
                kind = field.removesuffix("_file_id")
                stored = self._store.add_file(f"{name}_{kind}.jsonl", "batch_output", text.encode())
                done[field] = stored["id"]
        if problem is not None:
            listed = {"code": problem.api_code, "message": str(problem), "param": problem.param}
            done["errors"] = {"object": "list", "data": [{**listed, "line": None}]}
        counts = {**batch["request_counts"], "completed": len(answered), "failed": len(failed)}
        self._store.save("batches", {**batch, **done, "request_counts": counts})


def _request(number: int, line: bytes, endpoint: str) -> dict[str, Any]:
    try:
        request = json.loads(line)
        complete = isinstance(request["custom_id"], str) and isinstance(request["body"], dict)
    except (ValueError, KeyError, TypeError):
        complete = False
    if not complete:
        message = f"line {number}: needs custom_id, method, url and body"
        raise bad("input_file_id", message, "invalid_json_line")
    if request.get("url") != endpoint:
        message = f"line {number}: url {request.get('url')!r} is not the batch's {endpoint!r}"
        raise bad("input_file_id", message, "mismatched_endpoint")
    return request
