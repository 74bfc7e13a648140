"""What learning reads of recorded calls: plain values, live traffic only.

Left out everywhere: the shipped demonstration and replays (both marked as demo). Times bound a
call's start; rows are found by their id, which begins with a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Avg, Count, Q, QuerySet, Sum

from agents import endpoints, guarding
from agents.domain import context
from agents.domain.cost import MILLION
from agents.models import Agent, AgentVersion, Endpoint, Invocation, Label, ModelCall, ToolCall
from agents.tools import registry
from agents.tools.remote import finding
from config.access.callers import Caller
from config.access.hiding import of_visible_runs
from config.errors import NotFound
from config.partitions import first_id

BAD = (Invocation.State.FAILED, Invocation.State.BLOCKED, Invocation.State.FALLBACK)
# An answer this long is compared by its beginning.
MOST_TEXT = 4_000
MOST_SAID = 300
# Repeated questions that are looked at, the first ones of a window.
MOST_GROUPS = 5_000


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed call or step: whose, of which agent, with which message and cost (USD)."""

    id: UUID
    client_id: UUID
    agent_slug: str
    user_id: UUID | None
    run_id: UUID | None
    message: str
    cost_usd: Decimal
    at: datetime
    invocation_id: UUID | None


@dataclass(frozen=True, slots=True)
class Measured:
    """One call's figures; ``is_bad`` if it failed, was blocked or fell back.

    ``input_tokens`` are all that its requests held, remembered by the endpoint or not.
    """

    id: UUID
    at: datetime
    duration_seconds: float
    cost_usd: float
    input_tokens: int
    output_tokens: int
    tool_calls: int
    state: str
    model: str
    text: str
    is_bad: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """One recorded question with its answer, personal data restored."""

    id: UUID
    client_id: UUID
    run_id: UUID | None
    agent_slug: str
    inputs: dict[str, Any]
    messages: list[dict[str, Any]] | None
    text: str
    facts: dict[str, Any]
    is_quoting: bool = False


def answers(ids: Sequence[UUID]) -> list[Answered]:
    """Answers by id whose question is on record whole, newest first. One that quoted a limited
    document is nobody's example: what is learned from it would be read by others."""
    rows = Invocation.objects.filter(pk__in=list(ids), limited_to=None).order_by("-id")
    return [_answered(row) for row in rows if is_whole(row.inputs)]


def fresh_answers(since: datetime, until: datetime, *, limit: int) -> list[Answered]:
    """The newest live answers that succeeded, with words in them, newest first."""
    rows = live_calls(since, until).filter(state=Invocation.State.SUCCEEDED, limited_to=None)
    rows = rows.order_by("-id")
    found = [_answered(row) for row in rows[:limit] if is_whole(row.inputs)]
    return [one for one in found if one.text.strip()]


def tool_results(ids: Sequence[UUID]) -> dict[UUID, list[Any] | None]:
    """What tools gave to each call, restored; None where a result is not on record whole."""
    rows = Invocation.objects.filter(pk__in=list(ids)).values_list("id", "sealed", "tool_calls")
    found: dict[UUID, list[Any] | None] = {pk: [] for pk, _, _ in rows}
    sealed = {pk: seal for pk, seal, _ in rows}
    for call in ToolCall.objects.filter(invocation_id__in=list(found)):
        kept = found.get(call.invocation_id or call.pk)
        if kept is None or call.invocation_id is None:
            continue
        result = call.result
        if (
            not isinstance(result, dict) or context.is_cut(result) or "omitted_bytes" in result
        ):  # fmt: skip
            found[call.invocation_id] = None
        else:
            kept.append(guarding.restored(result, sealed[call.invocation_id]))
    for pk, _, calls in rows:
        kept = found[pk]
        if kept is not None and len(kept) < calls:
            found[pk] = None
    return found


def shown_examples() -> dict[str, set[str]]:
    """Agent → the questions of the worked examples that its production version shows."""
    rows = Label.objects.filter(name=Label.Name.PRODUCTION).exclude(version__examples=[])
    return {
        slug: {str(one.get("input")) for one in examples}
        for slug, examples in rows.values_list("agent__slug", "version__examples")
    }


def cut_answers(ids: Sequence[UUID]) -> set[UUID]:
    """Those of ``ids`` whose last reply reached its limit of tokens."""
    calls = ModelCall.objects.filter(
        invocation_id__in=list(ids), state=Invocation.State.SUCCEEDED
    ).order_by("invocation_id", "number")
    last = dict(calls.values_list("invocation_id", "finish_reason"))
    return {one for one, reason in last.items() if one and reason == "length"}


