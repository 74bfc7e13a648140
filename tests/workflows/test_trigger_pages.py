"""Pages of schedules and suggestions: what they say first, and what people do on them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from config.access.models import Client, User
from tests.workflows.conftest import Begin, Broker
from tests.workflows.test_pages import page, signed_in
from workflows import publishing, sweeps, tasks
from workflows.models import Run, Schedule, Suggestion, Watch

pytestmark = pytest.mark.django_db(transaction=True)

TOLD = (
    "name: told\ntitle: Tell somebody\ninputs: {type: object, required: [who], "
    "properties: {who: {type: string}}}\nsteps:\n  a: {tool: core.echo}\n"
)


@pytest.fixture
def browser(caller: Any) -> Browser:
    return signed_in(User.objects.get(pk=caller.user_id))


def test_a_schedule_is_made_on_its_page_ticks_is_paused_and_deleted(
    browser: Browser, broker: Broker
) -> None:
    publishing.publish(TOLD)
    assert "Nothing starts by itself." in page(browser, "/dashboard/schedules")
    form = "/dashboard/schedules/new?workflow=told"
    posted = {"name": "Mornings", "cron": "30 6 * * 1-5", "time_zone": "Europe/Berlin", "who": "x"}
    bad = browser.post(form, {**posted, "cron": "soon"})
    assert (bad.status_code, "It is not kept" in bad.content.decode()) == (422, True)
    made = browser.post(form, posted)
    schedule = Schedule.objects.get()
    assert made["Location"] == f"/dashboard/schedules/{schedule.pk}"
    Schedule.objects.update(next_at=timezone.now())
    sweeps.sweep()
    text = page(browser, made["Location"])
    assert f"/dashboard/runs/{Run.objects.get().pk}" in text
    listed = page(browser, "/dashboard/schedules")
    assert "1 schedule starts runs." in listed
    assert "At 06:30, Monday through Friday" in listed
    browser.post(f"{made['Location']}/pause")
    assert "<b>Paused.</b>" in page(browser, made["Location"])
    browser.post(f"{made['Location']}/delete")
    assert not Schedule.objects.exists()


def test_a_suggestion_is_started_from_its_page_with_its_inputs_filled_in(
    browser: Browser, finished: Begin, firm: Client
) -> None:
    finished(TOLD, {"who": "x"})
    Run.objects.update(ended_at=timezone.now() - timedelta(days=40))
    Watch.objects.create(
        slug="w", title="Somebody must be told", workflow_name="told",
        condition={"kind": "overdue", "after": "30d"}, inputs={"who": "${ client.name }"},
    )  # fmt: skip
    assert "1 watch looks for it" in page(browser, "/dashboard/suggestions")
    tasks.watch()
    assert "1 run could be started" in page(browser, "/dashboard/suggestions")
    assert ">1</span>" in page(browser, "/dashboard/_suggestions")
    one = Suggestion.objects.get()
    at = f"/dashboard/suggestions/{one.pk}"
    assert 'value="The firm"' in page(browser, at)
    answer = browser.post(at, {"decision": "start", "who": "Bea"})
    run = Run.objects.get(pk=answer["Location"].rpartition("/")[2])
    assert run.inputs == {"who": "Bea"}
    assert "To its run" in page(browser, at)
    assert browser.post(at, {"decision": "dismiss"}).status_code == 409
