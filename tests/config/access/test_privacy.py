"""What is known of a person comes out whole, and goes whole."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client as Http
from django.utils import timezone

from agents.models import Conversation, Invocation, ModelCall, ToolCall, Turn
from config.access import callers
from config.access.models import Client, Invitation, Membership, User
from config.access.roles import SCOPES
from learning.models import Example, Feedback
from monitoring import shipped
from monitoring.models import Alert, AlertRule, Channel, Incident
from monitoring.services import Measurement, audit, record, security_event
from tests.learning.ground import make_agent
from workflows import artifacts, publishing
from workflows.models import Run, StepRun

pytestmark = pytest.mark.django_db
# What only this person ever said; after the erasure it may stand nowhere.
WORD = "zyxomatic"
MAIL = "ada.zyxomatic@example.org"


@pytest.fixture(autouse=True)
def _own_folders(settings: Any, tmp_path: Path) -> None:
    settings.RATCHET_HOME = tmp_path
    settings.EMAIL_FILE_PATH = tmp_path / "mail"
    settings.MEDIA_ROOT = tmp_path / "artifacts"


@pytest.fixture
def firm() -> Client:
    return Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )[0]


def member(firm: Client, name: str, role: str) -> User:
    user = User.objects.create_user(name, password="right horse", email=f"{name}@example.org")
    Membership.objects.create(user=user, client=firm, role=role)
    return user


def key_of(user: User, firm: Client) -> str:
    return callers.create_key(user=user, client=firm, name="k", scopes=list(SCOPES))[1]


@pytest.fixture
def staff(firm: Client) -> Http:
    boss = member(firm, "boss", "administrator")
    return Http(headers={"Authorization": f"Bearer {key_of(boss, firm)}"})


@pytest.fixture
def ada(firm: Client) -> User:
    """A person who has left something in every room."""
    user = member(firm, "ada", "professional")
    User.objects.filter(pk=user.pk).update(email=MAIL, first_name="Ada", last_name=WORD)
    user.refresh_from_db()
    Invitation.objects.create(email=MAIL, client=firm, role="professional", digest="d",
                              invited_by=user, expires_at=timezone.now())  # fmt: skip
    audit(actor="user:x", action="access.user.changed", user_id=user.pk, subject_id=user.pk,
          before={"name": WORD})  # fmt: skip
    security_event(kind="denied", user_id=user.pk, detail={"path": WORD}, address="10.0.0.1")
    record([Measurement({"cost_usd": 1.0}, {"user": str(user.pk)})])
    Channel.objects.create(name="mail", kind="email", address=MAIL)
    agent, version, _ = make_agent()
    talk = Conversation.objects.create(client_id=firm.pk, agent_id=agent.pk, agent_slug=agent.slug,
                                       user_id=user.pk, title=WORD, summary=WORD)  # fmt: skip
    Turn.objects.create(client_id=firm.pk, conversation=talk, number=1, role="user", text=WORD)
    call = Invocation.objects.create(
        client_id=firm.pk, agent_id=agent.pk, agent_slug=agent.slug, version_id=version.pk,
        version_number=1, user_id=user.pk, unit=str(user.pk), state="succeeded", prompt=WORD,
        inputs={"q": WORD}, output={"text": WORD}, sealed=WORD, cost_usd="0.5",
        started_at=timezone.now(),
    )  # fmt: skip
    ModelCall.objects.create(
        client_id=firm.pk, invocation_id=call.pk, number=1, endpoint="e", model="m",
        state="succeeded", messages=[{"content": WORD}], answer={"text": WORD},
        started_at=timezone.now(),
    )  # fmt: skip
    ToolCall.objects.create(client_id=firm.pk, invocation_id=call.pk, name="t", state="succeeded",
                            arguments={"a": WORD}, result={"r": WORD},
                            started_at=timezone.now())  # fmt: skip
    said = Feedback.objects.create(
        client_id=firm.pk, subject_kind="invocation", subject_id=call.pk, kind="correction",
        author=user, author_key=f"user:{user.pk}", corrected_output=WORD, text=WORD,
        agent_slug=agent.slug,
    )  # fmt: skip
    Example.objects.create(client_id=firm.pk, agent_slug=agent.slug, source="correction",
                           invocation_id=call.pk, feedback_id=said.pk, question=WORD, answer=WORD,
                           digest="d")  # fmt: skip
    given = artifacts.save(client_id=firm.pk, name=f"{WORD}.csv", content=WORD.encode() * 3,
                           user_id=user.pk)  # fmt: skip
    made = artifacts.save(client_id=firm.pk, name="report.txt", content=WORD.encode() * 5)
    flow, _ = publishing.publish("name: one\nsteps: {a: {tool: core.echo, with: {value: 1}}}")
    run = Run.objects.create(client=firm, version=flow, workflow_name="one",
                             state="succeeded", inputs={"x": WORD, "f": str(given.pk)},
                             outputs={"y": WORD}, started_by=user,
                             ended_at=timezone.now())  # fmt: skip
    StepRun.objects.create(run=run, key="a", kind="tool", state="succeeded",
                           input={"x": WORD}, output={"x": WORD, "file": str(made.pk)})  # fmt: skip
    return user


def everywhere(word: str, folder: Path) -> list[str]:
    """Tables and files in which ``word`` still stands."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
            "AND relkind IN ('r', 'p') AND NOT relispartition"
        )
        tables = [name for (name,) in cursor.fetchall()]
        found = []
        for table in tables:
            cursor.execute(
                f'SELECT 1 FROM "{table}" t WHERE t::text LIKE %s LIMIT 1', [f"%{word}%"]
            )
            found += [table] if cursor.fetchone() else []
    files = [path for path in folder.rglob("*") if path.is_file()]
    return found + [str(path) for path in files if word.encode() in path.read_bytes()]


