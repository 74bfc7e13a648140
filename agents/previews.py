"""Looking before leaping: what a version would be asked, and whom a split would meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from agents import endpoints, offering, resolving, versions
from agents.domain import context, cost, messages, prompts, traffic
from agents.domain.guardrails.findings import Source
from agents.domain.scoring import Needs
from agents.guarding import Guard
from agents.models import Agent, AgentVersion, TrafficSplit


def prompt(
    version: AgentVersion,
    *,
    client_id: UUID,
    inputs: Mapping[str, Any],
    text: str = "",
    source: str | None = None,
    variables: Sequence[str] | None = None,
) -> dict[str, Any]:
    """The messages that a model would get for these inputs, screened as a call's are.

    ``source`` and ``variables`` try a prompt that is not published. No model is asked and nothing
    is kept. Raises InvalidInput for a prompt that can't be rendered and GuardrailBlocked.
    """
    ready = resolving.version_by_id(version.pk)
    given = ready.variables if variables is None else tuple(variables)
    template = ready.prompt if source is None else source
    prompts.check_prompt(template, given)
    guard = Guard(client_id, ready.guardrails, ready.canary)
    safe = guard.screen(dict(inputs), Source.USER, "input")
    rendered = prompts.render(template, given, safe)
    # The mark that gives away a leaked prompt stays out of what people see.
    shown = [{"role": "system", "content": rendered}, *ready.examples]
    if text:
        shown.append({"role": "user", "content": guard.screen(text, Source.USER, "message")})
    else:
        shown.append(messages.user_message(safe))
    ready = offering.narrowed(ready, safe, shown[-1:] if text else None)
    tools = len(str(ready.tool_definitions)) if ready.tools else 0
    most = cost.most_tokens(messages.byte_size(shown) + tools, len(shown))
    served = endpoints.candidates(
        Needs(ready.tier, most // 2, frozenset({"tools"} if ready.tools else ())),
        policy=ready.model.get("policy", "cheapest"),
        only_model=ready.model.get("name", ""),
    )
    dearest = endpoints.dearest(
        served, input_tokens=most, output_tokens=ready.max_output_tokens
    )  # fmt: skip
    return {
        "version": version.number,
        "messages": shown,
        "tools": [tool.name for tool in ready.tools],
        "estimated_tokens": sum(context.estimate_tokens(messages.text_of(m)) for m in shown),
        "most_usd": f"{dearest:f}",
        "currency": "USD",
        "routes": [{"endpoint": one.endpoint, "model": one.model} for one in served],
    }


def split(
    agent: Agent, *, arms: Mapping[str, list[list[int]]], units: Sequence[str], seed: str = ""
) -> dict[str, Any]:
    """Whom shares that are not open yet would give to whom; raises InvalidInput as opening them.

    Without a ``seed`` the open split's is kept, as opening the next epoch would.
    """
    versions.check_arms(agent, arms)
    current = TrafficSplit.objects.filter(agent=agent, closed_at=None).first()
    chosen = seed or (current.seed if current else traffic.new_seed())
    moved = traffic.reassigned(current.arms, arms) if current and current.seed == chosen else 0
    return {
        "seed": chosen,
        "units": {unit: traffic.arm_of(arms, traffic.bucket_of(chosen, unit)) for unit in units},
        "shares": traffic.shares(arms),
        "reassigned_buckets": moved,
    }
