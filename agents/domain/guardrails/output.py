# ruff: noqa: E501 (patterns and word lists read better whole)
"""Checks of an answer: shape, secrets, personal data, canary, support, refusal, truncation."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.domain.guardrails.claims import unsupported_claims
from agents.domain.guardrails.findings import Span
from agents.domain.guardrails.pii import find_pii
from agents.domain.guardrails.secrets import find_secrets
from agents.domain.guardrails.untrusted import leaks_canary
from config import schemas

_REFUSAL = re.compile(
    r"^\W*(?:(?:i'?m|i am) (?:really |very |so )?(?:unable|afraid|not able)|"
    # An apology for something is none, unless it goes on to decline; nor is bad news.
    r"(?:(?:i'?m|i am) (?:really |very |so )?sorry|sorry|i apologi[sz]e)"
    r"(?! for (?:the|my|any|taking|keeping)\b(?![^.:]{0,120}\b(?:can(?:no|')t|cannot|unable|not able|won'?t)\b))|"
    r"unfortunately,? i(?! (?:have )?(?:found|noticed|saw|see|had)\b)|"
    r"i (?:can(?:no|')t|cannot|won'?t|will not|must decline|am not (?:able|allowed))|as an ai(?: language model)?|"
    r"i do(?:n'?t| not) (?:feel comfortable|have the ability)|es tut mir leid|leider kann ich|ich kann (?:dir|ihnen)?\s?(?:dabei )?nicht|"
    r"je (?:suis désolé|ne peux pas)|désolé|lo siento|no puedo|mi dispiace|non posso|desculpe|não posso|"
    r"het spijt me|przykro mi|извините|抱歉|对不起|申し訳|죄송)",
    re.IGNORECASE,
)
_OPEN_END = re.compile(
    r"(?:[,;:(\[{–—-]|\b(?:and|or|the|a|of|to|with|und|oder|der|die|das|et|ou|le|la|y|el))\s*$"
)


@dataclass(frozen=True, slots=True)
class OutputCheck:
    """What is wrong with an answer; empty fields mean nothing was found."""

    schema_errors: tuple[str, ...] = ()
    secrets: tuple[Span, ...] = ()
    pii: tuple[Span, ...] = ()
    canary_leaked: bool = False
    unsupported: tuple[str, ...] = ()
    refused: bool = False
    truncated: bool = False

    @property
    def unsafe(self) -> bool:
        """Whether the answer must not leave as it is."""
        return bool(self.canary_leaked or self.secrets or self.schema_errors)


@dataclass(frozen=True, slots=True)
class Expected:
    """What the caller knows about the answer it wants."""

    schema: Mapping[str, Any] | None = None
    canary: str = ""
    # Retrieved texts that the answer should rest on; None switches the check off.
    sources: Sequence[str] | None = None
    # Personal data that stood in the request may stand in the answer.
    known_text: str = ""
    pii_types: frozenset[str] = field(default_factory=frozenset)


def check_output(text: str, expected: Expected, *, finish_reason: str = "stop") -> OutputCheck:
    """All checks on ``text``; ``finish_reason`` is the endpoint's ("length" means cut off)."""
    known = expected.known_text
    types = expected.pii_types
    pii = find_pii(text, types) if types else find_pii(text)
    return OutputCheck(
        schema_errors=() if expected.schema is None else schema_errors(text, expected.schema),
        secrets=tuple(s for s in find_secrets(text) if text[s.start : s.end] not in known),
        pii=tuple(s for s in pii if text[s.start : s.end] not in known),
        canary_leaked=leaks_canary(text, expected.canary),
        unsupported=()
        if expected.sources is None
        else unsupported_claims(text, (*expected.sources, known)),
        refused=is_refusal(text),
        truncated=is_truncated(text, finish_reason),
    )


def schema_errors(text: str, schema: Mapping[str, Any], limit: int = 10) -> tuple[str, ...]:
    """Faults of ``text`` as JSON under ``schema``, each with its path; at most ``limit``.

    A fenced code block around the JSON is accepted: many models write one.
    """
    try:
        value = json.loads(unfenced(text))
    except (ValueError, RecursionError) as error:
        return (f"$: not JSON: {error}",)
    errors = sorted(schemas.errors(schema, value), key=lambda e: list(map(str, e.path)))
    return tuple(f"{e.json_path}: {e.message[:200]}" for e in errors[:limit])


def unfenced(text: str) -> str:
    """The inside of a fenced code block, if ``text`` is nothing but one."""
    fenced = re.fullmatch(r"\s*```[\w-]*\s*\n(.*?)\n?\s*```\s*", text, re.DOTALL)
    return fenced[1] if fenced else text


def is_refusal(text: str) -> bool:
    """Whether the answer opens by declining (the first 300 characters are read)."""
    return _REFUSAL.match(text[:300]) is not None


def is_truncated(text: str, finish_reason: str = "stop") -> bool:
    """Whether the answer was cut: told so by the endpoint, or left open in a telling way."""
    if finish_reason == "length":
        return True
    stripped = text.rstrip()
    if not stripped:
        return False
    if stripped.count("```") % 2:
        return True
    if stripped[0] in "{[" and stripped[-1] not in "}]":
        return True
    return _OPEN_END.search(stripped) is not None