def answer_lengths(ids: Sequence[UUID]) -> dict[UUID, int]:
    """Characters of each recorded answer."""
    rows = Invocation.objects.filter(pk__in=list(ids)).values_list("id", "output__text")
    return {pk: len(str(text or "")) for pk, text in rows}


def _answered(row: Invocation) -> Answered:
    given, said = (guarding.restored(one, row.sealed) for one in (row.inputs, row.output))
    messages = given.get("messages")
    chat = isinstance(messages, list)
    facts = said.get("facts")
    return Answered(row.pk, row.client_id, seen_with(row), row.agent_slug, {} if chat else given,
                    messages if chat else None, str(said.get("text", "")),
                    facts if isinstance(facts, dict) else {},
                    bool(said.get("citations")))  # fmt: skip


def live_calls(since: datetime, until: datetime) -> QuerySet[Invocation]:
    """Live invocations that began in [since, until)."""
    return Invocation.objects.filter(id__gte=first_id(since), id__lt=first_id(until), is_demo=False)


def failures(since: datetime, until: datetime, *, limit: int) -> list[Failure]:
    """The newest failed and blocked calls, oldest first; of limited ones the code alone."""
    rows = live_calls(since, until).filter(state__in=BAD).order_by("-id")
    found = rows.values_list("id", "client_id", "agent_slug", "user_id", "run_id", "error_code",
                             "error", "cost_usd", "started_at", "limited_to")[:limit]  # fmt: skip
    return [
        Failure(pk, client, slug, user, run, _message(code, None if limits else error), cost, at,
                pk)
        for pk, client, slug, user, run, code, error, cost, at, limits in reversed(found)
    ]  # fmt: skip


def measured(
    version_id: UUID, since: datetime, until: datetime, *, limit: int, experiments: bool = False
) -> list[Measured]:
    """The newest calls of a version that asked a model, oldest first.

    Without ``experiments``, calls under an open traffic split are left out. What limited ones said
    is left out, not what they took.
    """
    rows = live_calls(since, until).filter(version_id=version_id, cached="")
    if not experiments:
        rows = rows.filter(split_id=None)
    values = rows.order_by("-id").values_list(
        "id", "started_at", "duration_seconds", "cost_usd", "input_tokens", "cached_tokens",
        "output_tokens", "tool_calls", "state", "model", "output__text", "limited_to",
    )[:limit]  # fmt: skip
    return [
        Measured(pk, at, seconds, float(cost), fresh + kept, tokens, tools, state, model,
                 "" if limits else str(text or "")[:MOST_TEXT], state in BAD)
        for pk, at, seconds, cost, fresh, kept, tokens, tools, state, model, text, limits
        in reversed(values)
    ]  # fmt: skip


def asked_texts(ids: Sequence[UUID]) -> dict[UUID, str]:
    """What each call was asked, as it is kept: personal data masked.

    Of a conversation its last message of the caller; else the names and words of the inputs.
    """
    rows = Invocation.objects.filter(pk__in=list(ids), limited_to=None).values_list("id", "inputs")
    return {pk: " ".join(_asked(inputs))[:MOST_TEXT] for pk, inputs in rows.iterator(500)}


def _asked(inputs: Any) -> Iterator[str]:
    messages = inputs.get("messages") if isinstance(inputs, dict) else None
    if isinstance(messages, list):
        said = [m for m in messages if isinstance(m, dict) and m.get("role") == "user"]
        inputs = said[-1].get("content") if said else ""
    yield from _words_of(inputs)


