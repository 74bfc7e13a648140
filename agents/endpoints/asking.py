"""Asking until somebody answers: retries that respect ``Retry-After``, then the next model.

The order is the caller's. An endpoint whose breaker is open, whose places are taken, or whose
rate is used up is passed over; a failure that the request itself caused ends the search. A request
that asks for it is hedged: when its first endpoint takes long, the next is asked beside it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from agents import pacing, spans
from agents.domain.cost import Usage, cost_usd
from agents.endpoints import hedging, patience
from agents.endpoints.directory import Served, leave, rest_of, seen
from agents.endpoints.hedging import Side
from agents.endpoints.patience import Silences
from agents.endpoints.trying import try_once
from agents.endpoints.values import Failure, Reply, Request, Stopped, Try
from agents.errors import EndpointTripped, RateLimited
from config.errors import AppError, InvalidInput, StepTimeout, Unavailable
from scaling import breaker, limits
from scaling.rests import Rest

# Tries of one request at one endpoint, and the first wait between two (full jitter, doubling).
TRIES_PER_ENDPOINT = 2
FIRST_WAIT_SECONDS = 0.2
# A provider that asks for a longer wait is left for the next one.
LONGEST_WAIT_SECONDS = 10.0


def ask(
    served: Sequence[Served],
    request: Request,
    *,
    until: float,
    note: Callable[[Try], None],
    afford: Callable[[], None],
    input_tokens: int = 0,
) -> tuple[Reply, Served]:
    """The first good reply of ``served``, in order, by ``until`` (monotonic).

    Every try is given to ``note``; before another one ``afford`` reserves what it may cost beside
    those noted, or raises. Raises RateLimited, Unavailable, StepTimeout or InvalidInput when nobody
    answered. A stream whose reader has had some of it is not begun again.
    """
    spoken = _Spoken(request)
    request = replace(
        request,
        stream=None if request.stream is None else spoken.emit,
        # A request of four times as many tokens is another kind.
        alike=f"{request.alike} {input_tokens.bit_length() // 2}",
    )
    last: AppError = Unavailable("every model endpoint", "all were passed over", 5)
    is_tried = False
    order, silences = list(served), Silences(request)
    for place, one in enumerate(order):
        if (rest := rest_of(one)) is not None:
            last = _rested(one, rest)
            continue
        if is_tried:
            afford()
        state = breaker.look(f"endpoint:{one.endpoint}")
        if state.is_open and one is not order[-1]:
            continue
        if state.is_open:
            return _refuse(last, one, state.wait_seconds)
        if (wait := over_limit(one, input_tokens)) is not None:
            last = RateLimited(f"endpoint {one.endpoint}", "its requests or tokens a minute", wait)
            give_back(one, state)
            continue
        with seen.slot(one) as taken:
            if not taken:
                limit = f"{one.max_in_flight} calls at once in this process"
                last = RateLimited(f"endpoint {one.endpoint}", limit, 1)
                give_back(one, state)
                continue
            others, asked = order[place + 1 :], request
            if request.hedge_after_seconds is not None and request.stream is None:
                answer = _hedged(one, others, request, state, until, note, input_tokens)
            else:
                asked = silences.patiently(one, others)
                answer = _tries(one, asked, state, until, note, afford, spoken, silences)
        if isinstance(answer, Reply):
            return answer, one
        if asked is not request and one in silences:
            order[place + 1 :] = silences.asked_next(one, others)
        last, is_tried = answer, True
        if isinstance(last, InvalidInput) or time.monotonic() >= until or spoken.any:
            break
    raise last


def _rested(one: Served, rest: Rest) -> AppError:
    wait = max(1, round(rest.left_seconds))
    if rest.code == "rate_limited":
        return RateLimited(f"endpoint {one.endpoint}", "the provider's", wait)
    return Unavailable(f"endpoint {one.endpoint}", "it asked to come back later", wait)


def give_back(one: Served, state: breaker.Look) -> None:
    """Give back the leave to probe of a call that did not come to it."""
    if state.is_probe:  # nobody was asked: the next call may probe
        breaker.give_back(f"endpoint:{one.endpoint}")


def _refuse(last: AppError, one: Served, wait_seconds: float) -> tuple[Reply, Served]:
    if isinstance(last, Unavailable):
        raise EndpointTripped(one.endpoint, max(1, round(wait_seconds)))
    raise last


class _Spoken:
    """Whether a stream has let text out, after which there is no way back."""

    def __init__(self, request: Request) -> None:
        self._emit, self._restart = request.stream, request.restart
        self._fed = False

    def emit(self, text: str) -> None:
        self._fed = True
        if self._emit is not None:
            self._emit(text)

    @property
    def any(self) -> bool:
        """Whether a reader has had some of it; else it is forgotten, to be asked for again."""
        if self._fed and self._restart is not None:
            self._fed = not self._restart()
        return self._fed


def _tries(
    one: Served,
    request: Request,
    state: breaker.Look,
    until: float,
    note: Callable[[Try], None],
    afford: Callable[[], None],
    spoken: _Spoken,
    silences: Silences,
) -> Reply | AppError:
    """Ask one endpoint up to TRIES_PER_ENDPOINT times."""
    failure = Failure("unavailable", "not tried")
    for number in range(1, TRIES_PER_ENDPOINT + 1):
        started, at, seconds = time.monotonic(), timezone.now(), 0.0
        try:
            with pacing.away():  # to wait for the next turn is no time of the endpoint's
                try:
                    with spans.chat(one, request) as span:
                        reply = try_once(one, request, until=until)
                        spans.chatted(span, reply)
                finally:
                    seconds = time.monotonic() - started
        except Stopped as stopped:
            seen.note(one.endpoint, seconds, failed=False)
            breaker.succeeded(f"endpoint:{one.endpoint}", state)
            note(_stopped_try(one, request, stopped, at, seconds))
            raise stopped.error from stopped
        except Failure as error:
            failure = error
            seen.note(one.endpoint, seconds, failed=not failure.is_callers)
            note(failed_try(one, request, failure, at, seconds))
            _leave(one, failure)
            if failure.is_silent:
                silences.add(one, state, seconds)
            elif failure.is_early:
                give_back(one, state)
            elif not failure.is_callers and failure.code != "rate_limited":
                if breaker.failed(f"endpoint:{one.endpoint}"):
                    break
            elif state.is_probe:  # whoever refuses is alive
                breaker.succeeded(f"endpoint:{one.endpoint}", state)
            if not failure.try_again or spoken.any or number == TRIES_PER_ENDPOINT:
                break
            afford()
            if not _waited(failure, number, until):
                break
            continue
        seen.note(one.endpoint, seconds, failed=False)
        breaker.succeeded(f"endpoint:{one.endpoint}", state)
        silences.witnessed(one, reply.first_token_seconds or seconds)
        patience.answered(one, request, reply, seconds)
        note(good_try(one, request, reply, at, seconds))
        return reply
    return as_error(one, failure)


def _hedged(
    one: Served,
    others: Sequence[Served],
    request: Request,
    state: breaker.Look,
    until: float,
    note: Callable[[Try], None],
    input_tokens: int,
) -> Reply | AppError:
    """Ask one endpoint once, and another beside it if that takes long; both are paid for."""
    with ExitStack() as places:

        def second() -> Served | None:
            for other in others:
                if other.endpoint == one.endpoint or rest_of(other) is not None:
                    continue
                if breaker.peek(f"endpoint:{other.endpoint}"):
                    continue
                if over_limit(other, input_tokens) is None:
                    return other if places.enter_context(seen.slot(other)) else None
            return None

        after = request.hedge_after_seconds or 0.0
        with pacing.away():
            sides = hedging.race(one, second, request, after_seconds=after, until=until)
    winner = sides[0]
    for side in reversed(sides):  # the winner last: the last good try is the answer
        seen.note(side.served.endpoint, side.seconds, failed=side.failure is not None)
        if side.failure is not None:
            _leave(side.served, side.failure)
        _report(side, state if side.served is one else breaker.Look(is_open=False))
        _learn(side, winner, request)
        note(_side_try(side, winner, request))
    if winner.reply is None:
        return as_error(winner.served, winner.failure or Failure("unavailable", "given up"))
    return winner.reply


def _report(side: Side, state: breaker.Look) -> None:
    """Tell the breaker, which said ``state``, how a side went. Whoever refuses is alive; of who was
    let go nothing is known, and the next call may probe."""
    name = f"endpoint:{side.served.endpoint}"
    if side.reply is not None:
        breaker.succeeded(name, state)
    elif side.failure is None:
        give_back(side.served, state)
    elif not side.failure.is_callers and side.failure.code != "rate_limited":
        breaker.failed(name)
    elif state.is_probe:
        breaker.succeeded(name, state)


def _learn(side: Side, winner: Side, request: Request) -> None:
    """Whoever is let go again and again, though its usual time was over, hangs."""
    if side.reply is not None:
        patience.answered(side.served, request, side.reply, side.seconds)
    elif side.failure is None and winner.reply is not None:
        known = patience.usual(side.served, request)
        if known is not None and side.seconds > known:
            breaker.failed(f"endpoint:{side.served.endpoint}")


def _side_try(side: Side, winner: Side, request: Request) -> Try:
    """One side of a race for the record. Who was let go tells no usage, but has read the question
    and may have written as much as the winner did: that is what it is taken to cost."""
    if side.reply is not None:
        return good_try(side.served, request, side.reply, side.at, side.seconds)
    failure = side.failure or Failure("cancelled", "another endpoint answered first")
    tried = failed_try(side.served, request, failure, side.at, side.seconds)
    if side.failure is not None or winner.reply is None:
        return tried
    used = winner.reply.usage
    most = Usage(input=used.input + used.cached, output=used.output + used.reasoning)
    return replace(tried, cost_usd=cost_usd(most, side.served.price), partial=most)


def _leave(one: Served, failure: Failure) -> None:
    """Heed a wait that is too long for this call in the next ones, too."""
    if (failure.retry_after_seconds or 0.0) > LONGEST_WAIT_SECONDS:
        leave(one, failure.code, failure.retry_after_seconds or 0.0)


def _waited(failure: Failure, number: int, until: float) -> bool:
    """Wait before another try at the same endpoint; False if that would be too long."""
    if failure.retry_after_seconds is not None:
        wait = failure.retry_after_seconds
    else:
        wait = random.random() * FIRST_WAIT_SECONDS * 2**number
    if wait > LONGEST_WAIT_SECONDS or time.monotonic() + wait >= until:
        return False
    with pacing.away():
        time.sleep(wait)
    return True


def as_error(one: Served, failure: Failure) -> AppError:
    """A try's failure as its caller's error."""
    what = f"endpoint {one.endpoint}"
    if failure.code == "timeout":
        limit = failure.limit_seconds
        whole = settings.MODEL_TIMEOUT.total_seconds()
        return StepTimeout(f"{what} ({failure.why})", whole if limit is None else limit)
    if failure.code == "rate_limited":
        wait = max(1, round(failure.retry_after_seconds or 1))
        return RateLimited(what, "the provider's", wait)
    if failure.is_callers:
        return InvalidInput("messages", failure.why, f"a request that {one.model} accepts")
    return Unavailable(what, failure.why, max(1, round(failure.retry_after_seconds or 5)))


def over_limit(one: Served, input_tokens: int) -> int | None:
    """Take a request from what the endpoint's limits leave; seconds to wait if it is used up."""
    if per_minute := one.limits.get("requests_per_minute"):
        wait = limits.take(f"endpoint:{one.endpoint}", per_minute=int(per_minute))
        if wait is not None:
            return wait
    if per_minute := one.limits.get("tokens_per_minute"):
        return limits.take(
            f"endpoint:{one.endpoint}",
            per_minute=int(per_minute),
            kind="tokens",
            cost=max(1, input_tokens),
        )
    return None


