"""Publish, diff, label, retire and split versions of agents; and pick the one that answers."""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, get_args
from uuid import UUID

from django.db import transaction
from django.db.models import F, Max
from django.db.models.functions import Now

from agents.domain import chunking, prompts, retrieval, traffic
from agents.domain.guardrails import rails
from agents.domain.scoring import Policy
from agents.models import Agent, AgentVersion, CachedAnswer, Label, TrafficSplit
from agents.resolving import MOST_TOOLS
from agents.tools import registry
from config import logs, schemas
from config.errors import Conflict, InvalidInput, NotFound
from monitoring import services

logger = logging.getLogger(__name__)
TIERS = ("light", "standard", "strong")
# Sooner, every call would be asked twice; later than any reply takes, none.
MIN_HEDGE_SECONDS, MAX_HEDGE_SECONDS = 0.05, 60.0
# Below it, the semantic cache would share answers between questions about one subject.
LEAST_THRESHOLD = 0.7
# Fewer tokens of a chat would not hold its last question.
LEAST_HISTORY = 200
# What stands for the turns of a chat that do not fit: a summary, or nothing.
HISTORIES = ("summary", "window")
RETRIEVAL = frozenset({"sources", "passages", "max_tokens", "cut", "weights"})


@dataclass(frozen=True, slots=True)
class Content:
    """All that decides what a version answers."""

    prompt: str
    variables: list[str] = field(default_factory=list)
    model: dict[str, Any] = field(default_factory=lambda: {"tier": "standard"})
    tools: list[str] = field(default_factory=list)
    guardrails: dict[str, Any] = field(default_factory=dict)
    output_schema: dict[str, Any] | None = None
    retrieval: dict[str, Any] = field(default_factory=dict)
    examples: list[dict[str, Any]] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """The same content has the same digest, whatever the order of its keys."""
        text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def publish(
    *,
    agent: Agent,
    content: Content,
    label: str | None = None,
    note: str = "",
    created_by: str = "",
) -> tuple[AgentVersion, bool]:
    """The agent's version with this content, made if there is none; and whether it is new.

    ``label`` is moved to it. Raises InvalidInput for content that could not answer.
    """
    check(content)
    with transaction.atomic():
        Agent.objects.select_for_update().get(pk=agent.pk)
        version = AgentVersion.objects.filter(agent=agent, digest=content.digest).first()
        created = version is None
        if version is None:
            last = agent.versions.aggregate(last=Max("number"))["last"] or 0
            version = AgentVersion.objects.create(
                agent=agent,
                number=last + 1,
                digest=content.digest,
                note=note[:300],
                created_by=created_by[:80],
                **asdict(content),
            )
            logs.event(logger, "agents.version.published", agent=agent.slug,
                       number=version.number, by=created_by)  # fmt: skip
        if label:
            move_label(agent=agent, name=label, version=version, by=created_by)
    return version, created


def check(content: Content) -> None:
    """Raise InvalidInput naming the first thing that is wrong with ``content``."""
    prompts.check_prompt(content.prompt, content.variables)
    if content.model.get("tier") not in TIERS:
        raise InvalidInput("model.tier", content.model.get("tier"), f"one of {', '.join(TIERS)}")
    for key, low, high in (("temperature", 0.0, 2.0), ("max_output_tokens", 1, 200_000)):
        value = content.model.get(key, low)
        if not isinstance(value, int | float) or not low <= value <= high:
            raise InvalidInput(f"model.{key}", value, f"from {low} to {high}")
    _check_tiers(content.model)
    if not isinstance(content.model.get("escalate", True), bool):
        raise InvalidInput("model.escalate", content.model["escalate"], "true, false or nothing")
    _check_history(content.model)
    _check_route(content.model)
    _check_retrieval(content.retrieval)
    threshold = content.model.get("semantic_threshold")
    if threshold is not None and (
        not isinstance(threshold, int | float) or not LEAST_THRESHOLD <= threshold <= 1.0
    ):
        limit = f"from {LEAST_THRESHOLD} to 1, or nothing"
        raise InvalidInput("model.semantic_threshold", threshold, limit)
    if unknown := registry.missing(content.tools):
        raise InvalidInput("tools", ", ".join(unknown), "tools that exist (see GET /tools)")
    if wrong := rails.fault_of(content.guardrails):
        raise InvalidInput(*wrong)
    if content.output_schema is not None and (fault := schemas.fault_of(content.output_schema)):
        where = ".".join(["output_schema", *map(str, fault[0])])
        raise InvalidInput(where, content.output_schema, fault[1])
    for index, example in enumerate(content.examples):
        if not {"input", "output"} <= set(example):
            raise InvalidInput(f"examples[{index}]", sorted(example), "input and output")


def _check_tiers(model: dict[str, Any]) -> None:
    tiers = model.get("tiers")
    if tiers is None:
        return
    known = isinstance(tiers, list) and all(isinstance(t, str) and t in TIERS for t in tiers)
    if not known or len(set(tiers)) != len(tiers) or model["tier"] not in tiers:
        limit = f"different ones of {', '.join(TIERS)}, with model.tier among them; or nothing"
        raise InvalidInput("model.tiers", tiers, limit)


