"""Requests to the API as a client makes them, and what its answers must be."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client as Browser

from workflows import publishing

ECHO = (
    "name: echo\nsteps:\n  a: {tool: core.echo, with: {value: 1}}\n"
    "  b: {needs: [a], tool: core.echo}\n"
)
# Only partners may see its runs and answer what it asks.
CLOSED = """
name: closed
access: {see: [partner], approve: [partner]}
steps:
  ask: {approval: {role: manager, levels: 2, roles: [manager, partner], timeout: 3d,
                   escalate: {after: 1d, role: administrator}}}
  bad: {tool: core.echo}
"""


def post(web: Browser, path: str, body: Any = None, headers: Any = None, **more: str) -> Any:
    return web.post(
        f"/api/v1/{path}", json.dumps(body or {}), content_type="application/json",
        headers={**(headers or {}), **more},
    )  # fmt: skip


def get(web: Browser, path: str, headers: Any) -> Any:
    return web.get(f"/api/v1/{path}", headers=headers)


def start(web: Browser, headers: dict[str, str], source: str = ECHO, **body: Any) -> dict[str, Any]:
    version, _ = publishing.publish(source)
    answer = post(web, "runs", {"workflow": version.workflow.name, **body}, headers)
    assert answer.status_code == 201, answer.content
    return answer.json()


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    body = answer.json()
    assert body["code"] == code, body
    return body
