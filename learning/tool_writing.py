"""The declaration of a missing tool, written by a model from what people asked; else by rule."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from agents import evidence
from agents import services as agents
from agents.domain.guardrails.redact import redact
from agents.invoke import Call, invoke
from agents.versions import Content
from config.errors import AppError
from learning.domain.abilities import private
from learning.domain.abilities.declaring import fault_in

# An agent of the loop's own, so that its calls are priced, guarded and recorded as all others.
SLUG = "ratchet-tool-writer"
# What one declaration may cost, and how much is shown to the model.
CAP_USD = Decimal("0.05")
MOST_SAID = 20
# How a mask begins, which the guardrails of the call set.
MASK = "⟦"
_ORDER = """\
People say that an agent has no way to do something. Declare the tool that would let it: a name in
small letters and underscores, one sentence that says what it does, and its parameters as a JSON
Schema of an object, written out as text. Take up what people name: formats, systems, identifiers,
dates. Require only what the tool can't do without, describe what a name does not say, and copy no
figure and no name of a person or client. The input holds what they said and a first draft.
"""
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name", "description", "parameters"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"}, "description": {"type": "string"},
        "parameters": {"type": "string", "description": "A JSON Schema, as text."},
    },
}  # fmt: skip
CONTENT = Content(
    prompt=_ORDER, model={"tier": "strong", "temperature": 0.0, "max_output_tokens": 1500},
    output_schema=_SCHEMA, guardrails={"pii": "redact", "secrets": "block"},
)  # fmt: skip


def write(
    *,
    work_id: UUID,
    client_id: UUID,
    draft: Mapping[str, Any],
    quotes: Sequence[str],
    told: Sequence[tuple[str, str]] = (),
) -> tuple[dict[str, Any], str]:
    """A declaration, and how it came about; ``draft`` where no model gives one to use.

    ``told`` says who said what: a declaration that holds what looks like personal data, or what one
    of them alone said, is none to use. It is kept and shown where the words are gone or hidden.
    Paid by the budget of ``work_id``, CAP_USD at most.
    """
    try:
        agents.open_run_budget(run_id=work_id, client_id=client_id, cap_usd=CAP_USD)
        answer = invoke(
            Call(
                agent=SLUG, inputs=question(draft, quotes), client_id=client_id, run_id=work_id,
                version_id=_version(), effect_id=f"tool/{work_id}", is_demo=True,
                allow_fallback=False, use_cache=False,
            )
        )  # fmt: skip
    except AppError as error:
        return dict(draft), f"by rule: no model answered ({error.code})"
    made = _declaration(answer.output.get("json") or {})
    fault = fault_in(made) or _told_in(made, draft, told)
    if fault:
        return dict(draft), f"by rule: the model's declaration can't be used, {fault}"
    return made, "by a model"


def question(draft: Mapping[str, Any], quotes: Sequence[str]) -> dict[str, Any]:
    """What the model is asked about."""
    return {"said": list(quotes)[:MOST_SAID], "draft": dict(draft)}


def _told_in(
    made: Mapping[str, Any], draft: Mapping[str, Any], told: Sequence[tuple[str, str]]
) -> str:
    """Why a declaration tells of people; empty if it does not."""
    texts = private.texts_of(made)
    if any(MASK in text or redact(text) != text for text in texts):
        return "it holds what looks like personal data"
    alone = private.said_by_one(told)
    return "it holds words that one person alone said" if private.tells(texts, draft, alone) else ""


def _declaration(given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        parameters = json.loads(str(given.get("parameters", "")))
    except (ValueError, RecursionError):
        parameters = None
    return {
        "name": str(given.get("name", "")),
        "description": str(given.get("description", "")).strip(),
        "parameters": parameters,
    }


def _version() -> UUID:
    agents.open_agent(SLUG, prompt=_ORDER, name="Tool writer", domain="operations", risk="low")
    version, _ = agents.publish(
        agent=evidence.agent(SLUG), content=CONTENT, note="declares tools", created_by="learning"
    )
    return version.pk
