"""The HTTP API of monitoring: what it says, and to whom."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.test import Client as Http
from django.utils import timezone

from config.access import callers
from config.access.models import Client, Membership, User
from config.access.roles import SCOPES
from monitoring import rollups, tasks
from monitoring.models import AlertRule, AuditEntry, Incident
from monitoring.services import Measurement, audit, record, security_event
from tests.monitoring import alarming

pytestmark = pytest.mark.django_db
Ask = Callable[..., Any]


@pytest.fixture
def firm() -> Client:
    return Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )[0]


@pytest.fixture
def other() -> Client:
    return Client.objects.create(slug="other", name="Other")


def key_of(client: Client, role: str) -> str:
    user = User.objects.create_user(f"{role}-{client.slug}", password="x")
    Membership.objects.create(user=user, client=client, role=role)
    return callers.create_key(user=user, client=client, name="k", scopes=list(SCOPES))[1]


def asking(key: str) -> Ask:
    def ask(method: str, path: str, body: Any = None, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {key}", **more}
        send = getattr(Http(headers=headers), method.lower())
        if method in ("POST", "PATCH"):
            return send(f"/api/v1/{path}", body, content_type="application/json")
        return send(f"/api/v1/{path}", body)

    return ask


@pytest.fixture
def staff(firm: Client) -> Ask:
    return asking(key_of(firm, "administrator"))


@pytest.fixture
def outsider(other: Client) -> Ask:
    """A manager of one client, who may see its figures and nobody else's."""
    return asking(key_of(other, "partner"))


def measured(client: Client, agent: str = "a", count: int = 30, failed: int = 0) -> None:
    for n in range(count):
        record(
            [
                Measurement(
                    {"invocations": 1, "invocation_errors": float(n < failed), "cost_usd": 0.01,
                     "saved_usd": 0.002, "invocation_duration_seconds": 1.0},
                    {"agent": agent, "client": str(client.pk), "domain": "audit",
                     "code": "timeout" if n < failed else ""},
                )
            ]
        )  # fmt: skip
    rollups.roll_up()


def test_nothing_is_open_without_a_key() -> None:
    for path in ("metrics/query", "alerts", "alert-rules", "incidents", "silences", "objectives",
                 "costs", "audit", "security-events"):  # fmt: skip
        assert Http().get(f"/api/v1/{path}").status_code == 401, path


def test_a_metric_is_a_series_or_a_total_for_each_key(staff: Ask, firm: Client) -> None:
    measured(firm, "a", 30)
    measured(firm, "b", 10)
    rows = staff("GET", "metrics/query", {"metric": "invocations", "scope": "agent"}).json()["rows"]
    assert [(row["key"], row["total"]) for row in rows] == [("a", 30), ("b", 10)]
    since = (timezone.now() - timedelta(hours=2)).isoformat()
    body = staff("GET", "metrics/query", {
        "metric": "invocation_duration_seconds", "scope": "agent", "key": "a", "since": since,
    }).json()  # fmt: skip
    assert sum(row["count"] for row in body["rows"]) == 30
    assert [row["p95"] for row in body["rows"] if row["count"]] == [pytest.approx(1.0, rel=0.01)]


@pytest.mark.parametrize(
    "given",
    [{"metric": "nothing"}, {"metric": "invocations", "scope": "planet"},
     {"metric": "invocations", "since": "yesterday"},
     {"metric": "invocations", "since": "2026-01-01T00:00:00"},
     {"metric": "invocations", "step_seconds": "-5"},
     {"metric": "invocations", "step_seconds": "60", "since": "2026-01-01T00:00:00Z"}],
)  # fmt: skip
def test_a_bad_question_is_answered_with_its_fault(staff: Ask, given: dict[str, str]) -> None:
    answer = staff("GET", "metrics/query", given)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_input"


def test_a_client_sees_its_own_figures_only(outsider: Ask, firm: Client, other: Client) -> None:
    measured(firm)
    measured(other, count=7)
    assert outsider("GET", "metrics/query", {"metric": "invocations"}).status_code == 403
    foreign = {"metric": "invocations", "scope": "client", "key": str(firm.pk)}
    assert outsider("GET", "metrics/query", foreign).status_code == 403
    rows = outsider("GET", "metrics/query", {"metric": "invocations", "scope": "client"}).json()
    assert [(r["key"], r["total"]) for r in rows["rows"]] == [(str(other.pk), 7)]
    assert outsider("GET", "costs").status_code == 403
    costs = outsider("GET", "costs", {"client": str(other.pk)}).json()
    assert (costs["cost_usd"], costs["rows"][0]["key"]) == ("0.070000000", "a")
    for path in ("alerts", "incidents", "objectives"):
        assert outsider("GET", path).status_code == 403


