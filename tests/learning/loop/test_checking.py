"""Live answers are checked by code, through the sweep that beat sends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.models import Invocation
from config import partitions
from config.access.models import User
from learning import checking, tasks
from learning.models import Score

pytestmark = pytest.mark.django_db


def test_an_answer_over_http_is_checked_once_with_its_reasons(agent, api):
    body = {"inputs": agent.cases[0]["input"]}
    answer = api("post", f"/api/v1/agents/{agent.slug}/invocations", body)
    assert answer.status_code in (200, 201), answer.content
    tasks.resume()
    rows = {row.name: row for row in Score.objects.all()}
    assert "check.completeness" in rows, rows
    assert rows["check.completeness"].value == 1.0
    assert {(row.source, row.source_version) for row in rows.values()} == {("code", "checks-1")}
    assert all(0 <= row.value <= 1 for row in rows.values())
    tasks.resume()
    assert Score.objects.count() == len(rows)


def test_an_invented_figure_is_told(bare, call, settings):
    call(bare, timezone.now(), inputs={"question": "total amount of the open invoices, 450.00"},
         output={"text": "The open invoices amount to 987.65."})  # fmt: skip
    call(bare, timezone.now(), inputs={"question": "one more"}, is_demo=True,
         output={"text": "It is 987.65."})  # fmt: skip
    tasks.resume()
    row = Score.objects.get(name="check.accuracy")
    assert row.value == 0.0 and row.reason.startswith("1 of 1 figure is not")
    assert row.subject_id == Invocation.objects.get(is_demo=False).pk


def test_standing_scores_are_found_by_an_index_among_many_checks(bare, call, api):
    call(bare, timezone.now(), inputs={"question": "the total, 450.00"},
         output={"text": "It is 450.00."})  # fmt: skip
    tasks.resume()
    with CaptureQueriesContext(connection) as asked:
        tasks.resume()
        assert api("get", "/api/v1/judges").status_code == 200
    table = Score._meta.db_table
    told = [one["sql"] for one in asked if f'FROM "{table}"' in one["sql"]]
    assert len(told) >= 2
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        for sql in told:
            cursor.execute(f"EXPLAIN {sql}")
            plan = " ".join(line for (line,) in cursor.fetchall())
            assert "score_latest_once" in plan or "score_standing" in plan, plan


def test_checks_are_forgotten_with_their_calls_and_nothing_else_is():
    """The record drops whole months, so the checks of a month that is begun stay."""
    today = timezone.now()
    last = today - timedelta(days=730)
    month = datetime(last.year, last.month, 1, tzinfo=UTC)

    def given(at: datetime, name: str, source: str = "code") -> str:
        row = Score.objects.create(
            id=partitions.first_id(at), client_id=uuid4(), subject_kind="invocation",
            subject_id=uuid4(), name=name, source=source, source_version="checks-1", value=1,
        )  # fmt: skip
        return str(row.pk)

    old = month - timedelta(minutes=1)
    given(old, "check.accuracy")
    given(old - timedelta(days=90), "check.relevance")
    kept = {given(old - timedelta(seconds=1), "accuracy", "human"),
            given(old - timedelta(seconds=2), "check.mood", "human"),
            given(month, "check.accuracy")}  # fmt: skip
    tasks.run_cycle("daily")
    assert {str(pk) for pk in Score.objects.values_list("pk", flat=True)} == kept
    assert checking.forget(today) == 0


QUOTED = ("erika", "muster", "4711234567", "4711230000", "beispi", "8899776655")


def test_no_name_or_number_of_question_answer_or_tool_is_kept_in_a_reason(bare, call):
    asked = "Which balance does Erika Mustermann hold on account 4711234567 today, restated?"
    call(bare, timezone.now(), inputs={"question": asked},
         output={"text": "Unknown: account 4711230000 belongs to Beispiel.",
                 "facts": {"balance": "8899776655.12"}})  # fmt: skip
    tasks.resume()
    rows = Score.objects.all()
    assert {row.name for row in rows if row.reason} == {
        "check.accuracy", "check.completeness", "check.relevance"
    }  # fmt: skip
    browser = Browser()
    browser.force_login(User.objects.create_superuser("root", password="x"))
    for row in rows:
        page = browser.get(f"/admin/learning/score/{row.pk}/change/")
        assert page.status_code == 200 and "of" in row.reason
        for told in (row.reason.lower(), page.content.decode().lower()):
            assert not [one for one in QUOTED if one in told]
