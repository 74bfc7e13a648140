"""Error budgets that burn: what failed or took too long, in pairs of windows, to an alert."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Http

from config.access import callers
from config.access.models import Client, Membership, User
from config.access.roles import SCOPES
from monitoring.models import Alert, AlertRule, Incident, Objective
from monitoring.services import Measurement, record
from tests.monitoring.alarming import MINUTE, again, calls, live, now

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("shipped")]

SPEEDS = ("fast", "soon", "slow", "steadily")


@pytest.fixture
def http() -> Http:
    firm, _ = Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )
    user = User.objects.create_user("boss", password="x")
    Membership.objects.create(user=user, client=firm, role="administrator")
    _, secret = callers.create_key(user=user, client=firm, name="k", scopes=list(SCOPES))
    return Http(headers={"Authorization": f"Bearer {secret}"})


def of_domain(domain: str, count: int, seconds: float) -> None:
    labels = {"agent": "a", "domain": domain}
    values = {"invocations": 1, "invocation_duration_seconds": seconds}
    record([Measurement(values, labels) for _ in range(count)])


def burning(name: str) -> dict[str, list[str]]:
    """By speed, the keys whose budget burns so."""
    found = {speed: [alert.key for alert in live(f"{name}-burn-{speed}")] for speed in SPEEDS}
    return {speed: keys for speed, keys in found.items() if keys}


@pytest.mark.parametrize(
    ("slow", "speeds"),
    [
        (8, ()),  # 4 % of the calls, and 5 % may be slow
        (20, ("steadily",)),
        (40, ("slow", "steadily")),
        (80, ("soon", "slow", "steadily")),
        (160, SPEEDS),
    ],
)
def test_calls_slower_than_promised_use_up_the_budget_of_latency(
    slow: int, speeds: tuple[str, ...]
) -> None:
    calls("a", slow, seconds=2.5)
    calls("a", 200 - slow, seconds=0.5)
    again()
    assert burning("latency") == {speed: [""] for speed in speeds}
    if "fast" in speeds:
        (alert,) = live("latency-burn-fast")
        assert (alert.severity, alert.baseline) == ("critical", 14.4)
        assert alert.value == pytest.approx(16)
        assert "16.0 times as fast as it may (now 16.0)" in alert.why
        assert Incident.objects.filter(severity="critical", state="open").count() == 1


def test_a_slow_domain_is_told_beside_those_that_are_well() -> None:
    of_domain("tax", 120, 4.0)
    of_domain("audit", 2000, 0.3)
    again()
    assert burning("domain-latency") == {speed: ["tax"] for speed in SPEEDS}
    assert burning("latency") == {"steadily": [""]}, "6 % of all calls"


def test_what_took_too_long_an_hour_ago_burns_no_more() -> None:
    calls("a", 800, seconds=5.0, at=now() - 20 * MINUTE)
    calls("a", 200, seconds=0.5)
    again()
    assert not live("latency-burn-fast"), "in the last five minutes all is well"
    assert live("latency-burn-soon")


def test_the_budget_of_latency_is_that_of_its_objective_as_it_stands() -> None:
    calls("a", 200, seconds=1.0)
    again()
    assert not burning("latency")
    Objective.objects.filter(slug="latency").update(target=0.5)
    again()
    assert burning("latency").keys() == set(SPEEDS)
    Objective.objects.filter(slug="latency").update(statistic="p50")  # half may be slower
    AlertRule.objects.update(resolve_seconds=0)
    again()
    assert burning("latency").keys() == {"fast", "soon", "slow", "steadily"}, "all of them are"


def test_an_objective_that_is_switched_off_promises_nothing() -> None:
    calls("a", 200, 200, endpoint="")
    again()
    assert burning("errors").keys() == set(SPEEDS)
    AlertRule.objects.filter(slug="errors-burn-soon").update(tuned=["target"], target=0.9)
    Objective.objects.filter(slug="errors").update(is_active=False)
    again()
    assert burning("errors").keys() == {"soon"}, "that one has a target of its own"
    ended = Alert.objects.filter(rule__slug="errors-burn-fast").get()
    assert (ended.state, ended.resolved_by) == ("resolved", "system:objective_switched_off")


@pytest.mark.parametrize(("failed", "speeds"), [(190, SPEEDS), (150, ("slow", "steadily"))])
def test_a_budget_too_large_to_burn_so_fast_burns_when_nearly_all_is_bad(
    failed: int, speeds: tuple[str, ...]
) -> None:
    Objective.objects.filter(slug="errors").update(target=0.2)  # 14.4 times that is 288 %
    calls("a", 200, failed)
    again()
    assert burning("errors").keys() == set(speeds)


def test_a_rule_of_ones_own_burns_by_single_values(http: Http) -> None:
    def ask(**more: Any) -> Any:
        body = {"slug": "mine", "title": "Slow to begin", "kind": "burn_rate", "limit": 5,
                "metric": "first_token_seconds", "scope": "agent", "target": 0.9}  # fmt: skip
        body |= more
        return http.post("/api/v1/alert-rules", body, content_type="application/json")

    for given, field in (
        ({}, "denominator"),
        ({"event_limit": 1, "metric": "invocations"}, "denominator"),
        ({"objective": "latency"}, "objective"),
        ({"event_limit": 1, "target": 1}, "target"),
    ):
        refused = ask(**given)
        assert (refused.status_code, refused.json()["field"]) == (422, field)
    assert ask(event_limit=1.5).status_code == 201
    for agent, seconds in (("slow", 2.0), ("quick", 0.2)):
        record([Measurement({"first_token_seconds": seconds}, {"agent": agent})] * 5)
    again()
    found = http.get("/api/v1/alerts", {"rule": "mine"}).json()["results"]
    assert [one["key"] for one in found] == ["slow"]
    assert (found[0]["value"], found[0]["baseline"]) == (pytest.approx(10), 5.0)


def test_a_rule_of_ones_own_keeps_its_own_values_beside_an_objective(http: Http) -> None:
    body = {"slug": "mine", "title": "Hangs", "kind": "burn_rate", "limit": 5, "target": 0.9,
            "metric": "invocation_duration_seconds", "objective": "latency",
            "event_limit": 10}  # fmt: skip
    made = http.post("/api/v1/alert-rules", body, content_type="application/json")
    assert made.status_code == 201, made.content
    calls("a", 200, seconds=3.0)
    again()
    assert burning("latency") and not live("mine"), "3 s are over 2, and under 10"
    calls("a", 300, seconds=12.0)
    Objective.objects.filter(slug="latency").update(is_active=False)
    again()
    assert not burning("latency")
    (alert,) = live("mine")
    assert alert.value == pytest.approx(6), "60 % of them, and 10 % may be"


def test_the_page_of_a_burning_budget_draws_what_was_promised(http: Http) -> None:
    calls("a", 160, seconds=2.5)
    calls("a", 40, seconds=0.5)
    again()
    http.force_login(User.objects.get(username="boss"))
    http.defaults.clear()
    page = http.get(f"/dashboard/alerts/{live('latency-burn-fast')[0].pk}")
    assert page.status_code == 200
    text = page.content.decode()
    assert "16 ×" in text and "14.4 ×" in text
    assert "sort=slowest" in text
    drawn = str(page.context["plot"])
    assert "promised" in drawn and "14.4" not in drawn, "seconds are compared with seconds"
