"""Every shipped template on the real engine, offline, to its end; agents answer by their tools."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from agents import queries as agents
from config.access.callers import Caller
from config.access.models import Client, User
from config.access.roles import scopes_of
from tests.workflows.conftest import Broker
from tests.workflows.library.test_templates import (
    FILES,
    OURS,
    WITH_EXAMPLE,
    Play,
    Shelf,
    entries,
    example,
)
from tests.workflows.test_faults import grow_old, open_steps
from workflows import controls, decisions, publishing, rehearsing, starting, sweeps, work
from workflows.models import Approval, Run, StepRun

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(firm: Client, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> dict[str, Caller]:
    """A professional, a manager and a partner; and agents that are their own tools."""
    one = Play(WITH_EXAMPLE[0], example(WITH_EXAMPLE[0]), {}, Shelf())
    monkeypatch.setattr(agents, "known_agents", lambda: frozenset(entries()))
    monkeypatch.setattr(agents, "agent_lane", lambda *a, **k: "io")
    monkeypatch.setattr(
        work,
        "invoke",
        lambda call: SimpleNamespace(
            output=one.ask(call.agent, call.inputs), cost_usd=Decimal("0.001"), invocation_id=None
        ),
    )
    for name in sorted(OURS, key=lambda n: n != "entity_tax_estimates"):
        publishing.publish(FILES[name].read_text("utf-8"), shipped=True)
    made = {}
    for role in ("professional", "manager", "partner"):
        user = User.objects.create_user(role, password="x")
        roles = frozenset({role})
        made[role] = Caller(user.pk, role, firm.pk, None, roles, scopes_of(roles))
    return made


def drive(run: Run, people: dict[str, Caller], broker: Broker, refuse: str = "") -> Run:
    """Deliver, approve, signal and let time pass until the run has ended."""
    for _ in range(60):
        broker.drain()
        for approval in Approval.objects.filter(state="waiting").order_by("step_id", "level"):
            _answer(approval, people, approve=approval.step.key != refuse)
        for step in StepRun.objects.filter(kind="wait", state="waiting", run=run):
            name = (run_step(run, step.key).get("wait") or {}).get("signal")
            if name:
                controls.send_signal(people["partner"], run.pk, name=name, payload={"sold": 1})
        grow_old()
        sweeps.sweep()
        run.refresh_from_db()
        if run.ended_at is not None:
            return run
    raise AssertionError(open_steps(run))


def steps_of(run: Run) -> list[dict[str, Any]]:
    return list(run.version.definition["steps"].values())


def run_step(run: Run, key: str) -> dict[str, Any]:
    found: dict[str, Any] = run.version.definition["steps"][key]
    return found


def _answer(approval: Approval, people: dict[str, Caller], *, approve: bool) -> None:
    for who in (people["manager"], people["partner"]):
        approval.refresh_from_db()
        lower = Approval.objects.filter(step_id=approval.step_id, level__lt=approval.level)
        if approval.state != "waiting" or lower.exclude(state="approved").exists():
            return
        if not decisions.may_answer(who, approval):
            wanted = (approval.form or {}).get("required", [])
            decisions.answer_approval(
                who, approval.pk, approve=approve, answer=dict.fromkeys(wanted, 0), reason="no"
            )
            return


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_a_template_runs_to_its_end_on_the_engine(
    people: dict[str, Caller], broker: Broker, name: str
) -> None:
    run, _ = starting.start_run(caller=people["professional"], workflow=name, inputs=example(name))
    drive(run, people, broker)
    assert (run.state, run.error) == ("succeeded", None)
    assert open_steps(run) == []
    assert any(run.outputs.get(key) for key in ("paper", "register"))
    for agent in sorted({step["agent"] for step in steps_of(run) if "agent" in step}):
        assert rehearsed(run, agent) == run.outputs, agent


def rehearsed(run: Run, agent: str) -> Any:
    """The outputs of the run walked from this agent on, each step answered as it was then."""

    def again(task: rehearsing.Task) -> Any:
        assert task.known, task.key
        assert task.arguments == task.known[0].arguments, task.key
        return task.known[0].output

    assert rehearsing.reasons_against([run.pk], agent) == {}
    walked = rehearsing.rehearse(rehearsing.recording_of(run.pk, agent), agent, again)
    assert walked.error is None
    return walked.outputs


def test_a_client_that_is_refused_is_taken_from_the_register_again(
    people: dict[str, Caller], broker: Broker
) -> None:
    run, _ = starting.start_run(
        caller=people["professional"], workflow="client_onboarding",
        inputs=example("client_onboarding"),
    )  # fmt: skip
    drive(run, people, broker, refuse="acceptance")
    assert (run.state, run.error["message"]) == ("failed", "no")
    undone = run.steps.filter(kind="compensate")
    opened = run.steps.filter(key="open", state="succeeded").exists()
    assert undone.filter(state="succeeded").exists() is opened
