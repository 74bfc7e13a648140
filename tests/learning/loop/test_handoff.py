from __future__ import annotations

import json
import subprocess
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest
import yaml
from django.test import Client as Browser

from agents import evidence, versions
from agents.invoke import Call, invoke
from agents.models import Invocation
from config.access.models import Client, User
from learning import handoff, improvements
from learning.models import Feedback, Improvement

pytestmark = pytest.mark.django_db


@pytest.fixture
def improvement(agent, firm):
    return proposed(agent, firm, prompt="You reconcile bank accounts in steps.\nNever guess.")


def proposed(agent, firm, **changes):
    base = evidence.production(agent.slug)
    content = replace(versions.content_of(base), **changes)
    version, _ = versions.publish(agent=agent, content=content)
    row, _ = improvements.propose(
        client_id=firm.pk, agent_slug=agent.slug, kind="prompt", title="Work in steps",
        proposal={"variation": "explicit"}, expected={"score_difference": 0.2},
        evidence={"priority": "10 USD a month × 0.5 ÷ 1 = 5", "count": 9},
        candidate_version_id=version.pk, base_version_id=base.pk, proposed_by="rules",
    )  # fmt: skip
    return row


def test_git_am_takes_the_patch_of_an_improvement_into_the_shipped_catalogue(
    agent, improvement, api, tmp_path
):
    answer = api("get", f"/api/v1/improvements/{improvement.pk}/patch")
    assert answer["Content-Type"].startswith("text/x-patch")
    text = answer.content.decode()
    assert "10 USD a month" in text
    file = handoff._file_of(agent.slug)
    copy = tmp_path / "agents" / "catalogue" / file.name
    copy.parent.mkdir(parents=True)
    copy.write_text(file.read_text("utf-8"), "utf-8")

    def git(*words, given=None):
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        found = subprocess.run(["git", *who, *words], cwd=tmp_path, input=given, text=True,
                               capture_output=True)  # fmt: skip
        assert found.returncode == 0, found.stderr
        return found.stdout

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "The catalogue as it is shipped")
    git("am", "-q", given=text)
    message = git("log", "-1", "--format=%an%n%B")
    assert message.startswith("Ratchet\nagents: Work in steps")
    assert "Count: 9" in message and str(improvement.pk) in message
    assert git("diff", "--stat", "HEAD~1").count("|") == 1
    entry = next(e for e in yaml.safe_load(copy.read_text("utf-8"))["agents"]
                 if e["slug"] == agent.slug)  # fmt: skip
    assert entry["prompt"].strip() == "You reconcile bank accounts in steps.\nNever guess."


def test_what_the_file_cannot_say_is_refused(agent, firm, api):
    row = proposed(agent, firm, examples=[{"input": "a", "output": "b"}])
    answer = api("get", f"/api/v1/improvements/{row.pk}/patch")
    assert answer.status_code == 409
    assert "examples" in answer.json()["detail"]


def test_a_tuned_model_that_the_file_cannot_name_is_refused_and_not_half_written(agent, firm, api):
    """The patch would have had the other temperature and not the model that was tried with it."""
    model = {**evidence.production(agent.slug).model, "name": "ft:m:1", "temperature": 0.4}
    row = proposed(agent, firm, model=model)
    answer = api("get", f"/api/v1/improvements/{row.pk}/patch")
    assert answer.status_code == 409
    assert "a change of the model's name" in answer.json()["detail"]


def test_a_measured_effect_is_said_in_words(improvement, api):
    effect = {"how": "measured on 3 graded tuning cases", "cases": 3, "base_score": 0.8,
              "score": 1.0, "score_difference": 0.2, "cost_ratio": 0.25}  # fmt: skip
    Improvement.objects.update(evidence={"effect": effect})
    body = api("get", f"/api/v1/improvements/{improvement.pk}/work-item").json()["body"]
    assert ("Effect: measured on 3 graded tuning cases, 3 cases, score 0.8 before, 1.0 after, "
            "difference of score 0.2, cost × 0.25") in body  # fmt: skip


def test_a_work_item_says_what_why_and_how_sure(improvement, api):
    body = api("get", f"/api/v1/improvements/{improvement.pk}/work-item").json()
    assert body["title"].endswith("Work in steps")
    assert "Count: 9" in body["body"]
    assert "risk:medium" in body["labels"]
    assert body["improvement"]["id"] == str(improvement.pk)


