from __future__ import annotations

import gc
import os
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread

import pytest
import redis
from django.conf import settings

from scaling import limits, shared


def test_threads_that_start_together_share_one_client_and_one_limiter() -> None:
    shared._client.cache_clear()
    limits._made.cache_clear()
    together = Barrier(16)

    def first_use(_: int) -> tuple[int, int]:
        together.wait()
        return id(shared.client()), id(limits._limiter())

    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(first_use, range(16)))
    assert len(found) == 1


def test_a_thread_keeps_its_connection_and_one_that_ends_leaves_it_to_the_next() -> None:
    shared._client.cache_clear()
    seen: list[int] = []

    def ask() -> None:
        client = shared.client()
        seen.extend(int(client.client_id()) for _ in range(3))
        with client.pipeline(transaction=False) as both:  # inside of nothing: the same one
            both.client_id()
            seen.append(int(both.execute()[0]))

    for _ in range(3):
        thread = Thread(target=ask)
        thread.start()
        thread.join()
        gc.collect()
    assert len(seen) == 12
    assert len(set(seen)) == 1


def test_a_connection_that_redis_has_closed_costs_no_command() -> None:
    client = shared.client()
    mine = int(client.client_id())
    with redis.Redis.from_url(settings.REDIS_URL) as other:
        assert other.client_kill_filter(_id=str(mine)) == 1
        while str(mine) in {one["id"] for one in other.client_list()}:
            time.sleep(0.01)
    assert client.ping() is True
    assert int(client.client_id()) != mine


def test_a_redis_that_is_away_is_told_after_one_try_and_asked_again_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = shared.client()
    mine, tries = int(client.client_id()), []

    def away() -> None:
        tries.append(1)
        raise redis.exceptions.ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(redis.Connection, "connect", lambda _: away())
        with pytest.raises(redis.exceptions.ConnectionError):
            client.ping()
    assert len(tries) == 1
    assert int(client.client_id()) == mine


def test_an_answer_that_came_too_late_is_nobodys() -> None:
    """A wait that was given up leaves nothing that the next command could take for its own."""
    client = shared.client()
    with pytest.raises(redis.exceptions.TimeoutError):
        client.blpop(["nothing is ever in this"], timeout=30)
    assert [client.echo(str(number)) for number in range(3)] == [b"0", b"1", b"2"]


def test_a_script_that_redis_has_forgotten_is_sent_again() -> None:
    told = shared.Script("return {KEYS[1], ARGV[1]}")
    assert told(keys=["one"], args=[2]) == [b"one", b"2"]
    shared.client().script_flush()
    assert told(keys=["one"], args=[2]) == [b"one", b"2"]
    with pytest.raises(redis.exceptions.ResponseError):
        shared.Script("return redis.call('NONE')")(keys=[], args=[])
    assert told(keys=["three"], args=[4]) == [b"three", b"4"]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of threads, by 3.12
def test_a_forked_process_has_connections_of_its_own() -> None:
    mine = int(shared.client().client_id())
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover
        found = b""
        try:
            found = str(int(shared.client().client_id())).encode()
        finally:
            os.write(writing, found)
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as told:
        assert int(told.read()) not in (0, mine)
    assert int(shared.client().client_id()) == mine
