"""The guardrails of one call: what goes in, what tools bring, what comes out.

Personal data that the policy redacts reaches a model, a record or a cache only as a token. The
token is the tenant's own, so tools get the true value back and so does whoever asked, and the
same value has the same token in the next call.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.conf import settings

from agents import reviews
from agents.domain.guardrails import fields
from agents.domain.guardrails.doubt import Doubt, doubtful
from agents.domain.guardrails.findings import Source, Span, cut_before, longest_first
from agents.domain.guardrails.output import Expected, check_output
from agents.domain.guardrails.pii import find_pii
from agents.domain.guardrails.pipeline import ScanResult, scan
from agents.domain.guardrails.policy import Action, Policy, strictest
from agents.domain.guardrails.pseudonyms import Pseudonyms, pseudonymise, restore
from agents.domain.guardrails.rails import policy_from
from agents.domain.guardrails.redact import mask
from agents.domain.guardrails.secrets import find_secrets
from agents.domain.guardrails.untrusted import leaks_canary
from agents.endpoints.secrets import open_secret, seal_secret
from agents.errors import GuardrailBlocked, ReviewRequired
from config import logs

logger = logging.getLogger(__name__)
# What a person must look at first does not leave either.
_HELD = (Action.BLOCK, Action.ASK)
_OUT = (*_HELD, Action.REDACT)
# A text scanned before (a prompt, a repeated tool result) is not scanned again.
SCANS_KEPT = 2048


@dataclass(slots=True)
class Guard:
    """One call's guardrails, with everything they saw."""

    client_id: UUID
    rails: dict[str, Any]
    canary: str
    # Without a name nothing is asked of a person: what would be is refused.
    agent: str = ""
    findings: list[dict[str, Any]] = field(default_factory=list)
    sources: list[str] | None = None
    _unsure: list[Doubt] = field(default_factory=list)
    _tokens: Pseudonyms = field(init=False)
    _policy: Policy = field(init=False)
    _known: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._tokens = Pseudonyms(key=tenant_key(self.client_id))
        self._policy = policy_of(json.dumps(self.rails, sort_keys=True))

    def screen(self, value: Any, source: Source, where: str, *, computed: bool = False) -> Any:
        """``value`` as a model may read it; raises GuardrailBlocked if the policy says so.

        What our own arithmetic ``computed`` from an input that was screened holds no orders; it
        is searched for personal data and secrets only.
        """
        lines = list(dict.fromkeys(fields.texts(value)))
        text = "\n".join(label + line for label, line in lines)
        if len(text) < fields.SHORTEST:
            return value
        self._known.append(text)
        policy = replace(self._policy, injection=Action.PASS) if computed else self._policy
        said = "\n".join(line for _, line in lines)
        result = _scanned(text, said, policy, source)
        if result.decision.action is not Action.PASS:
            self._note(where, result)
            if not result.decision.allowed:
                self._hold(
                    result.decision.action, _culprit(result), where, result.decision.reasons, text
                )
            if result.pii or result.secrets:
                value = self._masked(value, result)
        if policy.injection is not Action.PASS and not result.injection.flagged:
            self._doubt(value, source, where, result.injection.score)
        return value

    def _doubt(self, value: Any, source: Source, where: str, score: float) -> None:
        """Remember for a judge, if there is one, what of a masked value may be an attack."""
        if self.rails.get("injection_judge", "pass") == "pass":
            return
        text = "\n".join(dict.fromkeys(line for _, line in fields.texts(value)))
        if parts := doubtful(text, source=source, score=score):
            self._unsure.append(Doubt(where, source, text, parts))

    def take_unsure(self) -> list[Doubt]:
        """What the rules are unsure of, each told once; first what the user says now."""
        taken, self._unsure = self._unsure, []
        return sorted(taken, key=lambda one: one.source is not Source.USER)

    def judged(self, doubt: Doubt, why: str) -> None:
        """Take a judge's word that a text is an attack; raises as the policy says."""
        action, reasons = Action(self.rails["injection_judge"]), [f"a judge: {why}"]
        self.findings.append({"where": doubt.where, "action": str(action), "reasons": reasons})
        if action in _HELD:
            self._hold(action, "injection", doubt.where, reasons, doubt.text)

    def check_answer(self, text: str, finish_reason: str) -> str:
        """The answer as it may be remembered; raises GuardrailBlocked for a leak."""
        found = check_output(
            text,
            Expected(canary=self.canary, sources=self.sources, known_text="\n".join(self._known),
                     pii_types=self._policy.pii_types),
            finish_reason=finish_reason,
        )  # fmt: skip
        if found.canary_leaked:
            raise GuardrailBlocked("canary", "answer", ["the answer repeats the agent's prompt"])
        if found.secrets and self._policy.secrets in _HELD:
            kinds = sorted({s.type for s in found.secrets})
            self._hold(self._policy.secrets, "secrets", "answer", kinds, text)
        stop = sorted({s.type for s in found.pii if self._policy.action_for(s.type) in _HELD})
        if stop:
            worst = strictest(*map(self._policy.action_for, stop))
            self._hold(worst, "pii", "answer", stop, text)
        if found.unsupported and self.rails.get("unsupported") in _HELD:
            action = Action(str(self.rails["unsupported"]))
            self._hold(action, "unsupported", "answer", found.unsupported[:3], text)
        self._note_answer(found)
        spans = [
            s for s in (*found.pii, *found.secrets)
            if (s in found.secrets and self._policy.secrets is Action.REDACT)
            or self._policy.action_for(s.type) is Action.REDACT
        ]  # fmt: skip
        # What the model brought up itself is nobody's to get back: a mask, not a token.
        return mask(text, longest_first(spans)) if spans else text

    @property
    def asks(self) -> bool:
        """Whether a person may be asked about anything."""
        own = self._policy
        told = {own.injection, own.pii, own.secrets, *own.by_type.values()}
        rails = ("unsupported", "injection_judge")
        return bool(self.agent) and (
            Action.ASK in told or any(self.rails.get(name) == Action.ASK for name in rails)
        )

    @property
    def holds_back(self) -> bool:
        """Whether an answer may have to stay once all of it is known, so that none is streamed."""
        return self.asks or self.rails.get("unsupported") == Action.BLOCK

    def identity(self, text: str) -> str:
        """A digest that stands for this text of this client to this agent."""
        message = f"review\0{self.agent}\0{text}".encode("utf-8", "surrogatepass")
        return hmac.new(tenant_key(self.client_id), message, hashlib.sha256).hexdigest()

    def _hold(
        self, action: Action, guardrail: str, where: str, reasons: Sequence[str], text: str
    ) -> None:
        """Stop here, unless a person may be asked and has let this text pass."""
        if action is not Action.ASK or not self.agent:
            raise GuardrailBlocked(guardrail, where, list(reasons))
        identity = self.identity(text)
        if not reviews.is_approved(self.client_id, identity):
            raise ReviewRequired(guardrail, where, list(reasons), identity, text)

    def released(self, waiting: str, *, before: str, keep: int) -> tuple[str, int]:
        """The start of a streamed answer's ``waiting`` text as its reader may see it, and its
        length. ``before`` is what was said; the last ``keep`` characters may yet become another
        thing with what follows and stay, and so does a finding that reaches into them.

        Raises GuardrailBlocked when the prompt's canary or something that must stay comes up.
        """
        if leaks_canary(before + waiting, self.canary):
            raise GuardrailBlocked("canary", "answer", ["the answer repeats the agent's prompt"])
        text, start, known = before + waiting, len(before), "\n".join(self._known)
        secrets = [
            s
            for s in find_secrets(text)
            if self._policy.secrets in _OUT and text[s.start : s.end] not in known
        ]
        found = [
            s for s in find_pii(text, self._policy.pii_types)
            if self._policy.action_for(s.type) in _OUT and text[s.start : s.end] not in known
        ]  # fmt: skip
        end = cut_before(text, len(text) - keep, [*secrets, *found]) if keep else len(text)
        if end <= start:
            return "", 0
        out = [s for s in (*secrets, *found) if s.end > start and s.start < end]
        for guardrail, spans in (("secrets", secrets), ("pii", found)):
            stop = {s.type for s in spans if s in out and self._stops(guardrail, s)}
            if stop:
                raise GuardrailBlocked(guardrail, "answer", sorted(stop))
        shown = [replace(s, start=max(s.start, start)) for s in out]
        masked = mask(text[:end], longest_first(shown))[start:]
        return str(self.restored(masked)), end - start

    def _stops(self, guardrail: str, span: Span) -> bool:
        if guardrail == "secrets":
            return self._policy.secrets in _HELD
        return self._policy.action_for(span.type) in _HELD

    def restored(self, value: Any) -> Any:
        """``value`` with its tokens replaced by what they stand for."""
        if not self._tokens.values:
            return value
        return fields.mapped(value, lambda text: restore(text, self._tokens.values))

    @property
    def sealed(self) -> str:
        """What the tokens stand for, encrypted; empty where there are none."""
        values = self._tokens.values
        return seal_secret(json.dumps(values)).decode() if values else ""

    def learn(self, sealed: str) -> None:
        """Know the tokens of an answer that was kept."""
        self._tokens.values.update(opened(sealed))

    def _masked(self, value: Any, result: ScanResult) -> Any:
        def mask(text: str, label: str) -> str:
            if len(text) < fields.SHORTEST:
                return text
            line, shift = f"{label}{text}", len(label)
            spans = longest_first(
                [
                    s
                    for s in (*find_pii(line, self._policy.pii_types), *find_secrets(line))
                    if s.start >= shift and self._redacts(s.type, result)
                ]
            )
            if not spans:
                return text
            return pseudonymise(line, spans, self._tokens)[shift:]

        return fields.labelled(value, mask)

    def _redacts(self, kind: str, result: ScanResult) -> bool:
        if any(s.type == kind for s in result.secrets):
            return self._policy.secrets is Action.REDACT
        return self._policy.action_for(kind) is Action.REDACT

    def _note(self, where: str, result: ScanResult) -> None:
        self.findings.append(
            {
                "where": where,
                "action": str(result.decision.action),
                "reasons": list(result.decision.reasons),
                "injection_score": round(result.injection.score, 3),
                "pii": sorted({s.type for s in result.pii}),
                "secrets": sorted({s.type for s in result.secrets}),
            }
        )
        if result.injection.flagged or result.secrets:
            logs.event(logger, "agents.guardrail.triggered", level=logging.WARNING, where=where,
                       client=str(self.client_id), action=str(result.decision.action))  # fmt: skip

    def _note_answer(self, found: Any) -> None:
        seen = {
            "pii": sorted({s.type for s in found.pii}),
            "secrets": sorted({s.type for s in found.secrets}),
            "unsupported": list(found.unsupported[:5]),
            "refused": found.refused,
            "truncated": found.truncated,
        }
        if any(seen.values()):
            self.findings.append({"where": "answer", "action": "flag", **seen})