def test_costs_are_told_by_what_caused_them(staff: Ask, firm: Client) -> None:
    measured(firm, "a", 30)
    measured(firm, "b", 10)
    body = staff("GET", "costs", {"by": "agent"}).json()
    assert [(r["key"], r["cost_usd"]) for r in body["rows"]] == [
        ("a", "0.300000000"), ("b", "0.100000000"),
    ]  # fmt: skip
    assert (body["cost_usd"], body["saved_by_cache_usd"]) == ("0.400000000", "0.080000000")
    assert staff("GET", "costs", {"by": "weather"}).status_code == 422


def test_a_rule_is_created_once_and_audited(staff: Ask) -> None:
    rule = {"slug": "mine", "title": "Mine", "kind": "threshold", "metric": "cost_usd",
            "statistic": "total", "scope": "agent", "limit": 5}  # fmt: skip
    first = staff("POST", "alert-rules", rule, **{"Idempotency-Key": "k1"})
    again = staff("POST", "alert-rules", rule, **{"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert AuditEntry.objects.filter(action="monitoring.rule.created").count() == 1
    assert "mine" in {r["slug"] for r in staff("GET", "alert-rules").json()["results"]}


def test_only_a_rule_that_compares_with_a_limit_needs_one(staff: Ask) -> None:
    rule = {"title": "Mine", "metric": "invocations", "scope": "agent"}
    for kind in ("no_data", "anomaly"):
        answer = staff("POST", "alert-rules", {**rule, "slug": f"by-{kind}", "kind": kind})
        assert answer.status_code == 201, answer.content
    for kind in ("threshold", "baseline", "forecast"):
        answer = staff("POST", "alert-rules", {**rule, "slug": f"by-{kind}", "kind": kind})
        assert (answer.status_code, answer.json()["field"]) == (422, "limit")


@pytest.mark.parametrize(
    ("change", "field"),
    [({"metric": "x"}, "metric"), ({"scope": "x"}, "scope"), ({"kind": "x"}, "kind"),
     ({"kind": "burn_rate"}, "denominator"), ({"limit": None}, "limit"),
     ({"kind": "together"}, "beside"), ({"responses": [{"kind": "pause_agent"}]}, "responses"),
     ({"kind": "together", "beside": [{"metric": "x"}]}, "beside"),
     ({"kind": "burn_rate", "denominator": "invocations", "target": 1.0}, "target")],
)  # fmt: skip
def test_a_rule_that_means_nothing_is_refused(
    staff: Ask, change: dict[str, Any], field: str
) -> None:
    rule = {"slug": "mine", "title": "Mine", "kind": "threshold", "metric": "cost_usd", "limit": 5}
    answer = staff("POST", "alert-rules", {**rule, **change})
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_what_an_operator_sets_in_a_shipped_rule_survives_the_set_up(staff: Ask) -> None:
    call_command("load_monitoring", verbosity=0)
    changed = staff("PATCH", "alert-rules/error-rate", {"limit": 0.2, "severity": "low"})
    assert (changed.status_code, changed.json()["tuned"]) == (200, ["limit", "severity"])
    AlertRule.objects.filter(slug="error-rate").update(title="An old title")
    call_command("load_monitoring", verbosity=0)
    now = staff("GET", "alert-rules/error-rate").json()
    assert (now["limit"], now["severity"], now["title"]) == (0.2, "low", "Too many failures")
    entry = AuditEntry.objects.get(action="monitoring.rule.changed")
    assert entry.target == "rule:error-rate"
    for change, field in (
        ({"scope": "x"}, "scope"), ({"kind": "anomaly"}, "kind"), ({"slug": "y"}, "slug"),
        ({"denominator": ""}, "denominator"), ({"objective": "none"}, "objective"),
    ):  # fmt: skip
        refused = staff("PATCH", "alert-rules/error-rate", change)
        assert (refused.status_code, refused.json()["field"]) == (422, field)
    assert staff("PATCH", "alert-rules/none", {"limit": 1}).status_code == 404


def test_a_rule_of_ones_own_can_be_deleted_and_a_shipped_one_turned_off(
    staff: Ask, outsider: Ask
) -> None:
    call_command("load_monitoring", verbosity=0)
    rule = {"slug": "mine", "title": "Mine", "kind": "threshold", "metric": "cost_usd", "limit": 5}
    staff("POST", "alert-rules", rule)
    assert outsider("PATCH", "alert-rules/mine", {"limit": 6}).status_code == 403
    assert outsider("GET", "alert-rules").status_code == 403
    assert outsider("GET", "silences").status_code == 403
    assert staff("DELETE", "alert-rules/mine").status_code == 204
    assert staff("GET", "alert-rules/mine").status_code == 404
    assert staff("DELETE", "alert-rules/error-rate").status_code == 409
    assert not staff("PATCH", "alert-rules/error-rate", {"is_active": False}).json()["is_active"]
    call_command("load_monitoring", verbosity=0)
    assert not AlertRule.objects.get(slug="error-rate").is_active


def test_an_incident_is_seen_acknowledged_and_resolved(staff: Ask, firm: Client) -> None:
    call_command("load_monitoring", verbosity=0)
    measured(firm, "a", 30, 30)
    tasks.watch()
    alert = staff("GET", "alerts", {"rule": "error-rate"}).json()["results"][0]
    assert (alert["key"], alert["state"], alert["severity"]) == ("a", "firing", "critical")
    assert alert["advice"] and alert["runbook"] and alert["detail"]["errors"]
    incident = staff("GET", "incidents", {"state": "open"}).json()["results"][0]
    assert incident["impact"]["errors"] == 30
    path = f"incidents/{incident['id']}"
    assert staff("POST", f"{path}/acknowledge").json()["state"] == "acknowledged"
    done = staff("POST", f"{path}/resolve").json()
    assert (done["state"], bool(done["summary"])) == ("resolved", True)
    assert staff("POST", f"{path}/acknowledge").status_code == 409
    assert staff("POST", f"incidents/{uuid4()}/resolve").status_code == 404


def test_a_silence_must_end(staff: Ask) -> None:
    body = {"scope": "agent", "key": "a", "reason": "maintenance"}
    late = (timezone.now() + timedelta(days=99)).isoformat()
    assert staff("POST", "silences", {**body, "ends_at": late}).status_code == 422
    soon = (timezone.now() + timedelta(hours=1)).isoformat()
    assert staff("POST", "silences", {**body, "ends_at": soon}).status_code == 201
    assert staff("GET", "silences").json()["results"][0]["reason"] == "maintenance"


def test_objectives_say_met_missed_or_that_there_is_no_data(staff: Ask, firm: Client) -> None:
    call_command("load_monitoring", verbosity=0)
    measured(firm, "a", 30, 3)
    cards = {c["slug"]: c for c in staff("GET", "objectives").json()["results"]}
    assert len(cards) == 14
    assert cards["latency"]["state"] == "met"
    assert (cards["errors"]["state"], cards["errors"]["value"]) == ("missed", 0.1)
    assert cards["availability"]["value"] == pytest.approx(0.9)
    assert cards["availability"]["error_budget"]["burn_rate"] == pytest.approx(100)
    assert (cards["satisfaction"]["state"], cards["satisfaction"]["value"]) == ("no_data", None)


def test_the_audit_log_is_filtered_paged_exported_and_its_reading_noted(
    staff: Ask, firm: Client
) -> None:
    for n in range(5):
        audit(actor="user:1", action="agents.version.published", target=f"agent:{n}")
    audit(actor="=cmd|' /C calc'!A0", action="tests.thing.done")
    page = staff("GET", "audit", {"action": "agents.", "page_size": 3}).json()
    assert [row["target"] for row in page["results"]] == ["agent:4", "agent:3", "agent:2"]
    rest = Http(headers={}).get(page["next"])
    assert rest.status_code == 401  # a cursor is no key
    answer = staff("GET", "audit", {"export": "csv"})
    text = b"".join(answer.streaming_content).decode()
    assert text.splitlines()[0].startswith("id,at,actor,action,target")
    assert ",'=cmd|" in text
    assert AuditEntry.objects.filter(action="monitoring.audit.read").count() == 2


def test_security_events_are_seen_by_who_may_see_their_client(
    staff: Ask, outsider: Ask, firm: Client, other: Client
) -> None:
    security_event(kind="injection", severity="high", client_id=firm.pk, detail={"score": 0.9})
    security_event(kind="personal_data", client_id=other.pk)
    assert len(staff("GET", "security-events").json()["results"]) == 2
    seen = outsider("GET", "security-events").json()["results"]
    assert [row["kind"] for row in seen] == ["personal_data"]


def test_a_series_is_scored_over_http(staff: Ask) -> None:
    start = datetime(2026, 1, 1)  # noqa: DTZ001
    rows = [
        {"timestamp": str(start + timedelta(minutes=5 * n)), "value": 10 + n % 3}
        for n in range(400)
    ]
    rows[-1]["value"] = 500
    scored = staff("POST", "anomalies/backtest", {"rows": rows}).json()
    assert len(scored) == 400
    assert [row["flagged"] for row in scored[-2:]] == [False, True]


def test_a_rule_that_is_switched_off_while_it_fires_leaves_nobody_called(staff: Ask) -> None:
    call_command("load_monitoring", verbosity=0)
    AlertRule.objects.exclude(slug="error-rate").update(is_active=False)
    AlertRule.objects.update(pending_seconds=0)
    alarming.calls("a", 30, 30)
    alarming.again()
    assert alarming.live("error-rate")
    assert staff("PATCH", "alert-rules/error-rate", {"is_active": False}).status_code == 200
    alarming.again()
    assert not alarming.live("error-rate")
    assert set(Incident.objects.values_list("state", flat=True)) == {"resolved"}
    assert staff("GET", "alerts?state=resolved").json()["results"][0]["resolved_by"] == (
        "system:rule_switched_off"
    )
