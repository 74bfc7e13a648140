"""Real PostgreSQL and Redis for every test that may touch them; nothing for the pure ones."""

from __future__ import annotations

import gc
import os
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.test import TransactionTestCase
from hypothesis import settings as properties
from hypothesis.internal.conjecture import providers
from pytest_django import DjangoDbBlocker
from pytest_django.plugin import blocking_manager_key
from whitenoise.middleware import WhiteNoiseMiddleware

from agents.domain import traffic
from tests import databases, processes, services

# The same examples every time: a run of the suite fails for what was changed, not for its luck.
properties.register_profile("suite", derandomize=True, deadline=None, database=None)
_TESTS = Path(__file__).parent
# Folders whose tests start what they need themselves, or nothing.
_ALONE = {"domain", "embedded", "supervisor", "processes"}
# Nothing that is loaded now goes away: looking for garbage among it is a part of the loading.
gc.disable()
# Newly made objects after which garbage is looked for; a test may keep that much more for a while.
_YOUNG = 20_000


def pytest_configure(config: pytest.Config) -> None:
    # New examples where proofs may take their time: in ``make chaos``.
    if not _is_long(config):
        properties.load_profile("suite")
        # Numbers out of whatever modules are loaded would make other examples in each order of
        # the tests; and reading the whole source for them takes each process twenty seconds.
        providers._get_local_constants = lambda: providers._local_constants


def _is_long(config: pytest.Config) -> bool:
    return bool({"chaos", "slow"} & set(str(config.option.markexpr).split()))


def pytest_sessionstart(session: pytest.Session) -> None:
    # The controller of xdist collects nothing itself, and its workers can't start the servers.
    if session.config.getoption("numprocesses", None):
        gc.enable()
        services.start()
        databases.begin(session.config.stash[blocking_manager_key])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow proofs run when they are asked for (``-m slow``, ``-m chaos``), not in ``make test``."""
    if _is_long(config):
        return
    if left_out := [item for item in items if item.get_closest_marker("slow") is not None]:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item.get_closest_marker("slow") is None]
    long = {item.path for item in items if item.get_closest_marker("worker") is not None}
    long |= {item.path for item in items if "browser" in item.path.parts}
    places = _spread(list(dict.fromkeys(item.path for item in items)), long)
    items.sort(key=lambda item: places[item.path])


def _spread(modules: list[Path], long: set[Path]) -> dict[Path, float]:
    """Places in an order in which one long module after another begins beside short ones.

    Long ones mostly wait for processes of their own: two at once leave a processor idle, or lack
    one when a lease is about to end. The last third is short ones, which end together.
    """
    short = [module for module in modules if module not in long]
    step = len(short) * 2 / 3 / max(len(long), 1)
    places = {module: float(place) for place, module in enumerate(short)}
    waiting = [module for module in modules if module in long]
    return places | {module: place * step - 0.5 for place, module in enumerate(waiting)}


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.getoption("collectonly"):
        return
    if any(_may_use_services(item) for item in session.items):
        services.start()
    # What is loaded stays: half a gigabyte that no collection needs to look through again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 10, 10)
    gc.enable()


def pytest_unconfigure(config: pytest.Config) -> None:
    processes.stop()
    databases.finish()
    services.stop()


def _may_use_services(item: pytest.Item) -> bool:
    return not _ALONE & set(item.path.relative_to(_TESTS).parts)


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """A database for this process; it ends with its server."""
    with django_db_blocker.unblock():
        if worker := os.environ.get("PYTEST_XDIST_WORKER"):
            databases.copy(worker)
        else:
            databases.create()
    yield
    with django_db_blocker.unblock():
        connection.close()


# Tables without what migrations and nobody else put there; a test that changes that changes it
# for all. A replica's session has no triggers, so neither the order of the tables matters nor
# that some of them may only grow.
_EMPTY = """
DO $$
DECLARE
    one text;
    is_filled boolean;
    filled text[] := '{}';
