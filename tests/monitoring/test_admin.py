"""Monitoring's pages in the admin."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.core.management import call_command
from django.test import Client

from config.access.models import Client as Tenant
from config.access.models import User
from monitoring.models import AlertRule, AuditEntry, AuditPayload, Channel, Objective
from tests.monitoring.alarming import again, calls, live

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(client: Client) -> Client:
    Tenant.objects.get_or_create(is_firm=True, defaults={"slug": "firm", "name": "The firm"})
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


def test_every_list_opens(browser: Client) -> None:
    call_command("load_monitoring", verbosity=0)
    assert browser.get("/admin/").status_code == 200  # what is registered is loaded with the pages
    models = [m for m in admin.site._registry if m._meta.app_label == "monitoring"]
    assert len(models) >= 10
    for model in models:
        answer = browser.get(f"/admin/monitoring/{model._meta.model_name}/")
        assert answer.status_code == 200, model


def test_a_change_is_audited_without_its_secret(browser: Client) -> None:
    given = {"name": "ops", "kind": "webhook", "address": "https://example.org/hook",
             "secret": "whsec_geheim", "domains": "[]", "min_severity": "low", "level": "0",
             "is_active": "on"}  # fmt: skip
    assert browser.post("/admin/monitoring/channel/add/", given).status_code == 302
    assert Channel.objects.get().secret == "whsec_geheim"
    entry = AuditEntry.objects.get(action="monitoring.channel.created")
    payload = AuditPayload.objects.get(entry_id=entry.pk)
    assert "geheim" not in (payload.after or "")
    assert '"min_severity": "low"' in (payload.after or "")


def test_the_target_of_an_objective_is_set_here_and_its_burn_is_alerted(browser: Client) -> None:
    call_command("load_monitoring", verbosity=0)
    form = browser.get("/admin/monitoring/objective/errors/change/").context["adminform"].form
    given = {name: form.initial[name] for name in form.fields if form.initial[name] is not False}
    given |= {"above": "", "target": "0.5"}
    changed = browser.post("/admin/monitoring/objective/errors/change/", given)
    assert changed.status_code == 302, changed.context["errors"]
    call_command("load_monitoring", verbosity=0)
    assert Objective.objects.get(slug="errors").target == 0.5
    AlertRule.objects.exclude(slug="errors-burn-slow").update(is_active=False)
    calls("a", 400, 160)  # 40 % fail: eight times of 5 %, and within 50 %
    again()
    assert not live("errors-burn-slow")
    Objective.objects.filter(slug="errors").update(target=0.05)
    again()
    assert live("errors-burn-slow")


def test_the_record_cannot_be_changed_there(browser: Client) -> None:
    for model in ("auditentry", "alert", "incident", "delivery", "securityevent"):
        assert browser.get(f"/admin/monitoring/{model}/add/").status_code == 403
    assert not Objective.objects.exists()
