from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

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
