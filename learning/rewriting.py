"""A prompt rewritten from reasons: by a model, or by rule where no model gives one to use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from agents import evidence
from agents import services as agents
from agents.errors import BudgetExceeded
from agents.invoke import Call, invoke
from agents.versions import Content
from config.errors import AppError
from learning.domain import reflection
from learning.domain.reflection import Reason

# An agent of the loop's own, so that its calls are priced, guarded and recorded as all others.
SLUG = "ratchet-prompt-writer"
_ORDER = """\
You improve the system prompt of another agent. The input holds its present prompt, the tools that
it may call, and reasons why some of its answers were not good. Work out what the prompt lets go
wrong, and write it anew so that it does not happen again.
Keep its role, its tools, every rule that no reason speaks against, and all template code between
{{ "{{" }} and {{ "}}" }} or {{ "{%" }} and {{ "%}" }} letter by letter.
Write rules that hold for any input; never copy figures or names of one case into the prompt.
Give the whole new prompt as new_prompt, and what you changed and why as changes.
"""
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["new_prompt", "changes"],
    "additionalProperties": False,
    "properties": {"new_prompt": {"type": "string"}, "changes": {"type": "string"}},
}
CONTENT = Content(
    prompt=_ORDER, model={"tier": "strong", "temperature": 0.7, "max_output_tokens": 4000},
    output_schema=_SCHEMA, guardrails={"pii": "redact", "secrets": "block"},
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rewriting:
    """Another prompt, how it came about, and what was asked of the model costs."""

    prompt: str
    how: str
    changes: str
    cost_usd: Decimal = Decimal(0)


def rewrite(
    *,
    work_id: UUID,
    client_id: UUID,
    content: Content,
    reasons: Sequence[Reason],
    number: int,
) -> Rewriting | None:
    """``content``'s prompt rewritten so that ``reasons`` no longer hold; None if nothing changes.

    A model is asked first, paid by the budget of ``work_id``; ``number`` tells this request from
    others of the same work. Raises BudgetExceeded.
    """
    given = list(dict.fromkeys(reasons))[: reflection.MOST_REASONS]
    learnt = reflection.lessons(given)
    asked = _asked(work_id, client_id, content, given, number)
    if asked is not None and not asked.how.startswith("by rule"):
        return asked
    prompt = reflection.rewritten(content.prompt, learnt)
    if prompt.split() == content.prompt.split():
        return None
    why = asked.how if asked is not None else "by rule: no model answered"
    return Rewriting(prompt, why, " ".join(learnt), asked.cost_usd if asked else Decimal(0))


def question(content: Content, reasons: Sequence[Reason]) -> dict[str, Any]:
    """What the model is asked about."""
    return {
        "present_prompt": content.prompt,
        "tools": list(content.tools),
        "reasons": [f"{reason.source}: {reason.text}" for reason in reasons],
    }


def _asked(
    work_id: UUID, client_id: UUID, content: Content, reasons: Sequence[Reason], number: int
) -> Rewriting | None:
    try:
        answer = invoke(
            Call(
                agent=SLUG, inputs=question(content, reasons), client_id=client_id,
                run_id=work_id, version_id=_version(), effect_id=f"study/{work_id}/write/{number}",
                is_demo=True, allow_fallback=False, use_cache=False,
            )
        )  # fmt: skip
    except BudgetExceeded:
        raise
    except AppError:
        return None
    parsed = answer.output.get("json") or {}
    prompt = str(parsed.get("new_prompt", ""))
    fault = reflection.fault_in(content.prompt, prompt, content.variables)
    if fault:
        return Rewriting("", f"by rule: the model's rewriting can't be used, {fault}", "",
                         answer.cost_usd)  # fmt: skip
    return Rewriting(prompt, "by a model", str(parsed.get("changes", ""))[:500], answer.cost_usd)


def _version() -> UUID:
    agents.open_agent(SLUG, prompt=_ORDER, name="Prompt writer", domain="operations", risk="low")
    version, _ = agents.publish(
        agent=evidence.agent(SLUG), content=CONTENT, note="rewrites prompts", created_by="learning"
    )
    return version.pk
