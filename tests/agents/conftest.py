"""A real offline model, an agent of the catalogue in the database, and somebody who may call it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache as once
from typing import Any
from uuid import UUID

import pytest

from agents import budgets, cache, loading, queries
from agents.calls import Call
from agents.domain.catalogue import Catalogue, load_catalogue
from agents.endpoints import patience
from agents.endpoints.directory import forget
from agents.models import Agent, Budget, Endpoint, Label, PriceList
from agents.tools import registry
from config.access import callers
from config.access.models import Client, Membership, User
from config.access.roles import SCOPES
from monitoring.models import Mark
from scaling import breaker, limits, rests
from tests.agents.offline_model.process import Server, serve
from tests.rows import anew, as_made_by, insert

SLUG = "acct-bankrec-005"


@once
def catalogue() -> Catalogue:
    return load_catalogue(loading.CATALOGUE, registry.names())


@pytest.fixture(scope="session")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("offline"), seed=3) as running:
        yield running


@pytest.fixture
def model(offline: Server, settings: Any) -> Iterator[Server]:
    """The offline model behind the default endpoint, with a profile that a test may change."""
    settings.OFFLINE_MODEL_URL = offline.url
    settings.OFFLINE_MODEL_IN_USE = True
    _forget_all()
    offline.behave({})  # whatever it did for the test before
    yield offline
    _forget_all()


def _forget_all() -> None:
    forget()
    rests.forget()
    patience.forget()
    limits.forget()
    cache.forget_memory()
    budgets._seen.clear()
    breaker._memory.clear()
    queries._lanes.clear()


@pytest.fixture
def ground(model: Server) -> None:
    """Prices, the offline endpoint and the default budgets."""
    as_made_by(_load, PriceList, Endpoint, Budget)


def _load() -> None:
    loading.load_prices()
    loading.load_endpoints()
    loading.load_default_budgets()


@pytest.fixture
def firm() -> Client:
    # What is split by a digest of the client's id is split alike every time.
    found = {"id": UUID("0190a000-0000-7000-8000-000000000001"), "slug": "firm", "name": "The firm"}
    return Client.objects.get_or_create(is_firm=True, defaults=found)[0]


@pytest.fixture
def agent(ground: None, firm: Client) -> Agent:
    """One agent of the catalogue, published."""
    return publish(SLUG)


def publish(slug: str) -> Agent:
    """An agent of the catalogue as loading publishes it."""
    of_agent = {"scope": "agent", "key": slug}
    if Agent.objects.filter(slug=slug).exists() or Budget.objects.filter(**of_agent).exists():
        loading._load_entry(catalogue().entries[slug])
        return Agent.objects.get(slug=slug)
    if slug not in _published:
        loading._load_entry(catalogue().entries[slug])
        label = Label.objects.select_related("agent", "version").get(agent__slug=slug)
        mark = Mark.objects.filter(**of_agent).latest("pk")
        _published[slug] = (label, Budget.objects.get(**of_agent), mark)
        return label.agent
    label, budget, mark = _published[slug]
    agent = anew(label.agent)
    version = anew(label.version, agent_id=agent.pk)
    for row in (agent, version, anew(label, agent_id=agent.pk, version_id=version.pk),
                anew(budget), anew(mark)):  # fmt: skip
        insert([row])
    return Agent.objects.get(pk=agent.pk)


# Label, with its agent and version, budget and mark of what was published, by the agent's name.
_published: dict[str, tuple[Label, Budget, Mark]] = {}


@pytest.fixture
def call_of(agent: Agent, firm: Client) -> Callable[..., Call]:
    """A call of the agent with its first graded case, changed by keywords."""

    def make(**changes: Any) -> Call:
        given = {"agent": agent.slug, "inputs": agent.cases[0]["input"], "client_id": firm.pk}
        return Call(**{**given, **changes})

    return make


@pytest.fixture
def key(firm: Client) -> str:
    """The key of an administrator of the firm."""
    return make_key(firm, "administrator")


def make_key(client: Client, role: str, scopes: list[str] | None = None) -> str:
    user = User.objects.create_user(f"{role}-{client.slug}", password="x")
    Membership.objects.create(user=user, client=client, role=role)
    _, secret = callers.create_key(
        user=user, client=client, name="test", scopes=scopes or list(SCOPES)
    )
    return secret


@pytest.fixture
def api(key: str) -> Callable[..., Any]:
    """``api("get", path, body)`` with the administrator's key."""
    from django.test import Client as Browser

    browser = Browser(headers={"Authorization": f"Bearer {key}"})

    def ask(method: str, path: str, body: Any = None, **headers: str) -> Any:
        return browser.generic(
            method.upper(),
            path,
            "" if body is None else json.dumps(body),
            content_type="application/json",
            headers=headers,
        )

    return ask


def some_id(number: int) -> UUID:
    return UUID(int=number)
