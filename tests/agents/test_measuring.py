"""A call's numbers reach monitoring, and its digests the audit log."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from agents.invoke import invoke
from agents.models import Invocation
from monitoring import audit, queries, rollups, verifying
from monitoring.models import AuditEntry
from tests.monitoring.alarming import again, live

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