def test_an_export_holds_every_room_and_its_manifest_tells_the_truth(
    ada: User, staff: Http
) -> None:
    made = staff.post("/api/v1/privacy/exports", {"subject_id": str(ada.pk)},
                      content_type="application/json")  # fmt: skip
    assert made.status_code == 201, made.content
    content = b"".join(staff.get(made.json()["href"]).streaming_content)
    archive = zipfile.ZipFile(io.BytesIO(content))
    manifest = json.loads(archive.read("manifest.json"))
    assert set(manifest["files"]) == set(archive.namelist()) - {"manifest.json"}
    for name in ("access/account", "agents/turns", "agents/invocations", "learning/feedback",
                 "learning/examples", "workflows/runs", "monitoring/audit_payloads"):  # fmt: skip
        assert json.loads(archive.read(f"{name}.json")), name
    assert "password" not in archive.read("access/account.json").decode()
    (file,) = [name for name in archive.namelist() if name.startswith("workflows/artifacts/")]
    assert archive.read(file) == WORD.encode() * 3
    nobody = Http().get(made.json()["href"])
    assert nobody.status_code == 401


def test_an_erased_person_stands_nowhere_and_the_chain_still_holds(
    ada: User, staff: Http, tmp_path: Path, django_capture_on_commit_callbacks: Any, capsys: Any
) -> None:
    mail = tmp_path / "mail" / "1.log"
    mail.parent.mkdir()
    mail.write_text(f"To: {MAIL}\n\n{WORD}")
    staff.post("/api/v1/privacy/exports", {"subject_id": str(ada.pk)},
               content_type="application/json")  # fmt: skip
    call_command("verify_audit")
    assert everywhere(WORD, tmp_path)
    with django_capture_on_commit_callbacks(execute=True):
        done = staff.post("/api/v1/privacy/erasures", {"subject_id": str(ada.pk)},
                          content_type="application/json")  # fmt: skip
    assert done.status_code == 201, done.content
    counts = done.json()["erased"]
    assert counts["agents.conversations"] == counts["workflows.runs"] == 1
    assert counts["workflows.artifacts"] == 2
    assert everywhere(WORD, tmp_path) == []
    call_command("verify_audit")
    assert "the chain holds" in capsys.readouterr().out
    # What others counted stays countable, and the account opens no door.
    assert Invocation.objects.get().cost_usd > 0
    assert Invocation.objects.get().unit.startswith("erased-")
    assert authenticate(username="ada", password="right horse") is None
    call_command("erase_subject", str(ada.pk))  # harmless to repeat
    assert "erased" in capsys.readouterr().out


