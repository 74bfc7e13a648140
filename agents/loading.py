"""Bringing the catalogue, prices and default endpoints and budgets into the database.

Loading twice changes nothing; an edited entry becomes a new version with the production label.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from agents import versions
from agents.domain.catalogue import Entry, load_catalogue
from agents.domain.cost import TUNED
from agents.endpoints.directory import forget
from agents.models import Agent, Budget, Endpoint, Label, PriceList
from agents.tools import registry
from config import logs
from config.errors import InvalidInput

logger = logging.getLogger(__name__)
HERE = Path(__file__).parent
CATALOGUE = HERE / "catalogue"
PRICES = HERE / "prices.yaml"
BY = "catalogue"

OFFLINE = "offline-model"
CONFIGURED = "default"
CONTEXT_TOKENS = 128_000
CAPABILITIES = ["tools", "json_schema", "stream", "batch"]

# Caps that apply until somebody sets others; "*" is copied for each new one.
DEFAULT_BUDGETS = (
    (Budget.Scope.ALL, "all", Budget.Window.MONTH, Decimal(5000), Decimal(4000)),
    (Budget.Scope.CLIENT, "*", Budget.Window.MONTH, Decimal(1000), Decimal(800)),
    (Budget.Scope.USER, "*", Budget.Window.DAY, Decimal(500), Decimal(400)),
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """How many agents there are, and what this load changed."""

    agents: int
    new_agents: int
    new_versions: int
    changed_agents: int


def load(directory_of_yaml: Path = CATALOGUE) -> Loaded:
    """Load everything; raises InvalidDocument with all faults before anything is written."""
    catalogue = load_catalogue(directory_of_yaml, registry.names())
    with transaction.atomic():
        load_prices()
        load_endpoints()
        load_default_budgets()
        results = [_load_entry(entry) for entry in catalogue]
    forget()
    loaded = Loaded(
        agents=len(results),
        new_agents=sum(new for new, _, _ in results),
        new_versions=sum(version for _, version, _ in results),
        changed_agents=sum(changed for _, _, changed in results),
    )
    logs.event(logger, "agents.catalogue.loaded", agents=loaded.agents,
               new_versions=loaded.new_versions)  # fmt: skip
    return loaded


def load_prices(path: Path = PRICES) -> int:
    """Add the price lists that are not there yet; one that is there is never changed.

    What the firm says of prices itself goes on in the lists that are shipped after its own.
    """
    made = 0
    shipped = yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
    for row in shipped:
        if "*" not in row["prices"]:
            raise InvalidInput("prices", row["version"], 'a "*" for models that it does not name')
        _, created = PriceList.objects.get_or_create(
            version=row["version"],
            defaults={
                "valid_from": row["valid_from"],
                "prices": {**row["prices"], **_own_prices(row, shipped)},
                "source": " ".join(str(row.get("source", "")).split())[:300],
            },
        )
        made += created
    return made


def _own_prices(row: dict[str, Any], shipped: list[dict[str, Any]]) -> dict[str, Any]:
    """The prices of the firm's latest list before the shipped one of ``row`` that no shipped list
    gives: its lists hold all others, too."""
    own = PriceList.objects.exclude(version__in=[one["version"] for one in shipped])
    latest = own.filter(valid_from__lte=row["valid_from"]).order_by("-valid_from", "-version")
    if (before := latest.first()) is None:
        return {}
    return {
        model: price
        for model, price in before.prices.items()
        if not any(one["prices"].get(model) == price for one in shipped)
    }


def load_endpoints() -> None:
    """The endpoint of the environment, and the offline model that stands in without one."""
    Endpoint.objects.get_or_create(
        name=OFFLINE,
        defaults={
            "is_offline": True,
            "max_in_flight": 512,
            "served": [
                {"name": f"offline-{tier}", "tier": tier, "context_tokens": CONTEXT_TOKENS,
                 "capabilities": CAPABILITIES}
                for tier in versions.TIERS
            ],
        },
    )  # fmt: skip
    if not settings.OFFLINE_MODEL_IN_USE:
        Endpoint.objects.update_or_create(
            name=CONFIGURED,
            defaults={
                "base_url": settings.OPENAI_BASE_URL,
                "served": [*_configured_models(), *tuned_models(CONFIGURED)],
            },
            create_defaults={
                "base_url": settings.OPENAI_BASE_URL,
                "served": _configured_models(),
                "api_key_env": "OPENAI_API_KEY",
            },
        )


def tuned_models(name: str) -> list[dict[str, Any]]:
    """The tuned models that an endpoint serves: they outlive a change of its configuration."""
    served = Endpoint.objects.filter(name=name).values_list("served", flat=True).first() or []
    return [dict(model) for model in served if str(model["name"]).startswith(TUNED)]


def add_tuned_model(endpoint: str, model: str, *, base: str) -> None:
    """Let an endpoint serve a model tuned from its ``base``; only versions that name it ask it."""
    with transaction.atomic():
        row = Endpoint.objects.select_for_update().get(name=endpoint)
        like = next((dict(one) for one in row.served if one["name"] == base), None)
        if like is None or any(one["name"] == model for one in row.served):
            return
        row.served = [*row.served, {**like, "name": model}]
        row.save(update_fields=["served", "updated_at"])
    forget()


def add_endpoint(name: str, base_url: str, models: Mapping[str, str]) -> None:
    """An endpoint that serves ``models``, name → tier, from now on."""
    Endpoint.objects.update_or_create(
        name=name,
        defaults={
            "base_url": base_url, "max_in_flight": 512,
            "served": [
                {"name": model, "tier": tier, "context_tokens": CONTEXT_TOKENS,
                 "capabilities": CAPABILITIES}
                for model, tier in models.items()
            ],
        },
    )  # fmt: skip
    forget()


def load_default_budgets() -> None:
    """Caps for the whole firm, each client and each user, where nobody has set any."""
    for scope, key, window, cap, soft in DEFAULT_BUDGETS:
        Budget.objects.get_or_create(
            scope=scope, key=key, window=window, defaults={"cap_usd": cap, "soft_cap_usd": soft}
        )


def _configured_models() -> list[dict[str, Any]]:
    served = []
    for pair in settings.OPENAI_MODELS:
        tier, _, name = pair.partition("=")
        if tier not in versions.TIERS or not name:
            raise InvalidInput(
                "OPENAI_MODELS", pair, "tier=model, tier one of light, standard, strong"
            )
        served.append({"name": name, "tier": tier, "context_tokens": CONTEXT_TOKENS,
                       "capabilities": CAPABILITIES})  # fmt: skip
    return served


def _load_entry(entry: Entry) -> tuple[bool, bool, bool]:
    """Returns whether the agent is new, its version is new, and its own fields changed."""
    wanted = _fields_of(entry)
    agent, created = Agent.objects.get_or_create(slug=entry.slug, defaults=wanted)
    changed = not created and any(getattr(agent, name) != value for name, value in wanted.items())
    if changed:
        Agent.objects.filter(pk=agent.pk).update(**wanted, updated_at=Now())
    content = content_of(entry)
    # What was loaded last decides, not what production is: a rollout since then stands.
    fresh = agent.catalogue_digest != content.digest
    if fresh:
        versions.publish(agent=agent, content=content, label=Label.Name.PRODUCTION, created_by=BY)
        Agent.objects.filter(pk=agent.pk).update(catalogue_digest=content.digest)
    if created:
        Budget.objects.get_or_create(
            scope=Budget.Scope.AGENT,
            key=agent.slug,
            window=Budget.Window.DAY,
            defaults={"cap_usd": entry.budget.day_usd},
        )
    return created, fresh, changed


def content_of(entry: Entry) -> versions.Content:
    """The version that a catalogue entry describes."""
    rails = entry.guardrails
    return versions.Content(
        prompt=entry.prompt,
        variables=list(entry.variables),
        model={
            "tier": entry.model.tier,
            "temperature": entry.model.temperature,
            "max_output_tokens": entry.model.max_output_tokens,
        },
        tools=list(entry.tools),
        guardrails={
            "injection": rails.injection,
            "pii": rails.pii,
            "secrets": rails.secrets,
            "unsupported": rails.unsupported,
            **rails.more,
        },
        retrieval={"sources": list(entry.sources)} if entry.sources else {},
    )


def _fields_of(entry: Entry) -> dict[str, Any]:
    goals, scaling = entry.objectives, entry.scaling
    return {
        "name": entry.name,
        "domain": entry.domain,
        "purpose": entry.purpose,
        "audience": entry.audience,
        "risk": entry.risk,
        "fallback": entry.fallback,
        "scaling": {name: getattr(scaling, name) for name in scaling.__dataclass_fields__},
        "objectives": {name: getattr(goals, name) for name in goals.__dataclass_fields__},
        "limits": {"call_usd": str(entry.budget.call_usd)},
        "cases": [
            {"name": case.name, "input": dict(case.input), "facts": [dict(f) for f in case.facts]}
            for case in entry.cases
        ],
    }