def _words_of(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield str(name)
            yield from _words_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _words_of(inner)
    elif value is not None:
        yield str(value)


def versions_in_use(since: datetime, until: datetime) -> list[tuple[str, UUID, int, int]]:
    """(agent, version, its number, calls) of every version that answered, by agent."""
    rows = live_calls(since, until).values_list("agent_slug", "version_id", "version_number")
    return list(rows.annotate(calls=Count("id")).order_by("agent_slug", "version_number"))


def exposures(since: datetime, until: datetime) -> list[dict[str, Any]]:
    """Calls, units and cost_usd of every version that answered, by agent and version."""
    rows = (
        live_calls(since, until)
        .values("agent_slug", "version_id")
        .annotate(calls=Count("id"), units=Count("unit", distinct=True), cost_usd=Sum("cost_usd"))
    )
    return [dict(row) for row in rows.order_by("agent_slug", "version_id")]


def call_counts(since: datetime, until: datetime) -> dict[str, int]:
    """Live calls of each agent."""
    rows = live_calls(since, until).values_list("agent_slug")
    return dict(rows.annotate(calls=Count("id")).order_by("agent_slug"))


def call_figures(slug: str, since: datetime, until: datetime) -> dict[str, Any]:
    """One agent's calls, bad, cost_usd, input_tokens, output_tokens and mean_seconds."""
    found = live_calls(since, until).filter(agent_slug=slug).aggregate(
        calls=Count("id"), bad=Count("id", filter=Q(state__in=BAD)), cost_usd=Sum("cost_usd"),
        input_tokens=Sum("input_tokens"), cached_tokens=Sum("cached_tokens"),
        output_tokens=Sum("output_tokens"), mean_seconds=Avg("duration_seconds"),
        hits=Count("id", filter=~Q(cached="")),
    )  # fmt: skip
    return {name: value if value is not None else 0 for name, value in found.items()}


def slow_tools(slug: str, since: datetime, until: datetime) -> list[dict[str, Any]]:
    """Tools of an agent's live calls by their total time: calls, failed, mean and total seconds."""
    calls = live_calls(since, until).filter(agent_slug=slug).values("id")
    rows = (
        ToolCall.objects.filter(
            id__gte=first_id(since), id__lt=first_id(until), invocation_id__in=calls
        )
        .values("name")
        .annotate(
            calls=Count("id"), failed=Count("id", filter=Q(state=Invocation.State.FAILED)),
            mean_seconds=Avg("duration_seconds"), total_seconds=Sum("duration_seconds"),
        )
        .order_by("-total_seconds", "name")
    )  # fmt: skip
    return [dict(row) for row in rows]


def cited_passages(invocation_id: UUID) -> dict[UUID, bool]:
    """The passages that an answer had before it, and whether it named them; none of a limited."""
    rows = Invocation.objects.filter(pk=invocation_id, limited_to=None)
    citations = rows.values_list("output__citations", flat=True).first() or []
    return {UUID(one["passage_id"]): bool(one.get("cited")) for one in citations}


def told_calls(caller: Caller, ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """Calls by id as a reviewer reads them, those that the caller may see, newest first."""
    rows = of_visible_runs(caller, Invocation.objects.filter(pk__in=list(ids))).order_by("-id")
    return [
        {"id": str(row.pk), "agent": row.agent_slug, "version": row.version_number,
         "state": row.state, "code": row.error_code, "at": row.started_at,
         "cost_usd": f"{row.cost_usd:f}", "run_id": row.run_id and str(row.run_id),
         "says": (_message(row.error_code, row.error) if row.error_code
                  else str(row.output.get("text", "")))[:MOST_SAID]}
        for row in rows
    ]  # fmt: skip


def failed_tools(
    caller: Caller, slug: str, since: datetime, until: datetime, *, samples: int = 20
) -> list[dict[str, Any]]:
    """Tools that an agent's live calls asked for in vain, by tool and error, most often first.

    Calls of runs that ``caller`` may not see are left out, as are calls that quoted what is
    limited: arguments and messages are told.
    ``code`` is ``not_found`` for a tool that the agent does not have. ``arguments`` are the newest
    ones asked with, ``good`` the newest ones that worked, ``invocations`` where to look.
    """
    calls = live_calls(since, until).filter(agent_slug=slug, limited_to=None).values("id")
    rows = of_visible_runs(caller, ToolCall.objects.filter(
        id__gte=first_id(since), id__lt=first_id(until), invocation_id__in=calls
    ))  # fmt: skip
    failed = rows.filter(state=Invocation.State.FAILED).exclude(error_code="")
    found = []
    for group in failed.values("name", "error_code").annotate(calls=Count("id")):
        name, code = group["name"], group["error_code"]
        newest = list(
            failed.filter(name=name, error_code=code)
            .order_by("-id")
            .values_list("arguments", "invocation_id", "error__message")[:samples]
        )
        good = rows.filter(name=name, state=Invocation.State.SUCCEEDED).order_by("-id")
        found.append({
            "name": name, "code": code, "calls": group["calls"],
            "arguments": [a for a, _, _ in newest if isinstance(a, dict)],
            "good": list(good.values_list("arguments", flat=True)[:samples]),
            "message": str(newest[0][2] or "") if newest else "",
            "invocations": [str(i) for _, i, _ in newest[:5]],
        })  # fmt: skip
    return sorted(found, key=lambda one: (-one["calls"], one["name"], one["code"]))


def tools_on_offer() -> list[tuple[str, str, bool]]:
    """Name, description, and whether a call is pure, of tools that any agent may be given.

    Those for try-outs and those of one client's own sources are left out.
    """
    offered = [*registry.all_tools(), *finding.listing(frozenset())]
    return [
        (tool.name, tool.description, _is_pure(tool))
        for tool in offered if not tool.name.startswith("core.")
    ]  # fmt: skip


def reply_figures(slug: str, since: datetime, until: datetime) -> dict[str, Any]:
    """How an agent's live replies ended: how many, how many cut short, and repeats.

    ``repeated`` counts calls that asked what another one of the same client and version had asked,
    and were answered anew.
    """
    calls = live_calls(since, until).filter(agent_slug=slug)
    replies = ModelCall.objects.filter(
        id__gte=first_id(since), id__lt=first_id(until), invocation_id__in=calls.values("id"),
        state=Invocation.State.SUCCEEDED,
    )  # fmt: skip
    found = replies.aggregate(
        replies=Count("id"), cut=Count("id", filter=Q(finish_reason="length")),
    )  # fmt: skip
    asked = calls.filter(state=Invocation.State.SUCCEEDED, cached="")
    groups = asked.values("client_id", "version_id", "inputs").annotate(calls=Count("id"))
    repeated = sum(group["calls"] - 1 for group in groups.filter(calls__gt=1)[:MOST_GROUPS])
    return {**found, "repeated": repeated}


def production(slug: str) -> AgentVersion:
    """The version that answers outside of splits; raises NotFound."""
    label = Label.objects.select_related("version").filter(
        agent__slug=slug, name=Label.Name.PRODUCTION
    )
    found = label.first()
    if found is None:
        raise NotFound("production version of agent", slug)
    return found.version


def endpoints_for(tier: str) -> int:
    """How many active endpoints serve a model of this tier: equals, which a policy orders."""
    rows = Endpoint.objects.filter(state=Endpoint.State.ACTIVE).values_list("served", flat=True)
    return sum(any(model.get("tier") == tier for model in served) for served in rows)


def has_only_pure_tools(version: AgentVersion) -> bool:
    """Whether the version's answers may be kept: no tool with effects, none that reads files."""
    tools = [registry.get(name) for name in version.tools if not registry.missing([name])]
    return all(map(_is_pure, tools))


def _is_pure(tool: registry.Tool) -> bool:
    """Whether a call computes, and no more: what is harmless to repeat may still store or undo."""
    return tool.idempotent and not tool.wants_context


def version(slug: str, version_id: UUID) -> AgentVersion:
    """A version of this agent; raises NotFound."""
    found = AgentVersion.objects.filter(agent__slug=slug, pk=version_id).first()
    if found is None:
        raise NotFound(f"version of {slug}", version_id)
    return found


def agent(slug: str) -> Agent:
    """The agent with its graded cases; raises NotFound."""
    found = Agent.objects.filter(slug=slug).first()
    if found is None:
        raise NotFound("agent", slug)
    return found


def _message(code: str, error: Any) -> str:
    text = error.get("message", "") if isinstance(error, dict) else ""
    return f"{code}: {text}" if text else code or "no error recorded"


def is_whole(inputs: Any) -> bool:
    return isinstance(inputs, dict) and not {"omitted_bytes", "stopped"} & set(inputs)


def seen_with(row: Invocation) -> UUID | None:
    """The run that the call is seen with: what a replay asks with is no run itself."""
    return row.about_run_id or row.run_id


def undiscounted_usd(invocation_id: UUID) -> Decimal:
    """What a call would have cost had its endpoint remembered nothing of earlier prompts.

    Two versions are compared by this: which of them is asked first must not make it dearer.
    """
    total = Decimal(0)
    for call in ModelCall.objects.filter(invocation_id=invocation_id):
        total += call.cost_usd
        if call.cached_tokens:
            price = endpoints.price_at(call.price_version, call.model)
            total += call.cached_tokens * (price.input - price.cached) / MILLION
    return total
