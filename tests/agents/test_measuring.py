"""A call's numbers reach monitoring, and its digests the audit log."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import httpx
import pytest
from django.core.management import call_command
from django.utils import timezone

from agents.invoke import invoke
from agents.models import Agent, Invocation, ModelCall
from config.access.models import User
from monitoring import audit, queries, rollups, verifying
from monitoring.addresses import rows_behind
from monitoring.models import AuditEntry
from tests.monitoring.alarming import again, live
from tests.monitoring.figures_of import read

pytestmark = pytest.mark.django_db


def test_a_call_is_on_the_dashboard_and_in_the_audit_log(call_of, settings, tmp_path):
    settings.RATCHET_HOME = tmp_path  # checkpoints of this test only
    answer = invoke(call_of())
    row = Invocation.objects.get(pk=answer.invocation_id)
    rollups.roll_up()
    now = timezone.now()
    found = queries.totals(
        ["invocations", "invocation_errors", "cost_usd", "invocation_duration_seconds"],
        scope="agent",
        since=now - timedelta(hours=1),
        until=now + timedelta(minutes=1),
    )[row.agent_slug]
    assert (found["invocations"].total, found["invocation_errors"].total) == (1, 0)
    assert found["cost_usd"].total == pytest.approx(float(row.cost_usd))
    assert found["invocation_duration_seconds"].total == pytest.approx(row.duration_seconds)
    entry = AuditEntry.objects.get(target=f"invocation:{row.pk}")
    assert entry.action == "agents.invocation.succeeded"
    assert len(entry.before_digest) == len(entry.after_digest) == 64
    assert AuditEntry.objects.filter(action="agents.tool.called").count() == row.tool_calls
    audit.seal()
    assert verifying.verify().ok


def test_arguments_that_a_tool_refuses_stop_no_endpoint(agent, api):
    wrong = {"inputs": {**agent.cases[0]["input"], "book_entries": [{"amount": "x"}]}}
    for _ in range(21):
        refused = api("post", f"/api/v1/agents/{agent.slug}/invocations", wrong)
        assert refused.json()["code"] == "invalid_input"
    call_command("load_monitoring", verbosity=0)
    again()
    assert [one.key for one in live("error-rate")] == [agent.slug]
    assert live("endpoint-error-rate") == []
    right = api("post", f"/api/v1/agents/{agent.slug}/invocations",
                {"inputs": agent.cases[0]["input"]})  # fmt: skip
    assert right.json()["state"] == "succeeded"


def test_an_endpoint_that_is_dead_is_told_of_though_its_breaker_keeps_calls_from_it(
    agent, api, model
):
    model.behave({"faults": [{"kind": "server_error"}]})
    for _ in range(24):
        api("post", f"/api/v1/agents/{agent.slug}/invocations", {"inputs": agent.cases[0]["input"]})
    assert not Invocation.objects.filter(state="succeeded").exists()
    assert ModelCall.objects.count() < 24, "the breaker has opened"
    assert set(Invocation.objects.values_list("endpoint", flat=True)) == {"offline-model"}
    call_command("load_monitoring", verbosity=0)
    again()
    (alert,) = live("endpoint-no-answer")  # for the agent has a fallback to answer with
    assert (alert.key, alert.severity) == ("offline-model", "critical")
    assert [one.inhibited_by for one in live("fallback-rate")] == [alert]


def test_errors_of_an_endpoint_lead_to_the_calls_that_it_failed(agent, api, model, client):
    wrong = {"inputs": {**agent.cases[0]["input"], "book_entries": [{"amount": "x"}]}}
    good = {"inputs": agent.cases[0]["input"]}
    path = f"/api/v1/agents/{agent.slug}/invocations"
    assert api("post", path, good).json()["state"] == "succeeded"
    assert api("post", path, wrong).json()["code"] == "invalid_input"
    Agent.objects.update(fallback="")
    model.behave({"faults": [{"kind": "server_error"}]})
    other = {"inputs": agent.cases[1]["input"]}
    assert api("post", path, other).status_code in (502, 503)
    rollups.roll_up()
    name = Invocation.objects.exclude(endpoint="").values_list("endpoint", flat=True)[0]
    client.force_login(User.objects.get())
    figure = client.get(f"/dashboard/_panel?scope=endpoint&key={name}").content.decode()
    said, href = figure_of(figure, "Errors")
    assert said == "1 of 3"
    for address in (href, rows_behind("invocation_errors", "endpoint", name, range="24h")):
        shown = client.get(address.replace("/invocations?", "/invocations.csv?"))
        assert len(shown.getvalue().decode().splitlines()) == 1 + 1, address
    everything = rows_behind("invocation_errors", "agent", agent.slug, range="24h")
    shown = client.get(everything.replace("/invocations?", "/invocations.csv?"))
    assert len(shown.getvalue().decode().splitlines()) == 1 + 2


@pytest.mark.django_db(transaction=True)
def test_a_reader_who_hangs_up_is_no_error_of_the_endpoint(live_server, agent, key, model, client):
    model.behave({"faults": [{"kind": "slow_stream", "seconds": 0.02}]})
    question = {"role": "user", "content": json.dumps(agent.cases[0]["input"])}
    body = {"model": f"agent:{agent.slug}", "stream": True, "messages": [question]}
    with httpx.stream("POST", f"{live_server.url}/v1/chat/completions", json=body, timeout=60,
                      headers={"Authorization": f"Bearer {key}"}) as heard:  # fmt: skip
        next(heard.iter_raw())
    until = time.monotonic() + 60
    while not Invocation.objects.exists() and time.monotonic() < until:
        time.sleep(0.05)
    row = Invocation.objects.get()
    assert (row.state, row.error_code, row.endpoint) == ("failed", "cancelled", "offline-model")
    rollups.roll_up()
    client.force_login(User.objects.get())
    for scope, name, listed in (("agent", agent.slug, 1), ("endpoint", "offline-model", 0)):
        found = queries.totals(["invocation_errors"], scope=scope,
                               since=timezone.now() - timedelta(hours=1),
                               until=timezone.now() + timedelta(minutes=1))  # fmt: skip
        errors = found.get(name, {}).get("invocation_errors")
        assert (errors.total if errors else 0) == listed, scope
        address = rows_behind("invocation_errors", scope, name, range="24h")
        shown = client.get(address.replace("/invocations?", "/invocations.csv?"))
        assert len(shown.getvalue().decode().splitlines()) == 1 + listed, address


def figure_of(html, label):
    """The exact figure and its address."""
    one = next(one for one in read(html).figures if one.label == label)
    return one.exact, one.href
