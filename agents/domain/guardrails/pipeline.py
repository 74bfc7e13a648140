"""The input checks in order: injection, personal data, secrets; then the policy's decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agents.domain.guardrails.findings import Injection, Source, Span
from agents.domain.guardrails.injection import score_injection
from agents.domain.guardrails.pii import find_pii
from agents.domain.guardrails.policy import DEFAULT_POLICY, Action, Decision, Policy, strictest
from agents.domain.guardrails.redact import mask
from agents.domain.guardrails.secrets import find_secrets


@dataclass(frozen=True, slots=True)
class ScanResult:
    """Everything found in one text, the text without it, and what the policy says."""

    injection: Injection
    pii: tuple[Span, ...]
    secrets: tuple[Span, ...]
    redacted: str
    decision: Decision

    def as_dict(self) -> dict[str, Any]:
        """The result as the contract prints it, with secrets and the decision added."""
        return {
            "injection": self.injection.as_dict(),
            "pii": [span.as_dict() for span in self.pii],
            "secrets": [span.as_dict() for span in self.secrets],
            "redacted": self.redacted,
            "decision": {
                "action": str(self.decision.action),
                "reasons": list(self.decision.reasons),
            },
        }


def scan(
    text: str,
    policy: Policy = DEFAULT_POLICY,
    *,
    source: Source = Source.USER,
    said: str | None = None,
) -> ScanResult:
    """Scan ``text`` from ``source`` under an agent's ``policy``. Never raises on any ``str``.

    Where fields stand in ``text`` under their names, which tell personal data, ``said`` is the same
    without those that are no wording of anybody's; injections are looked for there.
    """
    injection = score_injection(
        text if said is None else said, source=source, threshold=policy.threshold(source)
    )
    secrets = find_secrets(text)
    pii = tuple(
        span
        for span in find_pii(text, policy.pii_types)
        if all(span.end <= s.start or span.start >= s.end for s in secrets)
    )
    return ScanResult(
        injection=injection,
        pii=pii,
        secrets=secrets,
        redacted=mask(text, (*pii, *secrets)),
        decision=decide(injection, pii, secrets, policy),
    )


def decide(
    injection: Injection, pii: tuple[Span, ...], secrets: tuple[Span, ...], policy: Policy
) -> Decision:
    """The strictest action that any finding asks for, with the findings that ask for one."""
    asked: list[tuple[Action, str]] = []
    if injection.flagged:
        asked.append((policy.injection, "injection: " + ", ".join(injection.reasons[:3])))
    asked += [(policy.action_for(kind), kind) for kind in sorted({span.type for span in pii})]
    asked += [(policy.secrets, kind) for kind in sorted({span.type for span in secrets})]
    acted = [(action, reason) for action, reason in asked if action is not Action.PASS]
    return Decision(
        action=strictest(*(action for action, _ in acted)),
        reasons=tuple(reason for _, reason in acted),
    )
