"""The few calls of the public API that the demo makes, each as one person."""

from __future__ import annotations

import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from config.errors import AppError

_TIMEOUT_SECONDS = 30.0


class ApiRefused(AppError):
    """The instance answered a call of the demo with an error."""

    code, http_status = "api_refused", 502

    def __init__(self, call: str, status: int, detail: str) -> None:
        super().__init__(call, status, detail)
        self.call, self.status, self.detail = call, status, detail

    def __str__(self) -> str:
        return f"{self.call} answered {self.status}: {self.detail}"


class Api:
    """``/api/v1`` of one instance with one bearer key."""

    def __init__(self, url: str, key: str) -> None:
        self._client = httpx.Client(
            base_url=f"{url}/api/v1",
            headers={"Authorization": f"Bearer {key}"},
            timeout=_TIMEOUT_SECONDS,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def upload(self, file: Path) -> str:
        """Store a file as an artifact; returns its id."""
        with file.open("rb") as stream:
            answer = self._call(
                "POST", "/artifacts", files={"file": (file.name, stream, "text/csv")}
            )
        return str(answer["id"])

    def start(self, workflow: str, inputs: dict[str, Any]) -> str:
        """Start a run; returns its id."""
        answer = self._call("POST", "/runs", json={"workflow": workflow, "inputs": inputs})
        return str(answer["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        return self._call("GET", f"/runs/{run_id}")

    def approve(self, approval: dict[str, Any], reason: str) -> None:
        """Give an approval as this key's person, in the state in which it was seen."""
        self._call(
            "POST",
            f"/approvals/{approval['id']}",
            json={"decision": "approve", "reason": reason},
            headers={"If-Match": f'"{approval["state"]}"'},
        )

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        headers = dict(options.pop("headers", {}))
        if method == "POST":
            headers.setdefault("Idempotency-Key", str(uuid.uuid4()))
        try:
            answer = self._client.request(method, path, headers=headers, **options)
        except httpx.HTTPError as error:
            raise ApiRefused(f"{method} {path}", 0, str(error) or type(error).__name__) from error
        if answer.is_error:
            raise ApiRefused(f"{method} {path}", answer.status_code, _detail(answer))
        body = answer.json()
        return body if isinstance(body, dict) else {"results": body}


def _detail(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
    except ValueError:
        return answer.text[:200]
    return str(problem.get("detail", problem))[:300]
