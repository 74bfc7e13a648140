"""Every change through a door, and every privileged read, is an entry of the audit log."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client as Http
from django.utils import timezone

from config.access import callers
from config.access.models import Audience, Client, Membership, User
from config.access.roles import SCOPES
from monitoring import tasks
from monitoring.intents import GRACE, Intent
from monitoring.models import AuditEntry, AuditIntent, AuditPending
from workflows import artifacts

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss() -> User:
    firm = Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )[0]
    user = User.objects.create_superuser("boss", password="right horse")
    Membership.objects.create(user=user, client=firm, role="administrator")
    return user


def entries() -> list[tuple[str, str]]:
    """What the doors wrote; services write entries of their own besides."""
    rows = AuditEntry.objects.filter(action__regex=r"^(http|access)\.").order_by("id")
    return list(rows.values_list("action", "target"))


def test_the_admin_is_on_record_from_sign_in_to_sign_out(boss: User) -> None:
    browser = Http()
    browser.post("/login", {"username": "boss", "password": "wrong"})
    browser.post("/login", {"username": "boss", "password": "right horse"})
    form: dict[str, Any] = {"kind": "region", "name": ""}
    assert browser.post("/admin/access/audience/add/", form).status_code == 200  # it has a fault
    assert browser.post("/admin/access/audience/add/", {**form, "name": "EU"}).status_code == 302
    browser.get("/admin/access/audience/")
    browser.get(f"/admin/access/user/{boss.pk}/change/")
    browser.post("/logout")
    assert entries() == [
        ("access.signed_in", "/login"),
        ("http.post", "/admin/access/audience/add/"),
        ("http.read", f"/admin/access/user/{boss.pk}/change/"),
        ("http.post", "/logout"),
    ]
    assert set(AuditEntry.objects.values_list("actor", "user_id")) == {(f"user:{boss.pk}", boss.pk)}


def test_changes_and_reads_of_words_through_the_api_are_on_record(
    boss: User, settings: Any, tmp_path: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    firm = Client.objects.get(is_firm=True)
    _, secret = callers.create_key(user=boss, client=firm, name="k", scopes=list(SCOPES))
    http = Http(headers={"Authorization": f"Bearer {secret}"})
    kept = artifacts.save(client_id=firm.pk, name="a.txt", content=b"x")
    silence = {"reason": "known", "ends_at": "2020-01-01T00:00:00Z"}
    assert (
        http.post("/api/v1/silences", silence, content_type="application/json").status_code == 422
    )
    assert http.post("/api/v1/guardrails/scan", {"text": "x"},
                     content_type="application/json").status_code == 200  # fmt: skip
    assert http.get("/api/v1/artifacts").status_code == 200
    assert http.get(f"/api/v1/artifacts/{kept.pk}").status_code == 200
    workflow = {"definition": "name: one\nsteps: {a: {tool: core.echo, with: {value: 1}}}"}
    made = http.post("/api/v1/workflows", workflow, content_type="application/json")
    assert made.status_code == 201, made.content
    assert entries() == [
        ("http.read", f"/api/v1/artifacts/{kept.pk}"),
        ("http.post", "/api/v1/workflows"),
    ]
    actors = AuditEntry.objects.filter(client_id=firm.pk).values_list("actor", flat=True)
    assert all(actor.startswith("key:") for actor in actors if actor != "system:engine")
    assert not AuditIntent.objects.exists()


class Killed(BaseException):
    """As far as the request is concerned, SIGKILL."""


def test_a_change_whose_process_died_before_its_entry_is_on_record_all_the_same(
    boss: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(self: Intent, *given: Any, **more: Any) -> None:
        raise Killed

    browser = Http()
    browser.force_login(boss)
    monkeypatch.setattr(Intent, "settle", die)
    with pytest.raises(Killed):
        browser.post("/admin/access/audience/add/", {"kind": "region", "name": "EU"})
    monkeypatch.undo()
    assert Audience.objects.filter(name="EU").exists()
    assert entries() == []
    tasks.seal_audit()
    assert entries() == []  # it may still be at work
    AuditIntent.objects.update(at=timezone.now() - GRACE - timedelta(seconds=1))
    tasks.seal_audit()
    tasks.seal_audit()
    entry = AuditEntry.objects.get(action="http.post.unfinished")
    assert (entry.actor, entry.user_id) == (f"user:{boss.pk}", boss.pk)
    assert entry.target == "/admin/access/audience/add/"
    assert not AuditPending.objects.exists()
    assert not AuditIntent.objects.exists()


def test_what_cannot_be_put_on_record_is_neither_done_nor_given(boss: User, tmp_path: Any) -> None:
    browser = Http(raise_request_exception=False)
    browser.force_login(boss)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE monitoring_auditintent RENAME TO away")
        with transaction.atomic():
            form = {"kind": "region", "name": "EU"}
            assert browser.post("/admin/access/audience/add/", form).status_code >= 500
            transaction.set_rollback(True)
        cursor.execute("ALTER TABLE away RENAME TO monitoring_auditintent")
        assert not Audience.objects.filter(name="EU").exists()
        cursor.execute("ALTER TABLE monitoring_auditpending RENAME TO away")
        with transaction.atomic():
            assert browser.get(f"/admin/access/user/{boss.pk}/change/").status_code >= 500
            transaction.set_rollback(True)