def _check_history(model: dict[str, Any]) -> None:
    tokens, how = model.get("history_tokens", LEAST_HISTORY), model.get("history", "summary")
    if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < LEAST_HISTORY:
        limit = f"a whole number from {LEAST_HISTORY}, or nothing"
        raise InvalidInput("model.history_tokens", tokens, limit)
    if how not in HISTORIES:
        raise InvalidInput("model.history", how, f"one of {', '.join(HISTORIES)}")
    if not isinstance(model.get("compress", True), bool):
        raise InvalidInput("model.compress", model["compress"], "true or false")


def _check_route(model: dict[str, Any]) -> None:
    policy = model.get("policy", "cheapest")
    if policy not in get_args(Policy):
        raise InvalidInput("model.policy", policy, f"one of {', '.join(get_args(Policy))}")
    after = model.get("hedge_after_seconds")
    if after is not None and (
        not isinstance(after, int | float) or not MIN_HEDGE_SECONDS <= after <= MAX_HEDGE_SECONDS
    ):
        limit = f"from {MIN_HEDGE_SECONDS} to {MAX_HEDGE_SECONDS} s, or nothing"
        raise InvalidInput("model.hedge_after_seconds", after, limit)
    offered = model.get("tools_offered", 1)
    if isinstance(offered, bool) or not isinstance(offered, int) or not 1 <= offered <= MOST_TOOLS:
        limit = f"a whole number from 1 to {MOST_TOOLS}"
        raise InvalidInput("model.tools_offered", offered, limit)


def _check_retrieval(settings: dict[str, Any]) -> None:
    if unknown := sorted(set(settings) - RETRIEVAL):
        raise InvalidInput("retrieval", ", ".join(unknown), f"only {', '.join(sorted(RETRIEVAL))}")
    sources = settings.get("sources", [])
    if not isinstance(sources, list) or not all(isinstance(one, str) for one in sources):
        raise InvalidInput("retrieval.sources", sources, "a list of titles")
    for key, low, high in (("passages", 1, 50), ("max_tokens", 1, 50_000)):
        value = settings.get(key, low)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InvalidInput(f"retrieval.{key}", value, f"a whole number from {low} to {high}")
    try:
        if settings.get("cut"):
            chunking.cut_named(str(settings["cut"]))
    except ValueError as error:
        raise InvalidInput("retrieval.cut", settings["cut"], str(error)) from None
    weights = settings.get("weights") or {}
    try:
        retrieval.weights_from(weights)
    except (ValueError, AttributeError, TypeError) as error:
        raise InvalidInput("retrieval.weights", weights, str(error)) from None


def published(slug: str, content: Content) -> AgentVersion | None:
    """The agent's version with this content; None if there is none."""
    return AgentVersion.objects.filter(agent__slug=slug, digest=content.digest).first()


def content_of(version: AgentVersion) -> Content:
    """The content of a stored version."""
    return Content(**{name: getattr(version, name) for name in Content.__dataclass_fields__})


def diff(before: AgentVersion, after: AgentVersion) -> dict[str, Any]:
    """What changed: unified lines of the prompt; before and after of everything else."""
    old, new = asdict(content_of(before)), asdict(content_of(after))
    changed: dict[str, Any] = {
        key: {"before": old[key], "after": new[key]}
        for key in old
        if key != "prompt" and old[key] != new[key]
    }
    if old["prompt"] != new["prompt"]:
        changed["prompt"] = list(
            difflib.unified_diff(
                old["prompt"].splitlines(),
                new["prompt"].splitlines(),
                f"version {before.number}",
                f"version {after.number}",
                lineterm="",
            )
        )
    return changed


def move_label(*, agent: Agent, name: str, version: AgentVersion, by: str = "") -> Label:
    """Point the label at ``version``; raises Conflict for one that is retired or another's."""
    if name not in Label.Name.values:
        raise InvalidInput("label", name, f"one of {', '.join(Label.Name.values)}")
    if version.agent_id != agent.pk:
        raise InvalidInput("version", str(version.pk), f"a version of {agent.slug}")
    with transaction.atomic():
        Agent.objects.select_for_update().get(pk=agent.pk)
        if AgentVersion.objects.filter(pk=version.pk).exclude(retired_at=None).exists():
            raise Conflict(f"version {version.number} of {agent.slug}", "retired", "a live version")
        label, _ = Label.objects.update_or_create(
            agent=agent,
            name=name,
            defaults={"version": version, "moved_by": by[:80], "moved_at": Now()},
        )
        if name == Label.Name.PRODUCTION:  # a line on the time axis of the agent's plots
            services.mark(
                kind="deployment", scope="agent", key=agent.slug,
                text=f"v{version.number} deployed", href=f"/dashboard/agents/{agent.slug}",
            )  # fmt: skip
    logs.event(logger, "agents.label.moved", agent=agent.slug, label=name,
               number=version.number, by=by)  # fmt: skip
    return label


