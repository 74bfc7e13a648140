"""Running tools: time limits, cached results, fallbacks, effects done once, and the record."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils import timezone
from redis.exceptions import RedisError

from agents import connections, pacing, spans
from agents.errors import EffectUnderWay, EffectUnknown, NotReached, ToolFailed
from agents.models import IdempotentToolResult, ToolCall
from agents.models.records import CallState
from agents.tools import registry
from agents.tools.registry import Tool, ToolContext
from config import logs
from config.errors import AppError, InvalidInput, NotFound, StepTimeout

logger = logging.getLogger(__name__)
# Tools that wait run here, so that their time limit can be kept; the caller only waits.
THREADS = 64
# A thread that was left, or a request that it sent, may act for so long after the tool's limit.
STILL_AT_IT_SECONDS = 10.0
_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="tool")


@dataclass(frozen=True, slots=True)
class Ran:
    """How one tool call went. ``told`` is the result as a model read it: cut and masked."""

    name: str
    arguments: dict[str, Any]
    started_at: datetime
    duration_seconds: float
    result: dict[str, Any] | None = None
    told: Any = None
    error: AppError | None = None
    is_cached: bool = False
    fallback_of: str = ""
    # The call that failed before its fallback answered.
    instead_of: Ran | None = None
    effect_id: str = ""
    attempt: int = 1

    @property
    def is_good(self) -> bool:
        return self.error is None

    @property
    def blamed(self) -> AppError | None:
        """The error to tell: where its fallback has failed too, that of the tool itself."""
        if self.error is not None and self.instead_of is not None:
            return self.instead_of.error
        return self.error


def run(
    tool: Tool, arguments: dict[str, Any], context: ToolContext, *, until: float | None = None
) -> Ran:
    """Run ``tool`` (then its declared fallback, if it fails) and say how it went; never raises.

    ``until`` (monotonic) bounds it beside the tool's own time limit.
    """
    first = _traced(tool, arguments, context, until)
    if first.error is None or not tool.fallback or _is_final(tool, first.error):
        return first
    try:
        other = registry.get(tool.fallback)
    except NotFound:  # its source has gone since it was declared
        return first
    if tool.idempotent and not other.idempotent:  # nor does it only read any more
        return first
    second = _traced(other, arguments, context, until)
    return replace(second, fallback_of=tool.name, instead_of=first)


def _is_final(tool: Tool, error: AppError) -> bool:
    """Whether another tool would meet the same, or do what may have been done already: of one with
    effects nobody can be sure, and its retry would do it beside the other."""
    return isinstance(error, InvalidInput) or not tool.idempotent


def call_light(name: str, arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
    """Run a light tool on this thread without record or time limit; raises AppError.

    Raises InvalidInput for a tool that is not declared light.
    """
    tool = registry.get(name)
    if not tool.light:
        raise InvalidInput("tool", name, "a tool declared light; others go through call_tool")
    try:
        return _object(tool.call(arguments, context))
    except AppError:
        raise
    except Exception as error:
        raise _wrapped(tool, error) from error


def _traced(
    tool: Tool, arguments: dict[str, Any], context: ToolContext, until: float | None
) -> Ran:
    with spans.execute_tool(tool.name) as span:
        ran = _once(tool, arguments, context, until)
        if span is not None and ran.error is not None:
            span.set_attribute("error.type", ran.error.code)
        return ran


def _once(tool: Tool, arguments: dict[str, Any], context: ToolContext, until: float | None) -> Ran:
    at, started = timezone.now(), time.monotonic()
    result: dict[str, Any] | None = None
    fault: AppError | None = None
    cached = False
    try:
        key = _cache_key(tool, arguments, context) if tool.cache_seconds else ""
        if key and (found := _kept(key)) is not None:
            result, cached = found, True
        elif tool.idempotent:
            result = _limited(tool, arguments, context, until)
        else:
            result = _effect(tool, arguments, context, until)
        if key and not cached:
            _keep(key, result, tool.cache_seconds)
    except AppError as error:
        fault = error
    except Exception as error:
        logger.exception("agents.tool.failed", extra={"fields": {"tool": tool.name}})
        fault = _wrapped(tool, error)
    return Ran(
        name=tool.name,
        arguments=arguments,
        started_at=at,
        duration_seconds=time.monotonic() - started,
        result=result,
        error=fault,
        is_cached=cached,
        effect_id=context.effect_id or "",
        attempt=context.attempt,
    )


def _kept(key: str) -> Any:
    """A result that is kept; None also where Redis is away: the tool can be asked."""
    try:
        return cache.get(key)
    except RedisError as error:
        _tell_away(error)
        return None


def _keep(key: str, result: dict[str, Any] | None, seconds: int) -> None:
    try:
        cache.set(key, result, seconds)
    except RedisError as error:
        _tell_away(error)


def _tell_away(error: RedisError) -> None:
    logs.event(logger, "agents.tool.uncached", level=logging.WARNING, error=type(error).__name__)


def _limited(
    tool: Tool, arguments: dict[str, Any], context: ToolContext, until: float | None
) -> dict[str, Any]:
    """Run within the time limit. A light tool runs here; others on a thread that we can leave."""
    work = partial(tool.call, arguments, context)
    return _object(work() if tool.light else _in_time(f"tool {tool.name}", work, tool, until))


def _in_time(what: str, work: Callable[[], Any], tool: Tool, until: float | None) -> Any:
    left = tool.timeout_seconds if until is None else until - time.monotonic()
    limit = min(tool.timeout_seconds, left)
    if limit <= 0:
        raise StepTimeout(what, 0)
    connections.release()
    waiting: Future[Any] = _pool.submit(spans.carried(_on_thread, work))
    try:
        with pacing.away():
            return waiting.result(limit)
    except FutureTimeout:
        waiting.cancel()
        raise StepTimeout(what, round(limit, 3)) from None


def _on_thread(work: Callable[[], Any]) -> Any:
    try:
        return work()
    finally:
        connections.end_of_work()


def _effect(
    tool: Tool, arguments: dict[str, Any], context: ToolContext, until: float | None
) -> dict[str, Any]:
    """Run a tool that must not run twice: its row is written before it, its result after.

    Raises EffectUnknown when an earlier try was started and never reported.
    """
    if not context.effect_id or not context.client_id:
        return _limited(tool, arguments, context, until)
    identity = {"effect_id": context.effect_id, "tool": tool.name}
    try:
        with transaction.atomic():
            IdempotentToolResult.objects.create(client_id=context.client_id, **identity)
    except IntegrityError:
        row = IdempotentToolResult.objects.get(**identity)
        if row.state == IdempotentToolResult.State.DONE:
            return dict(row.result or {})
        again = IdempotentToolResult.objects.filter(
            pk=row.pk, state=IdempotentToolResult.State.FAILED
        ).update(state=IdempotentToolResult.State.STARTED, ended_at=None, started_at=Now())
        if not again and (found := _found_out(tool, context, row, until)) is not None:
            return found
    rows = IdempotentToolResult.objects.filter(**identity)
    try:
        result = _limited(tool, arguments, context, until)
    except (InvalidInput, NotReached):  # refused before anything happened
        rows.update(state=IdempotentToolResult.State.FAILED, ended_at=Now())
        raise
    rows.update(state=IdempotentToolResult.State.DONE, result=result, ended_at=Now())
    return result


def _found_out(
    tool: Tool, context: ToolContext, row: IdempotentToolResult, until: float | None
) -> dict[str, Any] | None:
    """What an effect gave that was begun and never reported; None if it may be tried now.

    Raises EffectUnknown if it can't be looked up or may yet happen, and what the look-up raises.
    """
    if tool.outcome is None:
        raise EffectUnknown(tool.name, row.effect_id)
    known = IdempotentToolResult.objects.filter(pk=row.pk, state=IdempotentToolResult.State.STARTED)
    grace = timedelta(seconds=tool.timeout_seconds + STILL_AT_IT_SECONDS)
    # Before it is asked: a "no" is as old as the question.
    is_over = known.filter(started_at__lte=Now() - grace).exists()
    what = f"the look-up of tool {tool.name}"
    found = _in_time(what, partial(tool.outcome, context), tool, until)
    if found is None:
        if not is_over:
            left = min(grace, row.started_at + grace - timezone.now()).total_seconds()
            raise EffectUnderWay(tool.name, row.effect_id, max(1, math.ceil(left)))
        if not known.filter(started_at=row.started_at).update(started_at=Now()):
            raise EffectUnknown(tool.name, row.effect_id)  # somebody else is at it
        return None
    known.update(state=IdempotentToolResult.State.DONE, result=_object(found), ended_at=Now())
    return _object(found)


def effect_of(effect_id: str, tool: str, arguments: dict[str, Any]) -> str:
    """The effect id of one tool call inside a call: the same request is the same effect."""
    if not effect_id:
        return ""
    text = json.dumps([effect_id, tool, arguments], sort_keys=True, default=str)
    return f"{effect_id[:120]}/{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _cache_key(tool: Tool, arguments: dict[str, Any], context: ToolContext) -> str:
    text = json.dumps(
        [settings.INSTALLATION, context.client_id, tool.name, arguments],
        sort_keys=True,
        default=str,
    )
    return f"tool:{hashlib.sha256(text.encode()).hexdigest()}"


def _object(result: Any) -> dict[str, Any]:
    return result if isinstance(result, dict) else {"result": result}


def _wrapped(tool: Tool, error: Exception) -> ToolFailed:
    logs.event(logger, "agents.tool.broke", level=logging.WARNING, tool=tool.name,
               type=type(error).__name__)  # fmt: skip
    return ToolFailed(tool.name, f"{type(error).__name__}: {error}"[:300])


def as_row(
    ran: Ran,
    *,
    client_id: UUID,
    invocation_id: UUID | None = None,
    run_id: UUID | None = None,
    about_run_id: UUID | None = None,
    step_id: UUID | None = None,
    user_id: UUID | None = None,
    number: int = 1,
) -> ToolCall:
    """The record of one tool call: the result as the model read it; a step keeps its own."""
    return ToolCall(
        client_id=client_id,
        invocation_id=invocation_id,
        run_id=run_id,
        about_run_id=about_run_id,
        step_id=step_id,
        user_id=user_id,
        number=number,
        name=ran.name,
        state=CallState.SUCCEEDED if ran.is_good else CallState.FAILED,
        error_code="" if ran.error is None else ran.error.code,
        error=None if ran.error is None else ran.error.as_dict(),
        arguments=small(ran.arguments) if invocation_id else {},
        result=None if ran.told is None else small(ran.told),
        cost_usd=_cost(ran),
        result_bytes=0 if ran.result is None else len(json.dumps(ran.result, default=str)),
        fallback_of=ran.fallback_of,
        is_cached=ran.is_cached,
        effect_id=ran.effect_id[:200],
        attempt=ran.attempt,
        started_at=ran.started_at,
        duration_seconds=ran.duration_seconds,
    )


def _cost(ran: Ran) -> Decimal:
    """What a query of a configured source cost; other tools cost nothing, nor does the cache."""
    if ran.error is not None:
        return ran.error.spent_usd
    if ran.is_cached or not ran.name.startswith("data.") or not ran.result:
        return Decimal(0)
    return Decimal(str(ran.result["query"]["cost_usd"]))


def small(value: Any) -> Any:
    """``value`` as it may stand in a row: plain JSON, and its size alone if it is too large."""
    text = json.dumps(value, cls=DjangoJSONEncoder)
    if len(text) > settings.MAX_INLINE_BYTES:
        return {"omitted_bytes": len(text)}
    return json.loads(text)