def opened(sealed: str) -> dict[str, str]:
    """The tokens and values that were sealed with an answer."""
    return dict(json.loads(open_secret(sealed.encode()))) if sealed else {}


def restored(value: Any, sealed: str) -> Any:
    """``value`` with the sealed tokens replaced by what they stand for."""
    values = opened(sealed)
    return fields.mapped(value, lambda text: restore(text, values)) if values else value


@lru_cache(maxsize=256)
def policy_of(rails: str) -> Policy:
    """The policy that a version's guardrails, as JSON, describe."""
    return policy_from(json.loads(rails))


@lru_cache(maxsize=1024)
def tenant_key(client_id: UUID) -> bytes:
    """The key of a tenant's pseudonyms, derived from the installation's secret."""
    secret = settings.SECRET_KEY.encode()
    return hmac.new(secret, b"pseudonyms" + client_id.bytes, hashlib.sha256).digest()


_scans: dict[tuple[bytes, Any, Source], ScanResult] = {}


def _identity(policy: Policy) -> tuple[Any, ...]:
    return (policy.injection, policy.pii, policy.secrets, policy.pii_types,
            *sorted(policy.by_type.items()), *sorted(policy.thresholds.items()))  # fmt: skip


def _scanned(text: str, said: str, policy: Policy, source: Source) -> ScanResult:
    whole = f"{text}\0{said}".encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(whole, digest_size=16).digest()
    key = (digest, _identity(policy), source)
    found = _scans.get(key)
    if found is None:
        found = scan(text, policy, source=source, said=said)
        if len(_scans) >= SCANS_KEPT:
            _scans.clear()
        if not found.pii and not found.secrets:  # nothing personal stays in memory
            _scans[key] = found
    return found


def _culprit(result: ScanResult) -> str:
    if result.injection.flagged:
        return "injection"
    return "secrets" if result.secrets else "pii"
