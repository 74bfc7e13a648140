"""What a trace of an agent that runs elsewhere says: calls, tokens, errors, and how much it counts.

Names follow the OpenTelemetry GenAI conventions, which are not stable yet: they stand here alone.
Only names, numbers and identifiers are read; what was asked and answered is not even looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

OPERATION = "gen_ai.operation.name"
AGENT = "gen_ai.agent.name"
MODEL = ("gen_ai.response.model", "gen_ai.request.model")
PROVIDER = ("gen_ai.provider.name", "gen_ai.system")
ADDRESS = "server.address"
INPUT, OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
ERROR, TOOL = "error.type", "gen_ai.tool.name"
COUNTS = (INPUT, OUTPUT)
MOST_TOKENS = 10**9 - 1
KEPT = frozenset({OPERATION, AGENT, *MODEL, *PROVIDER, ADDRESS, INPUT, OUTPUT, ERROR, TOOL})
INVOKE, CHAT, EXECUTE = "invoke_agent", "chat", "execute_tool"
# An agent of elsewhere never bears the name of one of ours: its numbers must not move our alerts.
PREFIX = "external:"
STATUS_ERROR = 2
# A clock that is ahead by more is wrong; what is older cannot be folded any more.
AHEAD, BEHIND = timedelta(minutes=5), timedelta(days=39)
# A threshold of consistent sampling has 56 bits (OpenTelemetry, "Probability sampling").
_BITS = 56
MOST_WEIGHT = 1_000_000.0


@dataclass(frozen=True, slots=True)
class Span:
    """One operation. ``weight``: how many like it this one stands for."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    started_at: datetime
    ended_at: datetime
    is_error: bool
    weight: float
    attributes: Mapping[str, Any]

    @property
    def seconds(self) -> float:
        return (self.ended_at - self.started_at).total_seconds()

    def as_dict(self) -> dict[str, Any]:
        return {
            "parent": self.parent_id, "name": self.name, "is_error": self.is_error,
            "started_at": self.started_at.isoformat(), "seconds": round(self.seconds, 6),
            "attributes": dict(self.attributes),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Taken:
    """Numbers and labels of one span, as many times as its weight says, at its end."""

    numbers: dict[str, float | list[float]]
    labels: dict[str, str]
    at: datetime


@dataclass(slots=True)
class Sampling:
    """What is kept of whole traces: errors and slow ones all, of the rest this share."""

    share: float = 0.1
    slow_seconds: float = 10.0


def weight_of(trace_state: str) -> float:
    """How many traces this one stands for, by the threshold that its sampler wrote; else 1.

    ``ot=th:c`` rejected three quarters, so each that came counts for four.
    Source: OpenTelemetry specification, "TraceState: Probability Sampling".
    """
    for member in trace_state.split(","):
        key, _, value = member.strip().partition("=")
        if key != "ot":
            continue
        for part in value.split(";"):
            name, _, digits = part.partition(":")
            if name == "th" and digits and len(digits) <= _BITS // 4:
                try:
                    rejected = int(digits.ljust(_BITS // 4, "0"), 16)
                except ValueError:
                    return 1.0
                return min(MOST_WEIGHT, float(1 << _BITS) / ((1 << _BITS) - rejected))
    return 1.0


def span_of(
    *,
    trace_id: str,
    span_id: str,
    parent_id: str,
    name: str,
    start_nanoseconds: int,
    end_nanoseconds: int,
    status: int,
    trace_state: str,
    attributes: Mapping[str, Any],
    service: str,
    now: datetime,
) -> Span:
    """The span, stripped to what is read. Raises ValueError for one that cannot be."""
    if len(trace_id) != 32 or len(span_id) != 16 or not int(trace_id, 16) or not int(span_id, 16):
        raise ValueError("a trace id has 16 bytes and a span id 8, and neither is zero")
    if not 0 < start_nanoseconds <= end_nanoseconds:
        raise ValueError("a span ends after it starts")
    ended = datetime.fromtimestamp(end_nanoseconds / 1e9, UTC)
    if not now - BEHIND <= ended <= now + AHEAD:
        raise ValueError(f"it ended at {ended.isoformat()}, which is too far from now")
    kept = {
        key: _short(value)
        for key, value in attributes.items()
        if key in KEPT and not (key in COUNTS and fault_of_count(value))
    }
    if kept.get(OPERATION) == INVOKE:
        kept.setdefault(AGENT, service)
    is_error = status == STATUS_ERROR or bool(kept.get(ERROR))
    started = datetime.fromtimestamp(start_nanoseconds / 1e9, UTC)
    weight = weight_of(trace_state)
    return Span(
        trace_id, span_id, parent_id, _short(name)[:80], started, ended, is_error, weight, kept
    )


def agent_label(name: str) -> str:
    """How an agent of elsewhere is called here."""
    return str(_short(PREFIX + name.replace("|", "_").strip()))[:80]


def agent_of(span: Span, by_id: Mapping[str, Span], default: str) -> str:
    """The agent that a span works for: its own, or its nearest ancestor's."""
    seen: set[str] = set()
    one: Span | None = span
    while one is not None and one.span_id not in seen:
        if name := one.attributes.get(AGENT):
            return str(name)
        seen.add(one.span_id)
        one = by_id.get(one.parent_id)
    return default


def measured(spans: Sequence[Span], *, client: str, default_agent: str) -> list[Taken]:
    """The measurements of spans that came together.

    Tokens are counted at the model's own spans; at the agent's only where its trace shows none.
    """
    by_id = {span.span_id: span for span in spans}
    with_models = {span.trace_id for span in spans if span.attributes.get(OPERATION) == CHAT}
    found = []
    for span in spans:
        operation = span.attributes.get(OPERATION)
        agent = agent_label(agent_of(span, by_id, default_agent))
        labels = {"agent": agent, "client": client, "code": _code(span)}
        if operation == INVOKE:
            numbers = {"invocations": 1.0, "invocation_errors": float(span.is_error),
                       "invocation_duration_seconds": span.seconds}  # fmt: skip
            if span.trace_id not in with_models:
                numbers |= _tokens(span)
        elif operation == CHAT:
            numbers = {"model_calls": 1.0, "model_duration_seconds": span.seconds, **_tokens(span)}
            labels["model"], labels["endpoint"] = asked_by(span)
            labels["provider"] = _elsewhere(span, PROVIDER)
        elif operation == EXECUTE:
            numbers = {"tool_calls": 1.0}
        else:
            continue
        found.append(Taken(_weighted(numbers, span.weight), labels, span.ended_at))
    return found


def asked_by(span: Span) -> tuple[str, str]:
    """The model and the endpoint that a span asked, as figures call them; empty for none."""
    if span.attributes.get(OPERATION) != CHAT:
        return "", ""
    return _elsewhere(span, MODEL), _elsewhere(span, (ADDRESS, *PROVIDER))


def verdict(
    trace_id: str, *, is_error: bool, seconds: float, weight: float, sampling: Sampling
) -> tuple[bool, float]:
    """Whether a whole trace is kept, and for how many it then stands.

    The draw is the trace's own id, so every copy of the decision is the same one.
    """
    if is_error or seconds >= sampling.slow_seconds:
        return True, weight
    draw = int.from_bytes(hashlib.sha256(trace_id.encode()).digest()[:8]) / 2**64
    return draw < sampling.share, weight / sampling.share if sampling.share else weight


def _weighted(numbers: Mapping[str, float], weight: float) -> dict[str, float | list[float]]:
    """Counts times the weight; a duration is seen so many times, up to a hundred."""
    times = min(100, max(1, round(weight)))
    return {
        name: [value] * times if name.endswith("_seconds") else value * weight
        for name, value in numbers.items()
    }


def faults_of(attributes: Mapping[str, Any]) -> list[str]:
    """What the sender should know of counts that the span is taken without."""
    return [
        f"{name}: got {_short(attributes[name])!r}; a count from 0 to {MOST_TOKENS}; "
        "the span is counted without it"
        for name in COUNTS
        if name in attributes and fault_of_count(attributes[name])
    ]


def fault_of_count(value: Any) -> bool:
    """Whether it is no count of tokens: NaN, an infinity, less than nothing, no number at all."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return not (is_number and 0 <= value <= MOST_TOKENS)


def _tokens(span: Span) -> dict[str, float]:
    found = {
        "input_tokens": span.attributes.get(INPUT),
        "output_tokens": span.attributes.get(OUTPUT),
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def _code(span: Span) -> str:
    if not span.is_error:
        return ""
    return str(span.attributes.get(ERROR) or "error")[:60]


def _first(span: Span, names: Iterable[str]) -> str:
    return next((str(span.attributes[name]) for name in names if span.attributes.get(name)), "")


def _elsewhere(span: Span, names: Iterable[str]) -> str:
    """The first of these that the span has, as a name that is none of ours; "|" parts keys."""
    found = _first(span, names).replace("|", "_")
    return f"{PREFIX}{found}"[:80] if found else ""


def _short(value: Any) -> Any:
    """No longer than is read, and without NUL, which no database keeps."""
    return value[:120].replace("\0", "\ufffd") if isinstance(value, str) else value