class Tracker(BaseHTTPRequestHandler):
    """Fails once, then makes an issue of what it is sent."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.taken.append((self.headers["Idempotency-Key"], body))
        first = len(self.server.taken) == 1
        self.send_response(500 if first else 201)
        self.end_headers()
        if not first:
            made = {"id": 91, "number": 7, "html_url": "https://tracker.example/issues/7"}
            self.wfile.write(json.dumps(made).encode())

    def log_message(self, *words):
        pass


@pytest.fixture
def tracker(settings):
    with ThreadingHTTPServer(("127.0.0.1", 0), Tracker) as server:
        server.taken = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings.WORK_ITEM_WEBHOOK_URL = f"http://127.0.0.1:{server.server_address[1]}/hook"
        yield server
        server.shutdown()


def test_a_work_item_goes_to_the_tracker_once_and_its_id_and_link_are_kept(
    improvement, api, tracker
):
    path = f"/api/v1/improvements/{improvement.pk}/work-item"
    failed = api("post", path)
    assert failed.status_code == 503 and "answered 500" in failed.json()["detail"]
    assert failed["Retry-After"] and api("get", path).json()["sent"] is None
    sent = api("post", path).json()["sent"]
    assert (sent["id"], sent["url"]) == ("7", "https://tracker.example/issues/7")
    assert api("post", path).json()["sent"] == sent
    assert api("get", path).json()["sent"] == sent
    assert len(tracker.taken) == 2  # what was taken is not sent again
    key, body = tracker.taken[1]
    assert key == tracker.taken[0][0] == f"improvement-{improvement.pk}"
    assert body["title"].endswith("Work in steps") and "sent" not in body
    assert api("get", f"/api/v1/improvements/{improvement.pk}").json()["work_item"] == sent


def test_the_tracker_gets_only_words_that_all_who_read_the_improvement_may_read(
    improvement, agent, firm, api, tracker
):
    """Whoever looks at the tracker reads them, and no erasure reaches it."""
    tracker.taken.append(("", {}))
    other = Client.objects.create(name="Elsewhere Ltd", slug="elsewhere")
    calls = [invoke(Call(agent=agent.slug, inputs={"n": n}, client_id=firm.pk)).invocation_id
             for n in range(2)]  # fmt: skip
    Invocation.objects.filter(pk=calls[1]).update(limited_to=["role:reviewer"])
    rows = [
        Feedback.objects.create(
            client_id=client.pk, subject_kind="invocation", subject_id=about, kind="complaint",
            agent_slug=agent.slug, author_key=str(n), text=text,
        )
        for n, (client, about, text) in enumerate([
            (firm, calls[0], "it is too slow"), (firm, calls[1], "the secret merger is wrong"),
            (other, uuid4(), "our divorce is missing"),
        ])
    ]  # fmt: skip
    kept = {**improvement.evidence, "feedback": [str(row.pk) for row in rows]}
    Improvement.objects.filter(pk=improvement.pk).update(evidence=kept)
    path = f"/api/v1/improvements/{improvement.pk}/work-item"
    shown = api("get", path).json()["body"]
    assert "too slow" in shown and "divorce" in shown
    assert api("post", path).status_code == 200
    _, sent = tracker.taken[-1]
    assert "> it is too slow" in sent["body"]
    assert "merger" not in str(sent) and "divorce" not in str(sent)


def test_a_reviewer_sends_a_work_item_from_the_page(improvement, firm, tracker):
    tracker.taken.append(("", {}))
    browser = Browser()
    browser.force_login(User.objects.create_superuser("root", password="x"))
    page = f"/admin/learning/improvement/{improvement.pk}/change/"
    assert "Send to the issue tracker" in browser.get(page).content.decode()
    browser.post(page, {"do": "hand_out"})
    text = browser.get(page).content.decode()
    assert "https://tracker.example/issues/7" in text and "Send to the issue" not in text


def test_without_a_tracker_or_while_it_is_away_nothing_is_handed_out(improvement, api, settings):
    path = f"/api/v1/improvements/{improvement.pk}/work-item"
    assert api("post", path).status_code == 409
    settings.WORK_ITEM_WEBHOOK_URL = "http://127.0.0.1:9/hook"
    assert api("post", path).status_code == 503  # nobody listens
