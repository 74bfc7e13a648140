"""Which version answers a call: one query, because a rollback must reach the next call."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings

from agents.calls import Call
from agents.domain import condensing, messages, traffic
from agents.domain.messages import Message
from agents.domain.scoring import TIERS
from agents.errors import AgentPaused
from agents.models import AgentVersion
from agents.tools import registry
from agents.tools.registry import Tool
from config import statements
from config.access.audiences import audiences_of
from config.errors import Conflict, NotFound

MAX_VERSIONS_KEPT = 512
# More tools than this at once are refused by providers. Who has more begins with fewer, so that
# there is room for those that turn out to be needed.
MOST_TOOLS, FIRST_TOOLS = 128, 96
# An audience of this kind is the calls of one workflow's runs.
WORKFLOW = "workflow:"

_QUERY = """
    SELECT a.id, a.slug, a.name, a.state, a.state_reason, a.fallback, a.limits, a.risk, a.audience,
        l.version_id, s.id, s.epoch, s.seed, s.unit, s.arms, s.audience, s.gates,
        e.invocation_id, e.client_id
    FROM agents_agent a
    LEFT JOIN agents_label l ON l.agent_id = a.id AND l.name = 'production'
    LEFT JOIN agents_trafficsplit s ON s.agent_id = a.id AND s.closed_at IS NULL
    LEFT JOIN agents_effectanswer e ON e.effect_id = %(effect)s
        AND e.attempt = %(attempt)s AND %(effect)s::text <> ''
    WHERE a.slug = %(slug)s
