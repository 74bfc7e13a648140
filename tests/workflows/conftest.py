"""A caller, a broker that can be looked into, and a shorthand for running a definition."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client as Browser

from config.access import callers
from config.access.callers import Caller
from config.access.models import Client, Membership, User
from config.access.roles import SCOPES
from workflows import dispatch, lost, publishing, starting, steps, sweeps
from workflows.models import Run


@pytest.fixture
def firm(transactional_db: None) -> Client:
    return Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )[0]


@pytest.fixture
def caller(firm: Client) -> Caller:
    """Somebody who may do everything a partner and an engineer may."""
    user = User.objects.create_user("ada", password="x")
    for role in ("partner", "manager", "platform_engineer"):
        Membership.objects.create(user=user, client=firm, role=role)
    return callers.of_user(user)


@pytest.fixture
def colleague(firm: Client) -> Caller:
    """Another partner, for what one person may not do alone."""
    user = User.objects.create_user("bea", password="x")
    for role in ("partner", "manager"):
        Membership.objects.create(user=user, client=firm, role=role)
    return callers.of_user(user)


class Broker:
    """Messages that were sent and not yet delivered; ``drain`` delivers them in this process."""

    def __init__(self) -> None:
        self.messages: list[tuple[UUID, str, list[str], float]] = []
        self.wakes: list[str] = []
        self.scouts: list[tuple[str, datetime]] = []
        self.is_new = False
        self.delivered = 0

    def send(self, messages: list[tuple[UUID, str, list[str], float]]) -> None:
        self.messages += messages

    def wake(self, step_id: UUID, run_id: UUID) -> None:
        self.wakes.append(str(step_id))

    def scout(self, lane: str, sent_at: datetime) -> None:
        self.scouts.append((lane, sent_at))

    def leave_mark(self) -> None:
        self.is_new = False

    def drain(self, limit: int = 100_000) -> int:
        done = 0
        while (self.messages or self.wakes or self.scouts) and done < limit:
            if self.wakes:
                sweeps.wake(UUID(self.wakes.pop(0)))
            elif not self.messages:  # scouts come after all that was sent before them
                lost.arrived(*self.scouts.pop(0))
            else:
                run_id, _, ids, _ = self.messages.pop(0)
                steps.run_steps([UUID(step_id) for step_id in ids], run_id)
            done += 1
        self.delivered += done
        return done

    def lose_everything(self) -> None:
        """Without a trace, as messages are lost that a worker had taken when it died."""
        self.messages.clear()
        self.wakes.clear()
        self.scouts.clear()

    def forget(self) -> None:
        """As a broker does that has lost its data."""
        self.lose_everything()
        self.is_new = True


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    made = Broker()
    monkeypatch.setattr(dispatch, "_send", made.send)
    monkeypatch.setattr(dispatch, "_send_wake", made.wake)
    monkeypatch.setattr(dispatch, "send_scout", made.scout)
    monkeypatch.setattr(dispatch, "has_forgotten", lambda: made.is_new)
    monkeypatch.setattr(dispatch, "leave_mark", made.leave_mark)
    yield made


Begin = Callable[..., Run]
Key = Callable[..., dict[str, str]]


@pytest.fixture
def begin(caller: Caller) -> Begin:
    """Publish a definition and start it."""

    def start(source: str, inputs: dict[str, Any] | None = None, **more: Any) -> Run:
        version, _ = publishing.publish(source, user_id=caller.user_id)
        run, _ = starting.start_run(
            caller=caller, workflow=version.workflow.name, inputs=inputs or {}, **more
        )
        return run

    return start


@pytest.fixture
def finished(begin: Begin, broker: Broker) -> Begin:
    """Publish, start and deliver until nothing is left to deliver."""

    def run_it(source: str, inputs: dict[str, Any] | None = None, **more: Any) -> Run:
        run = begin(source, inputs, **more)
        broker.drain()
        run.refresh_from_db()
        return run

    return run_it


@pytest.fixture
def other_client(firm: Client) -> Client:
    return Client.objects.create(slug="other", name="Other")


@pytest.fixture
def key(firm: Client) -> Key:
    """Headers with a key of a new person in ``role`` at ``client``."""

    def make(
        role: str = "partner",
        client: Client | None = None,
        scopes: list[str] | None = None,
        **about: str,
    ) -> dict[str, str]:
        at = client or firm
        about = {"username": f"{role}-{uuid4().hex[:8]}", **about}
        user = User.objects.create_user(password="x", **about)
        Membership.objects.create(user=user, client=at, role=role)
        _, secret = callers.create_key(
            user=user, client=at, name="k", scopes=scopes or sorted(SCOPES)
        )
        return {"Authorization": f"Bearer {secret}"}

    return make


@pytest.fixture
def web(broker: Broker) -> Browser:
    return Browser()


def with_roles(caller: Caller, *roles: str) -> Caller:
    return dataclasses.replace(caller, roles=frozenset(roles))


def states(run: Run) -> dict[str, str]:
    """State by key of the static steps (the last iteration of each)."""
    rows = run.steps.filter(item=-1).exclude(kind__in=["end", "chunk"]).order_by("iteration")
    return dict(rows.values_list("key", "state"))
