"""How long an endpoint is waited for while another could stand in for it: as its own history says.

An endpoint that hangs takes calls and answers none; its limits would be waited out call after call.
What it answered before says sooner that something is wrong, for the kind of request at hand: of one
version of an agent to a model, about so long, streamed or with so much to write. Nothing is cut
short where that is not known yet, nor where nobody else could answer. See
docs/decisions/2026-11-30-who-hangs-is-left-early.md.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from socket import SHUT_RDWR
from typing import Any

from agents.endpoints.directory import Served, rest_of, seen
from agents.endpoints.values import Reply, Request
from scaling import breaker

# What is known of a kind: so many of its latest replies, and nothing before there are so many.
KEPT, LEAST = 200, 20
# A hundredth is slower than this share of replies. Who takes TIMES as long is left, not before
# FLOOR_SECONDS: a lost packet and a busy moment take one.
SHARE, TIMES, FLOOR_SECONDS = 0.99, 2.0, 1.5
# Each silence in a row makes the next wait longer, up to a bound: who became slow may show it.
LONGER, LONGEST = 1.5, 4.0
# Failures that a silence counts as, of one who has answered nobody since: two in a row open a
# breaker; three, where whoever answered instead took as long.
SURE, LIKELY = 3, 2
# What was not seen for so long is not known any more.
FORGET_SECONDS = 3_600.0
MOST_KINDS = 2_000
Kind = tuple[str, str, str, int]


@dataclass(slots=True)
class _History:
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    silences: int = 0
    at: float = field(default_factory=time.monotonic)


_histories: OrderedDict[Kind, _History] = OrderedDict()
# When an endpoint last answered anything.
_answered_at: dict[str, float] = {}
_lock = threading.Lock()


def limit(one: Served, others: Sequence[Served], request: Request) -> float | None:
    """Seconds to wait for ``one`` to begin its answer; None where all its time has to be given.

    ``others`` are those that would be asked next.
    """
    if not any(_stands_in(other, one) for other in others):
        return None
    known = usual(one, request)
    if known is None:
        return None
    found = _histories.get(_kind(one, request))
    silences = 0 if found is None else found.silences
    return max(FLOOR_SECONDS, TIMES * known) * min(LONGER**silences, LONGEST)


def usual(one: Served, request: Request) -> float | None:
    """Seconds within which nearly every such request was answered; None if too few were."""
    found = _histories.get(_kind(one, request))
    if found is None:
        return None
    with _lock:
        if len(found.seconds) < LEAST or time.monotonic() - found.at > FORGET_SECONDS:
            return None
        return sorted(found.seconds)[math.ceil(SHARE * len(found.seconds)) - 1]


def answered(one: Served, request: Request, reply: Reply, seconds: float) -> None:
    """Remember how long an answer, or a stream's first token, took."""
    _answered_at[one.endpoint] = time.monotonic()
    if request.stream is not None:
        if reply.first_token_seconds is None:
            return
        seconds = reply.first_token_seconds
    with _lock:
        kind = _kind(one, request)
        found = _histories.setdefault(kind, _History())
        _histories.move_to_end(kind)
        if len(_histories) > MOST_KINDS:
            _histories.popitem(last=False)
        if time.monotonic() - found.at > FORGET_SECONDS:
            found.seconds.clear()
        found.seconds.append(seconds)
        found.silences, found.at = 0, time.monotonic()


def silent(one: Served, request: Request) -> None:
    """Remember that it was left without an answer."""
    if (found := _histories.get(_kind(one, request))) is not None:
        found.silences += 1


def forget() -> None:
    """Forget all that was learned (for tests)."""
    _histories.clear()
    _answered_at.clear()


@dataclass(frozen=True, slots=True)
class _Silence:
    """Who was left, when it was asked, and after how long."""

    served: Served
    asked_at: float
    waited_seconds: float
    is_told: bool

    def counts(self, seconds: float) -> int:
        """Failures that it counts as, now that another has answered in ``seconds``."""
        if self.is_told or _answered_at.get(self.served.endpoint, -math.inf) > self.asked_at:
            return 0  # it answers others: this request takes long
        return SURE if seconds <= self.waited_seconds else LIKELY


class Silences:
    """Those that one request has left without an answer, until another answers it."""

    def __init__(self, request: Request) -> None:
        self._request, self._all = request, list[_Silence]()

    def __contains__(self, one: Served) -> bool:
        return any(silence.served is one for silence in self._all)

    def patiently(self, one: Served, others: Sequence[Served]) -> Request:
        """The request as ``one`` gets it: with less time where ``others`` may answer instead; the
        same again for whoever was left before."""
        if one in self:
            return self._request
        heard = [other for other in others if other not in self]
        seconds = limit(one, heard, self._request)
        if seconds is None:
            return self._request
        return replace(self._request, patience_seconds=seconds)

    def asked_next(self, one: Served, others: Sequence[Served]) -> list[Served]:
        """Whom to ask after ``one``, which was left: if nobody else has an answer, it may."""
        elsewhere = [other for other in others if other.endpoint != one.endpoint]
        return [*elsewhere, one, *(other for other in others if other.endpoint == one.endpoint)]

    def add(self, one: Served, state: breaker.Look, seconds: float) -> None:
        """``one`` was left; a probe's silence speaks for itself."""
        silent(one, self._request)
        if state.is_probe:
            breaker.failed(f"endpoint:{one.endpoint}", times=SURE)
        self._all.append(_Silence(one, time.monotonic() - seconds, seconds, state.is_probe))

    def witnessed(self, witness: Served, seconds: float) -> None:
        """``witness`` answered in ``seconds``: tell the breakers of those that were left."""
        for silence in self._all:
            name, times = f"endpoint:{silence.served.endpoint}", silence.counts(seconds)
            if not times or silence.served.endpoint == witness.endpoint:
                continue
            if breaker.state_of(name) == "closed":  # else it is known, and this comes late
                breaker.failed(name, times=times)


class Alarm:
    """Cuts the connection of a stream that does not begin in time; it is waited for in a read that
    knows nothing of that."""

    def __init__(self, response: Any, seconds: float) -> None:
        self._socket = response.extensions["network_stream"].get_extra_info("socket")
        self._lock, self._is_over, self.went_off = threading.Lock(), False, False
        self._timer = threading.Timer(max(0.0, seconds), self._cut)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> bool:
        """Let the stream be; False if it was cut before."""
        with self._lock:
            self._is_over = True
        self._timer.cancel()
        return not self.went_off

    def _cut(self) -> None:
        with self._lock:
            if self._is_over:
                return
            self.went_off = True
        with suppress(OSError):  # it has ended by itself
            self._socket.shutdown(SHUT_RDWR)


def _stands_in(other: Served, one: Served) -> bool:
    return (
        other.endpoint != one.endpoint
        and rest_of(other) is None
        and not breaker.peek(f"endpoint:{other.endpoint}")
        and seen.in_flight[other.endpoint] < other.max_in_flight
    )


def _kind(one: Served, request: Request) -> Kind:
    """A stream is judged by its first token, a whole reply by how much may be written."""
    size = 0 if request.stream is not None else request.max_output_tokens.bit_length()
    return one.endpoint, one.model, request.alike, size