BEGIN
    FOR one IN
        SELECT c.oid::regclass FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
        AND NOT c.relispartition
        AND c.relname NOT IN ('django_content_type', 'auth_permission', 'django_migrations')
        ORDER BY c.relname
    LOOP
        EXECUTE 'SELECT EXISTS (SELECT FROM ' || one || ')' INTO is_filled;
        IF is_filled THEN filled := filled || one; END IF;
    END LOOP;
    IF filled = '{}' THEN RETURN; END IF;
    -- Whoever still writes is waited for.
    EXECUTE 'LOCK TABLE ' || array_to_string(filled, ', ') || ' IN EXCLUSIVE MODE';
    PERFORM set_config('session_replication_role', 'replica', true);
    FOREACH one IN ARRAY filled LOOP
        EXECUTE 'DELETE FROM ' || one;
    END LOOP;
END $$
"""


def _empty_tables(case: TransactionTestCase) -> None:
    """Empty the tables that a test has filled, which are a dozen.

    Django's flush empties all of them and then makes every permission anew, which takes a second
    with this many tables. To truncate a dozen is to truncate all that refer to them, with a new
    file for each of their indexes.
    """
    if not connection.settings_dict["NAME"].startswith("test_"):
        raise AssertionError("refusing to empty a database that is not a test's")
    with connection.cursor() as cursor:
        cursor.execute(_EMPTY)


def _keep_connection(case: TransactionTestCase) -> bool:
    """Whether this thread's connection is to be closed: only if it can't be made as new.

    A new one has to learn the catalog anew, partitions and all, which takes longer than most
    tests do.
    """
    if connection.connection is None or not connection.get_autocommit():
        return True
    try:
        with connection.cursor() as cursor:
            cursor.execute("DISCARD ALL")
    except DatabaseError:  # lost, or in a transaction
        return True
    connection.connection._prepared.clear()  # they are discarded, and psycopg has not noticed
    connection.run_on_commit = []
    connection.init_connection_state()
    return False


@pytest.fixture(autouse=True, scope="session")
def _quick_teardown() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", _empty_tables)
        patch.setattr(TransactionTestCase, "_should_reload_connections", _keep_connection)
        yield


@pytest.fixture(autouse=True)
def _nothing_known_of_other_tests() -> Iterator[None]:
    """A process remembers whose keys it saw, and which versions hide their runs; each test has a
    database of its own."""
    yield
    if (rights := sys.modules.get("workflows.rights")) is not None:
        rights._sees.clear()
    if (callers := sys.modules.get("config.access.callers")) is not None:
        callers._kept.clear()


@pytest.fixture
def rights_at_once(settings: Any) -> None:
    """Keys are looked up at each request, as they are once a few seconds have passed."""
    settings.KEY_KEPT = timedelta(0)


@pytest.fixture(autouse=True)
def _same_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same units meet the same arms in each run: no verdict hangs on how they fell."""
    drawn = random.Random(1)
    monkeypatch.setattr(traffic, "new_seed", lambda: f"{drawn.getrandbits(128):032x}")


@pytest.fixture(scope="session")
def _redis() -> Iterator[list[redis.Redis]]:
    with ExitStack() as stack:
        urls = (os.environ["REDIS_URL"], os.environ["CACHE_URL"])
        yield [stack.enter_context(redis.Redis.from_url(url)) for url in urls]


@pytest.fixture(autouse=True, scope="session")
def _static_files_once() -> Iterator[None]:
    """Each test client makes a handler, which would look for all static files again: 45 ms."""
    found: dict[str, Any] = {}
    look = WhiteNoiseMiddleware.add_files_from_finders

    def once(middleware: WhiteNoiseMiddleware) -> None:
        if not found:
            look(middleware)
            found.update(middleware.files)
        middleware.files.update(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", once)
        yield


@pytest.fixture(autouse=True)
def _empty_redis(request: pytest.FixtureRequest) -> None:
    """Every test with a database begins with an empty broker and an empty cache."""
    if not {"db", "transactional_db", "live_server"} & set(request.fixturenames) and (
        request.node.get_closest_marker("django_db") is None
    ):
        return
    for client in request.getfixturevalue("_redis"):
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
