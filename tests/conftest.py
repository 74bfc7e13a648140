"""Real PostgreSQL and Redis for every test that may touch them; nothing for the pure ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.test import TransactionTestCase
from hypothesis import settings as properties

from tests import processes, services

# The same examples every time: a run of the suite fails for what was changed, not for its luck.
properties.register_profile("suite", derandomize=True, deadline=None, database=None)
_TESTS = Path(__file__).parent
# Folders whose tests start what they need themselves, or nothing.
_ALONE = {"domain", "embedded", "supervisor", "processes"}


def pytest_configure(config: pytest.Config) -> None:
    # New examples where proofs may take their time: in ``make chaos``.
    if not _is_long(config):
        properties.load_profile("suite")


def _is_long(config: pytest.Config) -> bool:
    return bool({"chaos", "slow"} & set(str(config.option.markexpr).split()))


def pytest_sessionstart(session: pytest.Session) -> None:
    # The controller of xdist collects nothing itself, and its workers can't start the servers.
    if session.config.getoption("numprocesses", None):
        services.start()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow proofs run when they are asked for (``-m slow``, ``-m chaos``), not in ``make test``."""
    if _is_long(config):
        return
    if left_out := [item for item in items if item.get_closest_marker("slow") is not None]:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item.get_closest_marker("slow") is None]
    # Modules that take minutes begin first: two processes that share the rest end together.
    long = {item.path for item in items if item.get_closest_marker("worker") is not None}
    long |= {item.path for item in items if "browser" in item.path.parts}
    items.sort(key=lambda item: item.path not in long)


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.getoption("collectonly"):
        return
    if any(_may_use_services(item) for item in session.items):
        services.start()


def pytest_unconfigure(config: pytest.Config) -> None:
    processes.stop()
    services.stop()


def _may_use_services(item: pytest.Item) -> bool:
    return not _ALONE & set(item.path.relative_to(_TESTS).parts)


# What migrations and nobody else put there; a test that changes it changes it for all.
_KEPT_TABLES = ("django_content_type", "auth_permission", "django_migrations")
_TABLES = """
    SELECT quote_ident(c.relname) FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
      AND NOT c.relispartition AND NOT c.relname = ANY(%s) ORDER BY 1
"""


def _empty_tables(case: TransactionTestCase) -> None:
    """Empty the tables that a test has filled.

    Django's flush empties all of them and then makes every permission anew, which takes a second
    with this many tables; a test fills a dozen.
    """
    if not connection.settings_dict["NAME"].startswith("test_"):
        raise AssertionError("refusing to empty a database that is not a test's")
    with connection.cursor() as cursor:
        cursor.execute(_TABLES, [list(_KEPT_TABLES)])
        tables = [name for (name,) in cursor.fetchall()]
        cursor.execute(
            " UNION ALL ".join(f"SELECT '{t}' WHERE EXISTS (SELECT 1 FROM {t})" for t in tables)
        )
        if filled := [name for (name,) in cursor.fetchall()]:
            cursor.execute(f"TRUNCATE {', '.join(filled)} CASCADE")


@pytest.fixture(autouse=True, scope="session")
def _quick_teardown() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", _empty_tables)
        yield


@pytest.fixture(autouse=True)
def _empty_redis(request: pytest.FixtureRequest) -> None:
    """Every test with a database begins with an empty broker and an empty cache."""
    if not {"db", "transactional_db", "live_server"} & set(request.fixturenames) and (
        request.node.get_closest_marker("django_db") is None
    ):
        return
    import redis

    for url in (os.environ["REDIS_URL"], os.environ["CACHE_URL"]):
        with redis.Redis.from_url(url) as client:
            client.flushdb()


@pytest.fixture
def process_environment(transactional_db: None, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment for real child processes that work on this test's database.

    Children connect as the application role, as in production.
    """
    name = settings.DATABASES["default"]["NAME"]
    yield {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{name}",
        "DATABASE_OWNER_URL": os.environ["DATABASE_OWNER_URL"].rpartition("/")[0] + f"/{name}",
        "RATCHET_DB_ROLE": "app",
        "PYTHONUNBUFFERED": "1",
    }
