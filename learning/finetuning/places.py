"""Where a model can be tuned, and what that costs."""

from __future__ import annotations

from decimal import Decimal

from agents import endpoints
from agents.endpoints import Served
from config.errors import NotFound
from learning.models import TuningJob


def served_by(tier: str, endpoint: str, model: str) -> Served:
    """The model to tune: of the named endpoint, or the cheapest of the tier."""
    fitting = [
        s for s in endpoints.directory()
        if not s.is_named_only and (not endpoint or s.endpoint == endpoint)
        and (s.model == model if any(o.model == model for o in endpoints.directory())
             else s.tier == tier)
    ]  # fmt: skip
    if not fitting:
        raise NotFound(f"a {tier} model to tune at endpoint", endpoint or "any")
    return min(fitting, key=lambda s: (s.priority, s.price.training, s.endpoint, s.model))


def served_for(row: TuningJob) -> Served:
    for one in endpoints.directory():
        if one.endpoint == row.endpoint and one.model == row.served_as:
            return one
    raise NotFound(f"model {row.served_as} at endpoint", row.endpoint)


def price_of(served: Served, tokens: int) -> Decimal:
    return (tokens * served.price.training / Decimal(1_000_000)).quantize(Decimal("1e-9"))
