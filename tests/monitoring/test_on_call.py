"""Who is on call is told first, without an answer the next one, and a new turn takes over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db.models import F
from django.test import Client as Http
from django.utils import timezone

from config.access import callers
from config.access.models import Client, Membership, User
from config.access.roles import SCOPES
from monitoring import shipped, tasks
from monitoring.models import AlertRule, AuditEntry, Channel, Incident, Rota
from monitoring.services import Measurement, record

pytestmark = pytest.mark.django_db
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
JSON = "application/json"


@pytest.fixture
def firm() -> Client:
    return Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )[0]


@pytest.fixture
def http(firm: Client) -> Http:
    user = User.objects.create_user("mara", password="x")
    Membership.objects.create(user=user, client=firm, role="administrator")
    _, secret = callers.create_key(user=user, client=firm, name="k", scopes=list(SCOPES))
    return Http(headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture
def people() -> dict[str, Channel]:
    shipped.load()
    AlertRule.objects.exclude(slug="error-rate").update(is_active=False)
    return {
        name: Channel.objects.create(
            name=name, kind="email", address=f"{name}@example.org", is_personal=True
        )
        for name in ("ada", "grace", "mary")
    }


def rota(http: Http, people: dict[str, Channel], **more: Any) -> dict[str, Any]:
    given = {"name": "Audit", "people": [str(one.pk) for one in people.values()],
             "first_day": str(timezone.now().date() - DAY), "hand_over_at": "00:00",
             **more}  # fmt: skip
    answer = http.post("/api/v1/rotas", given, content_type=JSON)
    assert answer.status_code == 201, answer.content
    return answer.json()


def fails() -> Incident:
    """An agent of the audit breaks, and the watch sees it."""
    numbers = {"invocations": [1.0] * 30, "invocation_errors": [1.0] * 30}
    record([Measurement(numbers, {"agent": "a", "domain": "audit"})])
    AlertRule.objects.update(evaluated_at=None)
    tasks.watch()
    return Incident.objects.get(state="open")


def told() -> list[tuple[str, str]]:
    """Everything that was mailed since the last question: to whom, and what happened."""
    tasks.deliver()
    found = [(m.to[0].partition("@")[0], m.subject.rpartition("(")[2][:-1]) for m in mail.outbox]
    mail.outbox.clear()
    return found


def passes(incident: Incident, minutes: int) -> None:
    """So much later, as the incident sees it; then the watch comes by."""
    incident.refresh_from_db()
    more = minutes * MINUTE - (timezone.now() - incident.opened_at)
    incident.timeline.update(at=F("at") - more)
    Incident.objects.filter(pk=incident.pk).update(opened_at=F("opened_at") - more)
    tasks.watch()


def test_nobody_answers_and_the_next_one_is_told_until_somebody_does(
    http: Http, people: dict[str, Channel]
) -> None:
    made = rota(http, people, domains=["audit"])
    assert [one["name"] for one in made["shifts"]][:4] == ["ada", "grace", "mary", "ada"]
    incident = fails()
    assert told() == [("ada", "opened")]
    passes(incident, 16)
    assert told() == [("grace", "escalated")]
    passes(incident, 31)
    assert told() == [("mary", "escalated")]
    passes(incident, 46)
    assert told() == [("ada", "escalated")]  # after the last one the first one is asked again
    assert http.post(f"/api/v1/incidents/{incident.pk}/acknowledge").status_code == 200
    passes(incident, 90)
    assert told() == []
    assert http.post(f"/api/v1/incidents/{incident.pk}/resolve").status_code == 200
    assert sorted(told()) == [("ada", "resolved"), ("grace", "resolved"), ("mary", "resolved")]
    lines = [e.detail.get("on_call") for e in incident.timeline.filter(name="escalated")]
    assert lines == [["grace"], ["mary"], ["ada"]]


def test_after_hours_without_a_sweep_each_is_told_in_turn_and_has_time_to_answer(
    http: Http, people: dict[str, Channel]
) -> None:
    rota(http, people, domains=["audit"])
    incident = fails()
    assert told() == [("ada", "opened")]
    passes(incident, 300)
    assert told() == [("grace", "escalated")], "nobody is left out"
    passes(incident, 310)
    assert told() == [], "who was asked has not had the time yet"
    passes(incident, 316)
    assert told() == [("mary", "escalated")]


def test_a_new_turn_hears_of_what_is_still_open(http: Http, people: dict[str, Channel]) -> None:
    rota(http, people)
    tasks.watch()
    incident = fails()
    assert told() == [("ada", "opened")]
    Rota.objects.update(first_day=timezone.now().date() - 7 * DAY)  # a week passes
    tasks.watch()
    tasks.watch()
    assert told() == [("grace", "handed_over")]  # once
    event = incident.timeline.get(name="handed_over")
    assert event.detail == {"to": "grace", "rota": "Audit"}


def test_who_stands_in_is_told_instead_until_it_is_taken_back(
    http: Http, people: dict[str, Channel]
) -> None:
    made = rota(http, people)
    now = timezone.now()
    path = f"/api/v1/rotas/{made['id']}/overrides"
    stand_in = {"channel": str(people["mary"].pk), "starts_at": now - MINUTE,
                "ends_at": now + DAY, "reason": "ill"}  # fmt: skip
    answer = http.post(path, stand_in, content_type=JSON)
    assert answer.status_code == 201, answer.content
    fails()
    assert told() == [("mary", "opened")]
    assert http.get(f"/api/v1/rotas/{made['id']}").json()[0]["stands_in"] is True
    assert http.delete(f"{path}/{answer.json()['id']}").status_code == 204
    tasks.watch()
    assert told() == [("ada", "handed_over")]
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"monitoring.rota.created", "monitoring.rota.overridden",
            "monitoring.rota.override_withdrawn"} <= actions  # fmt: skip


def test_a_rota_of_the_domain_goes_before_the_one_for_everything_else(
    http: Http, people: dict[str, Channel]
) -> None:
    ada, grace, mary = people.values()
    rota(http, {"mary": mary}, name="Rest")
    rota(http, {"grace": grace, "ada": ada}, name="Audit", domains=["audit"])
    Channel.objects.filter(pk=grace.pk).update(is_active=False)  # who cannot be told is passed by
    fails()
    assert told() == [("ada", "opened")]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"people": []}, "people"),
        ({"people": ["018f0000-0000-7000-8000-000000000000"]}, "people"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"shift_days": 0}, "shift_days"),
        ({"first_day": "tomorrow"}, "first_day"),
    ],
)
def test_a_rota_that_means_nothing_is_refused(
    http: Http, people: dict[str, Channel], change: dict[str, Any], field: str
) -> None:
    given = {"name": "R", "people": [str(people["ada"].pk)], "first_day": "2026-11-30", **change}
    answer = http.post("/api/v1/rotas", given, content_type=JSON)
    assert answer.status_code == 422
    assert field in answer.content.decode()
    assert not Rota.objects.exists()


def test_the_page_says_who_is_on_call_and_puts_somebody_in(
    firm: Client, http: Http, people: dict[str, Channel]
) -> None:
    browser = Http()
    browser.force_login(User.objects.get(username="mara"))
    assert "There is no rota" in browser.get("/dashboard/on-call").content.decode()
    made = rota(http, people, domains=["audit"])
    assert "ada is on call for audit." in browser.get("/dashboard/on-call").content.decode()
    now = timezone.now()
    form = {"rota": made["id"], "channel": str(people["mary"].pk), "reason": "swap",
            "starts_at": f"{now - MINUTE:%Y-%m-%dT%H:%M}",
            "ends_at": f"{now + DAY:%Y-%m-%dT%H:%M}"}  # fmt: skip
    browser.post("/dashboard/on-call", form)
    assert "mary is on call for audit." in browser.get("/dashboard/on-call").content.decode()
    wrong = browser.post("/dashboard/on-call", {**form, "ends_at": form["starts_at"]}, follow=True)
    assert "after starts_at" in wrong.content.decode()
    tasks.watch()
    assert "on call: mary" in browser.get("/dashboard/incidents").content.decode()
