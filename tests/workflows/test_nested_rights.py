"""Runs inside of runs are seen by those who may see all of them, wherever they look."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from config.access.models import Client, Membership, User
from monitoring import rollups
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, post, problem, start
from workflows import publishing
from workflows.models import Approval, Artifact, Run, StepRun

pytestmark = pytest.mark.django_db(transaction=True)

INNER = """
name: {inner}
title: What lies inside
{access}inputs: {{type: object, properties: {{file: {{type: string, format: artifact}}}}}}
steps:
  work: {{tool: core.echo, with: {{value: inside}}}}
  bad: {{tool: core.fail, with: {{times: 9}}, retry: {{max_attempts: 1}}, on_error: continue}}
  ask: {{needs: [work, bad], approval: {{role: manager}}}}
"""
OUTER = """
name: {outer}
title: What lies around
{access}inputs: {{type: object, properties: {{file: {{type: string, format: artifact}}}}}}
steps:
  sub: {{workflow: {inner}, with: {{file: "${{ inputs.file }}"}}}}
"""
CLOSED = "access: {see: [partner]}\n"


def given(web: Browser, who: dict[str, str]) -> dict[str, str]:
    """Inputs with a file of its own."""
    file = SimpleUploadedFile("ledger.csv", uuid4().bytes)
    return {"file": web.post("/api/v1/artifacts", {"file": file}, headers=who).json()["id"]}


def nested(web: Browser, who: dict[str, str], broker: Broker, hidden: str) -> tuple[str, str]:
    """A run with a run inside that waits for an approval; ids of both."""
    publishing.publish(INNER.format(inner="inner", access=CLOSED if hidden == "inner" else ""))
    source = OUTER.format(outer="outer", inner="inner",
                          access=CLOSED if hidden == "outer" else "")  # fmt: skip
    outer = start(web, who, source, inputs=given(web, who))["id"]
    broker.drain()
    return outer, str(Run.objects.get(workflow_name="inner").pk)


def looks(name: str, run: str, who: dict[str, str], web: Browser) -> dict[str, Any]:
    """What somebody sees of a run, by every door."""
    approval = Approval.objects.get()
    rows = get(web, "runs", who).json()["results"]
    signed = Browser()
    signed.force_login(User.objects.get(username=name))
    return {
        "list": run in {row["id"] for row in rows},
        "detail": get(web, f"runs/{run}", who).status_code == 200,
        "events": get(web, f"runs/{run}/events?format=json", who).status_code == 200,
        "approval in list": str(approval.pk)
        in {row["id"] for row in get(web, "approvals", who).json()["results"]},
        "artifact in list": bool(get(web, "artifacts", who).json()["results"]),
        "page": signed.get(f"/dashboard/runs/{run}").status_code == 200,
        "page of all": run in signed.get("/dashboard/runs?nested=1").content.decode(),
        "page of approvals": str(approval.pk)
        in signed.get("/dashboard/approvals").content.decode(),
        "live piece": signed.get(f"/dashboard/runs/{run}/_live").status_code == 200,
        "step": signed.get(
            f"/dashboard/runs/{run}/steps/{StepRun.objects.get(run=run, key='work').pk}"
        ).status_code == 200,
    }  # fmt: skip


@pytest.mark.parametrize("hidden", ["outer", "inner"])
def test_a_run_inside_is_seen_only_by_those_who_may_see_it_and_what_is_around_it(
    web: Browser, key: Key, broker: Broker, hidden: str
) -> None:
    partner = key("partner", username="starter")
    _, inner = nested(web, partner, broker, hidden)
    outsider = key("manager", username="mia", scopes=None)
    seen = looks("mia", inner, outsider, web)
    # What the outer run was given too is seen with it.
    assert seen == {**dict.fromkeys(seen, False), "artifact in list": hidden == "inner"}
    for name, who in (("starter", partner), ("pia", key("partner", username="pia"))):
        seen = looks(name, inner, who, web)
        assert seen == dict.fromkeys(seen, True), name
    for action in ("cancel", "pause", "signal", "retry"):
        body = {"name": "x"} if action == "signal" else {}
        answer = post(web, f"runs/{inner}/{action}", body, outsider)
        problem(answer, 404, "not_found")
    problem(post(web, f"runs/{inner}/fork", {"from_step": "work"}, outsider), 404, "not_found")


def test_the_page_of_a_run_names_no_run_inside_that_is_hidden(
    web: Browser, key: Key, broker: Broker
) -> None:
    outer, inner = nested(web, key("partner"), broker, "inner")
    for role, shown in (("manager", False), ("partner", True)):
        key(role, username=f"the-{role}")
        signed = Browser()
        signed.force_login(User.objects.get(username=f"the-{role}"))
        assert (inner in signed.get(f"/dashboard/runs/{outer}?step=sub").content.decode()) is shown


def test_a_run_two_levels_down_and_a_fork_of_one_are_hidden_by_the_outermost(
    web: Browser, key: Key, broker: Broker
) -> None:
    partner, manager = key("partner"), key("manager")
    publishing.publish(INNER.format(inner="inner", access=""))
    publishing.publish(OUTER.format(outer="middle", inner="inner", access=""))
    top = OUTER.format(outer="top", inner="middle", access=CLOSED)
    start(web, partner, top, inputs=given(web, partner))
    broker.drain()
    inner = Run.objects.get(workflow_name="inner")
    assert len(inner.within) == 2
    fork = post(web, f"runs/{inner.pk}/fork", {"from_step": "ask"}, partner).json()["id"]
    StepRun.objects.filter(run_id=fork, key="ask").update(state="dead", wake_at=None)
    assert get(web, "runs", manager).json()["results"] == []
    assert get(web, "dead-letters", manager).json()["results"] == []
    for run in (inner.pk, fork):
        problem(get(web, f"runs/{run}", manager), 404, "not_found")
        assert get(web, f"runs/{run}", key("partner")).status_code == 200
    assert len(get(web, "dead-letters", partner).json()["results"]) == 1


def test_a_list_asks_for_no_row_by_itself_what_hides_it(
    web: Browser, key: Key, broker: Broker
) -> None:
    partner, manager = key("partner"), key("manager")
    nested(web, partner, broker, "outer")
    counts = []
    for _ in range(2):
        get(web, "runs", manager)  # what a process learns once
        with CaptureQueriesContext(
            connection,
        ) as asked:
            get(web, "runs", manager)
        counts.append(len(asked))
        for _ in range(5):
            source = OUTER.format(outer="open", inner="inner", access="")
            start(web, manager, source, inputs=given(web, manager))
        broker.drain()
    assert len(get(web, "runs", manager).json()["results"]) >= 10
    assert counts[0] == counts[1]


def test_the_admin_and_the_figures_show_no_more_than_the_lists_do(
    web: Browser, key: Key, broker: Broker, firm: Client
) -> None:
    _, inner = nested(web, key("partner"), broker, "outer")
    administrator = User.objects.create_user("adi", password="x", is_staff=True, is_superuser=True)
    Membership.objects.create(user=administrator, client=firm, role="administrator")
    post(web, f"runs/{inner}/cancel", {}, key("partner"))
    broker.drain()
    rollups.roll_up()
    signed = Browser()
    signed.force_login(administrator)
    assert Artifact.objects.exists()
    for page in ("run", "steprun", "approval", "artifact", "runevent"):
        answer = signed.get(f"/admin/workflows/{page}/")
        assert answer.status_code == 200
        assert not answer.context["cl"].queryset.exists(), page
    for name, shown in (("outer", False), ("inner", True)):
        said = signed.get(f"/dashboard/workflows/{name}").content.decode()
        assert ("The one run that ended" in said) is shown
        assert ("Shown to those who may see its runs" in said) is not shown
    problem(get(web, "workflows/outer/statistics", key("manager")), 403, "forbidden")
