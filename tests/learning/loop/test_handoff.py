from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest
import yaml

from agents import evidence, versions
from learning import handoff, improvements
from learning.models import Improvement

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


def test_a_work_item_goes_to_the_configured_tracker(improvement, api, settings, monkeypatch):
    path = f"/api/v1/improvements/{improvement.pk}/work-item"
    assert api("post", path).status_code == 409
    settings.WORK_ITEM_WEBHOOK_URL = "http://127.0.0.1:9/hook"
    assert api("post", path).status_code == 503  # nobody listens
    sent = []

    class Answer:
        status_code = 201

        def raise_for_status(self):
            return self

    monkeypatch.setattr(handoff.httpx, "post", lambda url, **kw: sent.append(kw) or Answer())
    assert api("post", path).status_code == 200
    assert sent[0]["json"]["title"].endswith("Work in steps")
    assert str(improvement.pk) in sent[0]["headers"]["Idempotency-Key"]
