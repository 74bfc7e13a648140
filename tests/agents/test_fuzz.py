"""Whatever is sent to the agents' endpoints, by their own OpenAPI schema or against it, is answered
with a status that the schema knows, and never with a 5xx.

Schemathesis takes seconds to load: only the process that has this test does, not all that collect.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import requests
from django.db import transaction
from django.test import Client as Browser
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, settings

from agents.endpoints.directory import forget

pytestmark = pytest.mark.django_db

PREFIXES = ("/api/v1/agents", "/api/v1/invocations", "/api/v1/tools", "/api/v1/budgets",
            "/api/v1/endpoints", "/api/v1/knowledge", "/api/v1/guardrails", "/api/v1/batches",
            "/api/v1/conversations", "/api/v1/tool-sources", "/api/v1/reviews")  # fmt: skip
# These reach out to an address in the request, which is not there: an honest 503.
REACHES_OUT = "/api/v1/tool-sources"


@cache
def schema() -> Any:
    import schemathesis

    document = SchemaGenerator().get_schema(request=None, public=True)
    return schemathesis.openapi.from_dict(document)


def operations() -> Iterator[Any]:
    for found in schema().get_all_operations():
        operation = found.ok()
        if operation.path.startswith(PREFIXES):
            yield operation


def tried(operation: Any, mode: Any, ask: Any, examples: int) -> int:
    """Send ``examples`` requests that fit the schema, or break it; how many were sent."""
    from schemathesis.errors import InvalidSchema

    sent = 0

    @given(operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def check(case: Any) -> None:
        nonlocal sent
        sent += 1
        ask(case)

    try:
        check()
    except InvalidSchema:
        raise
    except Exception as error:
        if type(error).__name__ in ("Unsatisfiable", "SkipTest", "Skipped"):
            return sent  # nothing can break a request without parameters
        raise
    return sent


def fuzz(key: str, slug: str, examples: int, every: int = 1) -> int:
    from schemathesis import GenerationMode

    browser = Browser(raise_request_exception=False, SERVER_NAME="localhost")
    faults: list[str] = []

    def ask(case: Any) -> None:
        if "slug" in (case.path_parameters or {}) and case.meta is not None and slug:
            case.path_parameters["slug"] = slug  # a stranger's name says little: 404
        request = requests.Request(**case.as_transport_kwargs(base_url="http://localhost"))
        prepared = request.prepare()
        headers = {
            name: value.decode("latin-1") if isinstance(value, bytes) else value
            for name, value in prepared.headers.items()
            if name.lower() not in ("content-length", "host", "authorization")
        }
        with transaction.atomic():
            answer = browser.generic(
                prepared.method or "GET",
                prepared.path_url,
                prepared.body or b"",
                content_type=headers.pop("Content-Type", "application/json"),
                headers={**headers, "Authorization": f"Bearer {key}"},
            )
            transaction.set_rollback(True)
        forget()
        is_honest = answer.status_code == 503 and prepared.path_url.startswith(REACHES_OUT)
        documented = case.operation.definition.raw["responses"]
        is_known = not documented.keys().isdisjoint({str(answer.status_code), "default"})
        if (answer.status_code >= 500 and not is_honest) or not is_known:
            said = answer.content[:300].decode(errors="replace")
            faults.append(f"{prepared.method} {prepared.path_url[:200]} {prepared.body!r:.300} "
                          f"-> {answer.status_code} {said}")  # fmt: skip

    sent = 0
    for operation in list(operations())[::every]:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            sent += tried(operation, mode, ask, examples)
    assert not faults, "\n".join(faults[:20])
    return sent


def test_no_request_to_the_agents_endpoints_is_answered_with_a_5xx(agent: Any, key: str) -> None:
    assert fuzz(key, agent.slug, examples=2, every=5) > 10


@pytest.mark.slow
def test_no_request_to_the_agents_endpoints_is_answered_with_a_5xx_at_length(
    agent: Any, key: str
) -> None:
    assert fuzz(key, agent.slug, examples=25) > 500
