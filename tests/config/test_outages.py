"""A database or a disk that is away: one sentence and 503, at every door."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator

import psycopg
import pytest
import redis
from django.db import DataError, OperationalError, connection
from django.test import Client as Browser
from psycopg.errors import DiskFull

from config import rest
from config.access import callers
from config.access.models import Client, Membership, User
from config.outages import outage_of
from tests.processes import manage


def a_closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def django_error(cause: psycopg.Error) -> OperationalError:
    error = OperationalError(str(cause))
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (django_error(DiskFull("could not extend file")), "the database is unavailable: its disk"),
        (
            django_error(psycopg.OperationalError("FATAL:  the database system is starting up")),
            "the database is unavailable: it is starting",
        ),
        (redis.ResponseError("MISCONF Errors writing to the AOF file"), "the broker is unava"),
        (redis.ConnectionError("refused"), "the broker is unavailable: it does not answer"),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is unavailable: it is full"),
    ],
)
def test_an_outage_is_one_sentence_without_addresses(error: Exception, said: str) -> None:
    assert str(outage_of(error)).startswith(said)


def test_what_is_no_outage_stays_an_error() -> None:
    assert outage_of(ValueError("odd")) is None
    assert outage_of(redis.ResponseError("WRONGTYPE")) is None
    assert outage_of(None) is None


@pytest.fixture
def away(transactional_db: None) -> Iterator[None]:
    """The database answers no longer, for this process."""
    kept = connection.settings_dict["PORT"]
    connection.close()
    connection.settings_dict["PORT"] = str(a_closed_port())
    yield
    connection.close()
    connection.settings_dict["PORT"] = kept


@pytest.fixture
def key(transactional_db: None) -> str:
    firm, _ = Client.objects.get_or_create(is_firm=True, defaults={"slug": "f", "name": "F"})
    user = User.objects.create_user("mara", password="x")
    Membership.objects.create(user=user, client=firm, role="manager")
    return callers.create_key(user=user, client=firm, name="t", scopes=["runs:read"])[1]


def test_the_api_says_503_and_when_to_come_back(key: str, away: None) -> None:
    browser = Browser(headers={"Authorization": f"Bearer {key}"}, raise_request_exception=False)
    answer = browser.get("/api/v1/runs")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert answer.json()["code"] == "unavailable"
    assert answer.json()["detail"].startswith("the database is unavailable: it does not answer")


def test_a_page_says_503_though_nobody_can_be_signed_in(away: None) -> None:
    browser = Browser(raise_request_exception=False)
    browser.cookies["sessionid"] = "a" * 32
    answer = browser.get("/dashboard")
    assert answer.status_code == 503
    assert "The database is unavailable" in answer.content.decode()


def test_a_command_says_it_in_one_line() -> None:
    nowhere = f"postgresql://u:p@127.0.0.1:{a_closed_port()}/none"
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "DATABASE_URL": nowhere,
           "DATABASE_OWNER_URL": nowhere, "RATCHET_DB_ROLE": "app"}  # fmt: skip
    done = manage("run_workflow", "annual_audit", env=env)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == [
        "manage.py: the database is unavailable: it does not answer: try again in a moment"
    ]


def test_a_value_that_no_column_takes_is_the_callers_mistake_in_the_databases_words() -> None:
    said = "unsupported Unicode escape sequence\nDETAIL:  \\u0000 cannot be converted to text."
    answer = rest.exception_handler(DataError(said), {})
    assert answer.status_code == 422
    assert "cannot be converted to text" in answer.data["detail"]
