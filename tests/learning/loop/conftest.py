"""Live calls written straight into the record, and the agents' own fixtures."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from agents.models import Agent, AgentVersion, Invocation, Label
from config.access.models import Client
from config.partitions import first_id
from tests.agents.conftest import agent, api, firm, ground, key, model, offline
from tests.rows import insert

__all__ = ["agent", "api", "firm", "ground", "key", "model", "offline"]
NOW = datetime(2026, 11, 20, 6, tzinfo=UTC)


@pytest.fixture
def bare(firm: Client) -> Agent:
    """An agent with a production version, which nothing answers for."""
    made = Agent.objects.create(slug="aud-test-001", name="T", domain="audit", purpose="Tests.")
    version = AgentVersion.objects.create(
        agent=made, number=1, prompt="Be exact.", model={"tier": "standard"}, digest="d"
    )
    Label.objects.create(agent=made, name="production", version=version)
    return made


@pytest.fixture
def unwritten(firm: Client) -> Callable[..., Invocation]:
    """As ``call``, for those that are written many at once."""
    counted = iter(range(10**6))

    def make(of: Agent, at: datetime, *, version: AgentVersion, **fields: Any) -> Invocation:
        given = {
            "client_id": firm.pk, "agent_id": of.pk, "agent_slug": of.slug,
            "version_id": version.pk, "version_number": version.number, "state": "succeeded",
            "inputs": {"n": next(counted)}, "output": {"text": "The total is 10."},
            "duration_seconds": 1.0, "cost_usd": Decimal("0.01"), "output_tokens": 50,
            "model": "m", "model_calls": 1, "started_at": at,
        }  # fmt: skip
        return Invocation(id=id_at(at), **{**given, **fields})

    return make


@pytest.fixture
def call(unwritten: Callable[..., Invocation]) -> Callable[..., Invocation]:
    """``call(agent, at, **fields)`` writes one live invocation as if it had ended then."""

    def make(of: Agent, at: datetime, **fields: Any) -> Invocation:
        made = unwritten(of, at, version=of.labels.get(name="production").version, **fields)
        made.save(force_insert=True)
        return made

    return make


@pytest.fixture
def calls(unwritten: Callable[..., Invocation]) -> Callable[..., list[Invocation]]:
    """``calls(agent, [(at, fields), …])`` writes many live invocations at once."""

    def make(of: Agent, given: list[tuple[datetime, dict[str, Any]]]) -> list[Invocation]:
        version = of.labels.get(name="production").version
        return insert(unwritten(of, at, version=version, **fields) for at, fields in given)

    return make


def id_at(at: datetime) -> UUID:
    """An id as a call that began then would have."""
    low = first_id(at).int
    return UUID(int=low | (uuid4().int & (2**64 - 1)) | 7 << 76)


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)
