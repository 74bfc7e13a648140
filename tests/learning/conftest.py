"""The firm, its people and their keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.test import Client as Browser

from config.access import callers
from config.access.callers import Caller
from config.access.models import Client, Membership, User
from config.access.roles import SCOPES


@pytest.fixture
def firm(db: None) -> Client:
    # One id every time: what is held out or drawn by a client's id is then the same in each run.
    found = {"id": UUID("0190a000-0000-7000-8000-000000000001"), "slug": "firm", "name": "The firm"}
    return Client.objects.get_or_create(is_firm=True, defaults=found)[0]


@pytest.fixture
def person(firm: Client) -> Callable[[str], User]:
    """A member of the firm in a role."""

    def make(role: str, client: Client | None = None) -> User:
        user = User.objects.create_user(f"{role}-{User.objects.count()}", password="x")
        Membership.objects.create(user=user, client=client or firm, role=role)
        return user

    return make


@pytest.fixture
def engineer(person: Callable[[str], User]) -> Caller:
    return callers.of_user(person("platform_engineer"))


@pytest.fixture
def api(person: Callable[[str], User], firm: Client) -> Callable[..., Any]:
    """``api("post", path, body, role=…)`` with a key of that role."""
    browsers: dict[str, Browser] = {}

    def ask(
        method: str, path: str, body: Any = None, role: str = "platform_engineer", raw: str = ""
    ) -> Any:  # fmt: skip
        if role not in browsers:  # each loads the middleware anew, which takes longer than to ask
            _, key = callers.create_key(
                user=person(role), client=firm, name="test", scopes=list(SCOPES)
            )
            browsers[role] = Browser(headers={"Authorization": f"Bearer {key}"})
        return browsers[role].generic(
            method.upper(), f"/api/v1/{path}", raw if body is None else json.dumps(body),
            content_type="application/json",
        )  # fmt: skip

    return ask
