"""What a stored call tells monitoring: its numbers, and an entry for the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from agents import attacks, savings
from agents.calls import Call
from agents.endpoints.directory import provider_of
from agents.models import Invocation
from agents.models.records import CallState
from agents.places import place_of
from agents.resolving import Version
from agents.tool_calls import Ran
from agents.work import Work
from monitoring import services, writing
from monitoring.services import Audited, Measurement

# An answer that is none: the only one that counts against its endpoint.
BAD_ANSWER = "bad_answer"
# A try that our side ended: its reader had hung up, or another endpoint was quicker.
LET_GO = "cancelled"
# What a replay's call counts for.
SPENT = ("cost_usd", "input_tokens", "cached_tokens", "output_tokens")


def noted(call: Call, row: Invocation, work: Work, version: Version) -> dict[str, str]:
    """The numbers of a call and its audit entries, for the statement that stores it."""
    return writing.given(_measurements(call, row, work, version), _entries(call, row, work))


def measure_all(done: Sequence[tuple[Call, Invocation, Work]]) -> None:
    """The same for many calls in one transaction."""
    services.record([found for one in done for found in _measurements(*one)])
    services.audit_all([entry for one in done for entry in _entries(*one)])
    for call, row, _ in done:
        attacks.write_down(call, row)


def _measurements(
    call: Call, row: Invocation, work: Work, version: Version | None = None
) -> list[Measurement]:
    """The call's numbers; a failure after the endpoint's answer by itself, blaming no endpoint.

    Arguments that a tool refuses are not the endpoint's fault: its alert stops calls to it.
    """
    domain, audience = place_of(row.agent_id)
    labels = {
        "agent": row.agent_slug,
        "version": str(row.version_number),
        "domain": domain,
        "audience": audience,
        "client": str(row.client_id),
        "user": str(row.user_id or ""),
        "key": str(row.key_id or ""),
        "endpoint": row.endpoint,
        "provider": provider_of(row.endpoint),
        "model": row.model,
        "experiment": str(row.split_id or ""),
        "code": row.error_code,
    }
    numbers = numbers_of(row)
    if work.tries:
        numbers["model_duration_seconds"] = sum(one.duration_seconds for one in work.tries)
        numbers["saved_by_routing_usd"] = float(savings.by_routing(work))
        if version is not None:
            numbers["saved_by_tokens_usd"] = float(savings.by_tokens(call, version, work))
    if call.stand_in is not None:  # a replay costs money, but is no traffic that raises alerts
        numbers = {name: numbers[name] for name in SPENT}
        numbers["learning_cost_usd"] = numbers["cost_usd"]
    elif row.state == CallState.FAILED and _is_answered(row, work):
        failed = {"invocation_errors": numbers.pop("invocation_errors")}
        alone = {**labels, "endpoint": "", "provider": "", "model": ""}
        return [Measurement(numbers, {**labels, "code": ""}), Measurement(failed, alone)]
    return [Measurement(numbers, labels)]


def _is_answered(row: Invocation, work: Work) -> bool:
    """Whether the endpoint did its part of a call that failed; a bad answer is none.

    So it did as long as it was heard: it is no fault of its own that a reader hangs up.
    """
    if not work.tries or row.error_code == BAD_ANSWER:
        return False
    last = (work.talk or work.tries)[-1]
    return last.reply is not None or last.error_code == LET_GO


def _entries(call: Call, row: Invocation, work: Work) -> list[Audited]:
    session = row.conversation_id or row.run_id or ""
    return [
        Audited(
            actor=f"agent:{row.agent_slug}",
            action=f"agents.invocation.{row.state}",
            target=f"invocation:{row.pk}",
            client_id=row.client_id,
            user_id=row.user_id,
            session=str(session),
            before_digest=services.digest_of(row.inputs),
            after_digest=services.digest_of(row.output),
        ),
        *_tools(call, row, work),
    ]


def numbers_of(row: Invocation) -> dict[str, float]:
    """What a stored call measures by itself, by the names of metrics."""
    numbers = {
        "invocations": 1.0,
        "invocation_errors": float(row.state == CallState.FAILED),
        "invocations_blocked": float(row.state == CallState.BLOCKED),
        "invocation_fallbacks": float(row.state == CallState.FALLBACK),
        "cache_hits": float(bool(row.cached)),
        "invocation_duration_seconds": row.duration_seconds,
        "input_tokens": float(row.input_tokens),
        "cached_tokens": float(row.cached_tokens),
        "output_tokens": float(row.output_tokens + row.reasoning_tokens),
        "cost_usd": float(row.cost_usd),
        "saved_usd": float(row.saved_usd),
        "model_calls": float(row.model_calls),
        "tool_calls": float(row.tool_calls),
    }
    if row.is_demo:
        numbers["demo_invocations"] = 1.0
    if row.first_token_seconds is not None:
        numbers["first_token_seconds"] = row.first_token_seconds
    return numbers


def audit_tool(
    ran: Ran, *, actor: str, client_id: UUID, user_id: UUID | None, session: str
) -> None:
    """Audit one tool call that no agent made, in the transaction that stores it."""
    services.audit_all([_audited(ran, actor, client_id, user_id, session)])


def _tools(call: Call, row: Invocation, work: Work) -> list[Audited]:
    actor = f"agent:{row.agent_slug}"
    return [_audited(ran, actor, call.client_id, call.user_id, str(row.pk)) for ran in work.ran]


def _audited(ran: Ran, actor: str, client_id: UUID, user_id: UUID | None, session: str) -> Audited:
    return Audited(
        actor=actor,
        action="agents.tool.failed" if ran.error else "agents.tool.called",
        target=f"tool:{ran.name}",
        client_id=client_id,
        user_id=user_id,
        session=session,
        before_digest=services.digest_of(ran.arguments),
        after_digest=services.digest_of(ran.error.as_dict() if ran.error else ran.result),
    )
