"""The list of what was done again, as its page and its file show it."""

from __future__ import annotations

import csv
import io
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from agents.models import AgentVersion
from learning.models import Feedback
from tests.learning.ground import SLUG, make_agent

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(person):
    seen = Browser()
    seen.force_login(person("reviewer"))
    return seen


def corrected(firm, version):
    return Feedback.objects.create(
        client_id=firm.pk, subject_kind="invocation", subject_id=uuid4(), agent_slug=SLUG,
        version_id=version.pk, kind="correction", corrected_output="Seven.", author_key="me",
    )  # fmt: skip


def test_a_version_of_more_digits_than_any_has_is_no_other_one(browser, firm):
    _, _, new = make_agent()
    new.pk, new.number, new.digest = uuid4(), 123456789, "x"
    AgentVersion.objects.bulk_create([new])
    corrected(firm, new)

    def listed(version):
        answer = browser.get(f"/dashboard/again.csv?agent={SLUG}&version={version}")
        assert answer.status_code == 200
        return list(csv.DictReader(io.StringIO(answer.getvalue().decode())))

    assert len(listed("123456789")) == 1
    assert listed("1234567890") == listed("9" * 5000) == []


def test_the_newest_corrections_are_read_from_an_index(browser, firm):
    _, old, _ = make_agent()
    corrected(firm, old)
    with CaptureQueriesContext(connection) as asked:
        assert "Answer corrected" in browser.get("/dashboard/again").content.decode()
    table = Feedback._meta.db_table
    (sql,) = [one["sql"] for one in asked if f'FROM "{table}"' in one["sql"]]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {sql}")
        plan = " ".join(line for (line,) in cursor.fetchall())
    assert "feedback_corrections" in plan and "Sort" not in plan, plan