def test_who_ended_an_alert_or_came_to_an_incident_is_named_no_more(
    ada: User, staff: Http, tmp_path: Path
) -> None:
    shipped.load()
    who, now = f"user:{ada.pk}", timezone.now()
    incident = Incident.objects.create(
        cause="agent:a", title="t", severity="high", state="resolved", opened_at=now,
        resolved_at=now, acknowledged_by=who, summary=f"Acknowledged by {who}.",
    )  # fmt: skip
    Alert.objects.create(
        rule=AlertRule.objects.all()[0], incident=incident, scope="agent", key="a",
        state="resolved", severity="high", pending_since=now, resolved_at=now, resolved_by=who,
    )  # fmt: skip
    done = staff.post("/api/v1/privacy/erasures", {"subject_id": str(ada.pk)},
                      content_type="application/json")  # fmt: skip
    assert done.status_code == 201, done.content
    left = everywhere(who, tmp_path)
    assert not {"monitoring_alert", "monitoring_incident"} & set(left)


def test_records_can_be_left_to_their_client(ada: User, firm: Client) -> None:
    call_command("erase_subject", str(ada.pk), "--keep-records")
    run = Run.objects.get()
    assert run.inputs["x"] == WORD
    assert run.started_by_id is None
    assert not Turn.objects.exists()


def test_what_cannot_be_erased_is_refused_and_nothing_is_half_done(
    ada: User, firm: Client, staff: Http
) -> None:
    Run.objects.update(state="running", ended_at=None)
    refused = staff.post("/api/v1/privacy/erasures", {"subject_id": str(ada.pk)},
                         content_type="application/json")  # fmt: skip
    assert refused.status_code == 409
    assert "1 run(s)" in refused.json()["detail"]
    assert Feedback.objects.get().text == WORD
    assert Turn.objects.exists()
    with pytest.raises(CommandError, match="the last active administrator"):
        call_command("erase_subject", str(User.objects.get(username="boss").pk))
    with pytest.raises(CommandError, match="the UUID of a user"):
        call_command("erase_subject", "ada")
    with pytest.raises(CommandError, match="no person"):
        call_command("export_subject", "019dc000-0000-7000-8000-000000000000")


def test_the_command_writes_the_same_zip_for_nobody_elses_eyes(ada: User, tmp_path: Path) -> None:
    target = tmp_path / "ada.zip"
    call_command("export_subject", str(ada.pk), "--to", str(target))
    assert target.stat().st_mode & 0o077 == 0
    assert "agents/turns.json" in zipfile.ZipFile(target).namelist()
    with pytest.raises(CommandError, match="exists"):
        call_command("export_subject", str(ada.pk), "--to", str(target))


def test_only_who_sees_all_clients_of_a_person_may_ask(ada: User, firm: Client) -> None:
    other = Client.objects.create(slug="other", name="Other")
    outsider = member(other, "out", "administrator")
    asking = Http(headers={"Authorization": f"Bearer {key_of(outsider, other)}"})
    for path in ("exports", "erasures"):
        answer = asking.post(f"/api/v1/privacy/{path}", {"subject_id": str(ada.pk)},
                             content_type="application/json")  # fmt: skip
        assert answer.status_code == 404
