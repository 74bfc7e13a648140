"""An index of the record is built beside the calls that are stored, and again after a crash."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection
from django.utils import timezone

from agents.models import Invocation
from config.partitions import existing_months, partition_name

pytestmark = pytest.mark.django_db(transaction=True)
INDEX = "invocation_trouble"
AGENT = uuid4()


@pytest.fixture
def upgraded() -> Iterator[Any]:
    """Takes the agents' tables back to a migration; all are up to date again at the end."""
    yield lambda *name: call_command("migrate", "agents", *name, verbosity=0)
    call_command("migrate", verbosity=0)  # what depends on them went back along with them


def valid(name: str) -> list[bool]:
    """Whether an index and each that is attached to it can be used; empty if there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT x.indisvalid FROM pg_index x WHERE x.indexrelid = to_regclass(%s) "
            "UNION ALL SELECT x.indisvalid FROM pg_inherits i "
            "JOIN pg_index x ON x.indexrelid = i.inhrelid WHERE i.inhparent = to_regclass(%s)",
            [name, name],
        )
        return [one for (one,) in cursor.fetchall()]


def test_an_index_that_a_crash_left_half_made_is_whole_after_the_next_try(upgraded: Any) -> None:
    for _ in range(2):
        Invocation.objects.create(
            client_id=AGENT, agent_id=AGENT, agent_slug="twice", version_id=AGENT,
            version_number=1, state=Invocation.State.FAILED, started_at=timezone.now(),
        )  # fmt: skip
    upgraded("0014_reviews")
    assert valid(INDEX) == []
    month = partition_name("agents_invocation", timezone.now())
    with connection.cursor() as cursor, pytest.raises(IntegrityError):
        cursor.execute(
            f'CREATE UNIQUE INDEX CONCURRENTLY "{month}_{INDEX}" ON "{month}" (agent_id)'
        )
    assert valid(f"{month}_{INDEX}") == [False]
    upgraded()
    found = valid(INDEX)
    assert all(found)
    assert len(found) == len(existing_months("agents_invocation")) + 2, "the parent, the default"
    assert valid(f"{month}_{INDEX}") == [True]
