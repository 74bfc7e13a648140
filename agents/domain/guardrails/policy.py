"""What an agent does about a finding: pass, flag, redact, block, or ask a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from agents.domain.guardrails.findings import Source
from agents.domain.guardrails.injection import THRESHOLD
from agents.domain.guardrails.pii import TYPES


class Action(StrEnum):
    """In rising order of severity."""

    PASS = "pass"  # noqa: S105 — an action, not a password
    FLAG = "flag"
    REDACT = "redact"
    ASK = "ask"
    BLOCK = "block"


_ORDER = tuple(Action)
# A document may quote an attack; a direct order from a tool's result has no innocent reading.
_DEFAULT_THRESHOLDS = MappingProxyType(
    {
        Source.USER: THRESHOLD,
        Source.EARLIER: THRESHOLD,
        Source.ANSWER: THRESHOLD,
        Source.TOOL: 0.5,
        Source.DOCUMENT: 0.5,
    }
)


def strictest(*actions: Action) -> Action:
    """The most severe of ``actions``; PASS of none."""
    return max(actions, key=_ORDER.index, default=Action.PASS)


@dataclass(frozen=True, slots=True)
class Policy:
    """One agent's guardrails: an action per kind of finding and a threshold per source."""

    injection: Action = Action.BLOCK
    pii: Action = Action.REDACT
    secrets: Action = Action.REDACT
    pii_types: frozenset[str] = frozenset(TYPES)
    # Actions for single types, such as {"SSN": Action.BLOCK}; they replace ``pii`` for it.
    by_type: Mapping[str, Action] = field(default_factory=lambda: MappingProxyType({}))
    thresholds: Mapping[Source, float] = field(default_factory=lambda: _DEFAULT_THRESHOLDS)

    def __post_init__(self) -> None:
        unknown = sorted((self.pii_types | set(self.by_type)) - set(TYPES))
        if unknown:
            raise ValueError(f"unknown PII types {unknown}; known are {list(TYPES)}")
        for source, value in self.thresholds.items():
            if not 0 < value <= 1:
                raise ValueError(f"threshold of {source} must be in (0, 1], got {value}")

    def threshold(self, source: Source) -> float:
        """The injection score from which a text of ``source`` counts as an attack."""
        return self.thresholds.get(source, THRESHOLD)

    def action_for(self, pii_type: str) -> Action:
        """What to do about one type of personal data."""
        return self.by_type.get(pii_type, self.pii)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Policy:
        """A policy from JSON-like data, as an agent's version stores it.

        Raises ValueError on an unknown key, action, type or source.
        """
        known = {"injection", "pii", "secrets", "pii_types", "by_type", "thresholds"}
        if unknown := sorted(set(data) - known):
            raise ValueError(f"unknown policy keys {unknown}; known are {sorted(known)}")
        values: dict[str, Any] = {
            key: Action(data[key]) for key in ("injection", "pii", "secrets") if key in data
        }
        if "pii_types" in data:
            values["pii_types"] = frozenset(data["pii_types"])
        if "by_type" in data:
            values["by_type"] = {k: Action(v) for k, v in data["by_type"].items()}
        if "thresholds" in data:
            values["thresholds"] = {Source(k): float(v) for k, v in data["thresholds"].items()}
        return cls(**values)


DEFAULT_POLICY = Policy()


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a text, and which findings made it so."""

    action: Action
    reasons: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the text (redacted, if so decided) may go on without a person."""
        return self.action not in (Action.ASK, Action.BLOCK)