"""


@dataclass(frozen=True, slots=True)
class Version:
    """A version, made ready for calls; kept in memory because it never changes."""

    id: UUID
    number: int
    prompt: str
    variables: tuple[str, ...]
    model: dict[str, Any]
    tools: tuple[Tool, ...]
    tool_definitions: tuple[dict[str, Any], ...]
    lean_definitions: tuple[dict[str, Any], ...]
    definition_characters: int
    spared_characters: int
    guardrails: dict[str, Any]
    output_schema: dict[str, Any] | None
    retrieval: dict[str, Any]
    examples: tuple[Message, ...]
    digest: str
    canary: str
    # Of one that offers a choice of its tools: itself with all of them.
    whole: Version | None = None

    @property
    def tier(self) -> str:
        """Strength of model that the version asks for."""
        return str(self.model.get("tier", "standard"))

    @property
    def tiers(self) -> tuple[str, ...]:
        """Those that a call may be sent to by how hard it looks; one leaves no choice."""
        return tuple(self.model.get("tiers") or (self.tier,))

    @property
    def lightest(self) -> str:
        """The weakest that may answer where money is short: of those it names, if it does."""
        return min(self.model.get("tiers") or TIERS, key=TIERS.index)

    @property
    def max_output_tokens(self) -> int:
        """Limit of one reply."""
        return int(self.model.get("max_output_tokens", 1024))

    @property
    def hedge_after_seconds(self) -> float | None:
        """When a second endpoint is asked beside the first; None is never."""
        after = self.model.get("hedge_after_seconds")
        return None if after is None else float(after)

    @property
    def tools_offered(self) -> int:
        """How many of its tools a call offers at first: all that may be, unless it says so."""
        few = len(self.all_tools) <= MOST_TOOLS
        return int(self.model.get("tools_offered", MOST_TOOLS if few else FIRST_TOOLS))

    @property
    def all_tools(self) -> tuple[Tool, ...]:
        """Its tools, those left out of a call too."""
        return self.tools if self.whole is None else self.whole.tools

    @property
    def semantic_threshold(self) -> float | None:
        """How near a question must be to one answered before; None: it must be the same."""
        threshold = self.model.get("semantic_threshold")
        return None if threshold is None else float(threshold)

    @property
    def is_cacheable(self) -> bool:
        """Whether the same question may get the stored answer.

        Not with a tool that has effects or works on files, and not where variety was asked for.
        """
        return float(self.model.get("temperature", 0.0)) == 0.0 and all(
            tool.idempotent and not tool.wants_context for tool in self.all_tools
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """The agent as it is now, and which version answers this unit."""

    agent_id: UUID
    slug: str
    name: str
    fallback: str
    limits: dict[str, Any]
    risk: str
    version: Version
    split_id: UUID | None = None
    split_epoch: int | None = None
    unit: str = ""
    bucket: int | None = None
    answered_by: UUID | None = None


def resolve(
    slug: str,
    units: dict[str, str],
    *,
    effect_id: str = "",
    attempt: int = 1,
    unit: str = "",
    pinned: UUID | None = None,
) -> Choice:
    """Pick the version for a call of ``slug``.

    ``units`` gives the caller's run, user, client and conversation, where it has them; ``unit``
    stands for a run or user that the caller names; ``pinned`` is the version whatever splits and
    labels say. ``answered_by`` is the invocation that already answered this attempt of the effect.
    Raises NotFound, AgentPaused, or Conflict for an agent without a version.
    """
    row = _row_of(slug, effect_id, attempt)
    return _chosen(row, units, effect_id=effect_id, unit=unit, pinned=pinned)


def resolve_all(calls: Sequence[Call]) -> list[Choice]:
    """The same for many calls at once: each agent is looked up once, for all of them."""
    rows: dict[str, Any] = {}
    found = []
    for call in calls:
        if call.agent not in rows:
            rows[call.agent] = _row_of(call.agent, "", 1)
        found.append(
            _chosen(rows[call.agent], call.units, unit=call.unit or "", pinned=call.version_id)
        )
    return found


def _row_of(slug: str, effect_id: str, attempt: int) -> Any:
    rows = statements.execute(_QUERY, {"effect": effect_id, "attempt": attempt, "slug": slug})
    if not rows:
        raise NotFound("agent", slug)
    return rows[0]


def _chosen(
    row: Any, units: dict[str, str], *, effect_id: str = "", unit: str, pinned: UUID | None
) -> Choice:
    (agent_id, slug, name, state, reason, fallback, limits, risk, _audience, production,
     split_id, epoch, seed, split_unit, arms, wave, gates, answered_by,
     answered_client) = row  # fmt: skip
    if answered_by is not None and str(answered_client) != units.get("client"):
        raise NotFound("effect", effect_id)
    if state != "active" and answered_by is None:
        raise AgentPaused(slug, state, reason)
    chosen, bucket, who = pinned or production, None, ""
    if pinned is not None or not _is_met(_json(wave), units):
        split_id = epoch = None
    elif split_id is not None:
        who = _unit_of(split_unit, units, unit)
        if who and not traffic.passes(_json(gates) or (), who):
            split_id, epoch, who = None, None, ""
        elif who:
            bucket = traffic.bucket_of(seed, who)
            chosen = traffic.arm_of(_json(arms), bucket) or production
    if chosen is None:
        raise Conflict(f"agent {slug}", "without a production version", "one with that label")
    return Choice(
        agent_id=agent_id,
        slug=slug,
        name=name,
        fallback=fallback,
        limits=_json(limits),
        risk=risk,
        version=version_by_id(UUID(str(chosen))),
        split_id=split_id,
        split_epoch=epoch,
        unit=who,
        bucket=bucket,
        answered_by=answered_by,
    )


_versions: OrderedDict[UUID, Version] = OrderedDict()
_lock = threading.Lock()


def version_by_id(version_id: UUID) -> Version:
    """The ready version; raises NotFound."""
    with _lock:
        if version_id in _versions:
            _versions.move_to_end(version_id)
            return _versions[version_id]
    row = AgentVersion.objects.filter(pk=version_id).first()
    if row is None:
        raise NotFound("agent version", version_id)
    ready = _ready(row)
    with _lock:
        _versions[version_id] = ready
        while len(_versions) > MAX_VERSIONS_KEPT:
            _versions.popitem(last=False)
    return ready


def _ready(row: AgentVersion) -> Version:
    tools = tuple(registry.get(name) for name in row.tools)
    full = tuple(
        messages.tool_definition(tool.name, tool.description, tool.parameters) for tool in tools
    )
    lean = tuple(_lean(tool) for tool in tools) if settings.TOKEN_OPTIMISATION else full
    characters = _characters(full)
    return Version(
        id=row.pk,
        number=row.number,
        prompt=row.prompt,
        variables=tuple(row.variables),
        model=row.model,
        tools=tools,
        tool_definitions=full,
        lean_definitions=lean,
        definition_characters=characters,
        spared_characters=characters - _characters(lean),
        guardrails=row.guardrails,
        output_schema=row.output_schema,
        retrieval=row.retrieval,
        examples=tuple(messages.example_messages(row.examples)),
        digest=row.digest,
        canary=canary_of(row.pk),
    )


def _lean(tool: Tool) -> dict[str, Any]:
    described = condensing.lean_description(tool.description)
    return messages.tool_definition(tool.name, described, condensing.lean_schema(tool.parameters))


def _characters(definitions: Sequence[dict[str, Any]]) -> int:
    return len(json.dumps(definitions, ensure_ascii=False, default=str)) if definitions else 0


def canary_of(version_id: UUID) -> str:
    """A mark in the prompt that nobody can guess; an answer that holds it leaks the prompt."""
    mac = hmac.new(settings.SECRET_KEY.encode(), version_id.bytes, hashlib.sha256)
    return f"rk-{mac.hexdigest()[:16]}"


def _unit_of(kind: str, units: dict[str, str], given: str) -> str:
    """Who is assigned. A name that the caller ``given`` stands for a run or a user of its own; it
    never moves a client, nor a conversation that is known, from one version to another."""
    if kind == "client":
        return units.get(kind, "")
    if kind == "conversation":
        return units.get(kind) or given
    return given or units.get(kind, "")


def _is_met(wave: list[str] | None, units: dict[str, str]) -> bool:
    """Whether a split is for this caller; outside of its audience it is as if there were none."""
    if not wave or f"{WORKFLOW}{units.get('workflow', '')}" in wave:
        return True
    return bool(set(wave) & audiences_of(units.get("user", ""), units.get("client", "")))


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