def retire(*, version: AgentVersion, by: str = "", reason: str = "") -> None:
    """Bar a version from answering; raises Conflict while a label or an open split names it."""
    with transaction.atomic():
        Agent.objects.select_for_update().get(pk=version.agent_id)
        if version.labels.exists():
            raise Conflict(f"version {version.number}", "labelled", "no label on it")
        open_split = TrafficSplit.objects.filter(agent_id=version.agent_id, closed_at=None).first()
        if open_split is not None and str(version.pk) in open_split.arms:
            raise Conflict(
                f"version {version.number}", "in an open traffic split", "none that names it"
            )
        rows = AgentVersion.objects.filter(pk=version.pk, retired_at=None)
        if rows.update(retired_at=Now()) and reason:
            services.audit(actor=by, action="agents.version.retired",
                           target=f"version:{version.pk}", after={"reason": reason})  # fmt: skip
    CachedAnswer.objects.filter(version_id=version.pk).delete()
    logs.event(logger, "agents.version.retired", version=str(version.pk), by=by)


def open_split(
    *,
    agent: Agent,
    arms: Mapping[str, list[list[int]]],
    unit: str = TrafficSplit.Unit.RUN,
    seed: str | None = None,
    audience: Sequence[str] = (),
    gates: Sequence[Mapping[str, Any]] = (),
    reason: str = "",
    by: str = "",
) -> TrafficSplit:
    """Close the agent's open epoch and open the next; it counts from each caller's next call.

    Keeps the open epoch's seed unless ``seed`` is given, so that ranges which only widen move
    nobody. Raises InvalidInput for overlapping ranges or versions that can't answer.
    """
    if unit not in TrafficSplit.Unit.values:
        raise InvalidInput("unit", unit, f"one of {', '.join(TrafficSplit.Unit.values)}")
    with transaction.atomic():
        Agent.objects.select_for_update().get(pk=agent.pk)
        check_arms(agent, arms)
        last = TrafficSplit.objects.filter(agent=agent).order_by("-epoch").first()
        TrafficSplit.objects.filter(agent=agent, closed_at=None).update(closed_at=Now())
        split = TrafficSplit.objects.create(
            agent=agent,
            epoch=(last.epoch if last else 0) + 1,
            seed=seed or (last.seed if last and last.closed_at is None else traffic.new_seed()),
            unit=unit,
            arms={version: [list(pair) for pair in ranges] for version, ranges in arms.items()},
            audience=list(audience),
            gates=[dict(gate) for gate in gates],
            reason=reason[:300],
            opened_by=by[:80],
        )
    logs.event(logger, "agents.split.opened", agent=agent.slug, epoch=split.epoch, by=by)
    return split


def check_arms(agent: Agent, arms: Mapping[str, list[list[int]]]) -> None:
    """Raise InvalidInput for ranges that overlap, or versions that can't answer."""
    traffic.check_arms(arms)
    live = set(map(str, agent.versions.filter(retired_at=None).values_list("id", flat=True)))
    if unknown := sorted(set(arms) - live):
        raise InvalidInput("arms", ", ".join(unknown), f"live versions of {agent.slug}")


def close_split(*, agent: Agent, by: str = "") -> bool:
    """Close the open epoch, so that production answers everybody; False if none was open."""
    closed = TrafficSplit.objects.filter(agent=agent, closed_at=None).update(closed_at=Now())
    if closed:
        logs.event(logger, "agents.split.closed", agent=agent.slug, by=by)
    return bool(closed)


def preview(split: TrafficSplit, unit: str) -> str | None:
    """The version that ``unit`` would meet under ``split``; None for production."""
    if not traffic.passes(split.gates, unit):
        return None
    return traffic.arm_of(split.arms, traffic.bucket_of(split.seed, unit))


def set_state(
    *, agent: Agent, state: str, reason: str = "", by: str = "", person: str = ""
) -> None:
    """Pause, resume or retire an agent; it counts from the next call.

    When a ``person`` (a principal) takes it out of service, its own alerts end; what an incident
    has done for itself lasts as long as that.
    """
    if state not in Agent.State.values:
        raise InvalidInput("state", state, f"one of {', '.join(Agent.State.values)}")
    with transaction.atomic():
        Agent.objects.filter(pk=agent.pk).update(
            state=state, state_reason=reason[:300], updated_at=Now()
        )
        if person and state != Agent.State.ACTIVE:
            services.stopped(agent.slug, actor=person)
    logs.event(logger, "agents.agent.state_set", agent=agent.slug, state=state, by=by)


def version_of(agent: Agent, reference: str | int | UUID) -> AgentVersion:
    """A version by id, number or label; raises NotFound."""
    text = str(reference)
    rows = AgentVersion.objects.filter(agent=agent)
    if text in Label.Name.values:
        found = rows.filter(labels__name=text, labels__agent_id=F("agent_id")).first()
    elif text.isdecimal():
        found = rows.filter(number=int(text[:9])).first()
    else:
        try:
            found = rows.filter(pk=UUID(text)).first()
        except ValueError:
            found = None
    if found is None:
        raise NotFound(f"version of {agent.slug}", reference)
    return found
