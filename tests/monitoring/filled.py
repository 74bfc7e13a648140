"""An instance with something of everything that the dashboards tell of."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client as Browser
from django.utils import timezone

from agents import conversations, measuring
from agents.models import Agent, AgentVersion, Conversation, Invocation
from config.access.callers import Caller
from config.access.models import Client, User
from learning import feedback
from monitoring import history, rollups, tasks
from monitoring.models import AlertRule, Board, SecurityEvent
from monitoring.services import Measurement, record, security_event
from tests.agents.conftest import publish
from tests.monitoring.alarming import load_shipped
from tests.workflows.test_measuring import FAILS, TWO
from workflows.decisions import answer_approval
from workflows.models import Approval

# Two approvals, one of them refused; a loop; steps that are tried again.
WORKED = """
name: worked
steps:
  turn: {tool: core.echo, with: {value: 1}, repeat: {until: "iteration >= 3", max: 5}}
  flaky: {tool: core.fail, with: {times: 2}, retry: {max_attempts: 3, backoff: 1ms}}
  ask: {needs: [turn, flaky], approval: {role: partner, forbid_self: false, timeout: 1d}}
"""
ONE, OTHER = "aud-fraud-009", "tax-eu-001"


def called(agent: Agent, version: AgentVersion, client: Client, users: list[User]) -> None:
    """Calls of all kinds over two days, as they are stored and measured where they are made."""
    now = timezone.now()
    rows, taken = [], []
    for n in range(36):
        is_replay = n % 9 == 8  # which asks no cache
        is_cached = n % 4 == 1 and not is_replay
        state = "failed" if n % 12 == 0 else "succeeded"
        seconds = 0.004 if is_cached else 0.5 + 0.37 * n
        ended = now - timedelta(minutes=1 + 80 * n if n < 30 else 60 * 24 * 9)
        row = Invocation(
            client_id=client.pk, agent_id=agent.pk, agent_slug=agent.slug, version_id=version.pk,
            version_number=1, user_id=users[n % 2].pk, state=state,
            error_code="timeout" if state == "failed" else "", model=f"m-{n % 2}",
            endpoint=f"e-{n % 3}", cached="redis" if is_cached else "",
            cost_usd=0 if is_cached else 0.001 * (n + 1), saved_usd=0.002 if is_cached else 0,
            input_tokens=100 + n, cached_tokens=n % 5, output_tokens=10 + n, reasoning_tokens=n % 3,
            model_calls=1, started_at=ended - timedelta(seconds=seconds),
            duration_seconds=seconds, split_id=agent.pk if n % 2 else None,
            first_token_seconds=0.2 * seconds if n % 2 and not is_cached else None,
            waited_seconds=0 if is_cached else seconds - 0.1,
            effect_id=f"replay/{n}" if is_replay else "",
        )  # fmt: skip
        row.id = uuid7_at(row.started_at)
        rows.append(row)
        numbers = measuring.numbers_of(row)
        if not is_cached:
            numbers["model_duration_seconds"] = row.waited_seconds
        if is_replay:
            numbers = {name: numbers[name] for name in measuring.SPENT}
            numbers["learning_cost_usd"] = numbers["cost_usd"]
        labels = {
            "agent": agent.slug, "version": "1", "domain": agent.domain, "client": str(client.pk),
            "user": str(row.user_id), "endpoint": row.endpoint, "provider": "p",
            "model": row.model, "experiment": str(row.split_id or ""), "code": row.error_code,
        }  # fmt: skip
        taken.append(Measurement(numbers, labels, ended))
    Invocation.objects.bulk_create(rows)
    record(taken)


def uuid7_at(at: datetime) -> UUID:
    """An id as the call would have been given when it began."""
    made = bytearray(uuid4().bytes)
    made[:6] = int(at.timestamp() * 1000).to_bytes(6, "big")
    made[6], made[8] = made[6] & 0x0F | 0x70, made[8] & 0x3F | 0x80
    return UUID(bytes=bytes(made))


def spoken_of(caller: Caller) -> None:
    """What people and checks say of some calls of both agents; some of it twice."""
    for agent, ratings in ((ONE, (5, 4, 2)), (OTHER, (3,))):
        calls = Invocation.objects.filter(agent_slug=agent).order_by("-id")
        for one, rating in zip(calls, ratings, strict=False):
            about: dict[str, Any] = {
                "caller": caller, "subject_kind": "invocation", "subject_id": one.pk,
            }  # fmt: skip
            feedback.give(**about, kind="rating", rating=rating)
            for value in (0.25 * (rating - 1), 0.2 * rating):  # the later one counts, both are kept
                feedback.score(**about, name="accuracy", value=value, source="human")
        feedback.give(**about, kind="complaint", text="It is slow.")
        feedback.give(**about, kind="correction", corrected_output="Seven.")
        feedback.score(**about, name="accuracy", value=0.0, source="judge", source_version="1")
        feedback.score(**about, name="tone", value=0.1, source="code")


def worked(caller: Caller, begin: Any, broker: Any) -> None:
    """Runs with all that is told of steps; the second is refused by its approver."""
    for n in range(3):
        run = begin(WORKED)
        broker.drain()
        approval = Approval.objects.get(run=run)
        answer_approval(caller, approval.pk, approve=n != 1, reason="No.")
        broker.drain()


def left(caller: Caller, firm: Client) -> UUID:
    """A conversation whose person goes away unhappy."""
    talk = conversations.named(caller=caller, agent=ONE, client_id=firm.pk, external_id="left")
    return talk.pk


@pytest.fixture
def filled(caller: Caller, firm: Client, finished: Any, begin: Any, broker: Any) -> Browser:
    load_shipped()
    AlertRule.objects.filter(kind="heartbeat").update(is_active=False)
    history.forget()
    users = [User.objects.create_user(name) for name in ("eve", "kim")]
    other = Client.objects.create(slug="other", name="Other")
    for slug, client in ((ONE, firm), (OTHER, other)):
        agent = publish(slug)
        called(agent, AgentVersion.objects.get(agent=agent), client, users)
    for source in (TWO, TWO, FAILS):
        finished(source)
    worked(caller, begin, broker)
    for n in range(3):
        talk = conversations.named(caller=caller, agent=ONE, client_id=firm.pk, external_id=f"t{n}")
        for _ in range(n + 1):
            conversations.note(talk_id=talk.pk, asked="Why?", answered="So.", invocation_id=uuid4())
    conversations.hand_over(caller=caller, talk_id=talk.pk, reason="asked for it")
    conversations.note(talk_id=left(caller, firm), asked="That's wrong!", answered="So.",
                       invocation_id=uuid4())  # fmt: skip
    Conversation.objects.filter(external_id__in=["t0", "left"]).update(
        last_turn_at=timezone.now() - timedelta(days=2)
    )
    conversations.end_idle(now=timezone.now())
    spoken_of(caller)
    for kind in (*SecurityEvent.Kind.values, "injection", "injection"):
        security_event(kind=kind, actor="user:1", severity="high")
        security_event(kind=kind, actor="user:2", severity="low")
    AlertRule.objects.filter(slug="error-rate").update(min_count=1, limit=0.01)
    rollups.roll_up()
    tasks.watch()
    board = Board.objects.create(user_id=caller.user_id, name="Mine", panels=[
        {"metric": metric, "statistic": kind, "scope": "agent", "key": ONE, "of": ""}
        for metric, kind in (("invocations", "total"), ("cost_usd", "total"),
                             ("invocation_duration_seconds", "p95"))
    ])  # fmt: skip
    assert board.pk
    browser = Browser()
    browser.force_login(User.objects.get(pk=caller.user_id))
    return browser