def good_try(
    one: Served,
    request: Request,
    reply: Reply,
    at: datetime,
    seconds: float,
    *,
    batch: bool = False,
) -> Try:
    """What is remembered of a try that was answered; a line of a batch pays a batch's price."""
    return Try(
        endpoint=one.endpoint,
        model=one.model,
        started_at=at,
        duration_seconds=seconds,
        reply=reply,
        cost_usd=cost_usd(reply.usage, one.price, batch=batch),
        price_version=one.price.version,
        is_simulated=one.price.simulated,
        messages=list(request.messages),
    )


def failed_try(
    one: Served, request: Request, failure: Failure, at: datetime, seconds: float
) -> Try:
    """What is remembered of a try that was not."""
    return Try(
        endpoint=one.endpoint,
        model=one.model,
        started_at=at,
        duration_seconds=seconds,
        error_code=failure.code,
        error=failure.why,
        http_status=failure.http_status,
        cost_usd=cost_usd(failure.usage, one.price),
        price_version=one.price.version,
        is_simulated=one.price.simulated,
        messages=list(request.messages),
        partial=failure.usage,
    )


def _stopped_try(
    one: Served, request: Request, stopped: Stopped, at: datetime, seconds: float
) -> Try:
    failure = Failure(stopped.error.code, str(stopped.error))
    failure.usage = stopped.usage
    return failed_try(one, request, failure, at, seconds)
