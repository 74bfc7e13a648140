"""The endpoints and prices as they are now, read at most every two seconds a process."""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from agents.domain import scoring
from agents.domain.cost import TUNED, Price, most_usd, price_from
from agents.domain.scoring import Candidate, Needs, Policy
from agents.endpoints.secrets import open_secret, variable
from agents.models import Endpoint, PriceList
from config.errors import Unavailable
from scaling import breaker, rests
from scaling.rests import Rest

KEPT_SECONDS = 2.0
# A price list is never missing for long: until one is loaded, every token counts as dear.
DEAR = {"*": {"input": "10", "output": "40"}}
# How fast the latency of an endpoint is forgotten: the newest call counts a fifth.
NEWEST_SHARE = 0.2
# What was measured so long ago may be over: of the calls that come then, so many measure it anew.
STALE_SECONDS = 60.0
ANEW_SHARE = 0.05
# Expected of an endpoint whose first reply is awaited.
UNKNOWN_SECONDS = 0.5
# The failure that is told of one model of an endpoint.
RATE_LIMITED = "rate_limited"
# A model that offers nothing else does not chat.
EMBEDDINGS_ONLY = frozenset({"embeddings"})


@dataclass(frozen=True, slots=True)
class Served:
    """One model of one endpoint, ready to be asked."""

    endpoint_id: UUID
    endpoint: str
    provider: str
    base_url: str
    api_key: str
    model: str
    tier: str
    context_tokens: int
    capabilities: frozenset[str]
    priority: int
    weight: int
    max_in_flight: int
    limits: dict[str, Any]
    price: Price
    first_token_seconds: float | None = None

    @property
    def is_named_only(self) -> bool:
        """A tuned model answers for the version that names it, never because it is cheap."""
        return self.model.startswith(TUNED)


@dataclass(frozen=True, slots=True)
class _Kept:
    until: float
    served: tuple[Served, ...]


class _Seen:
    """What this process learns of its endpoints: load, latency, errors."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.in_flight: dict[str, int] = defaultdict(int)
        self.latency: dict[str, float] = {}
        self.errors: dict[str, float] = {}
        self.noted_at: dict[str, float] = {}

    @contextmanager
    def slot(self, served: Served) -> Iterator[bool]:
        """Take one of the endpoint's places in this process; False if it is full."""
        with self._lock:
            taken = self.in_flight[served.endpoint] < served.max_in_flight
            if taken:
                self.in_flight[served.endpoint] += 1
        try:
            yield taken
        finally:
            if taken:
                with self._lock:
                    self.in_flight[served.endpoint] -= 1

    def note(self, endpoint: str, seconds: float, *, failed: bool) -> None:
        """Remember how a call went."""
        with self._lock:
            before = self.errors.get(endpoint, 0.0)
            self.errors[endpoint] = before + NEWEST_SHARE * (float(failed) - before)
            if not failed:
                last = self.latency.get(endpoint, seconds) if self._is_fresh(endpoint) else seconds
                self.latency[endpoint] = last + NEWEST_SHARE * (seconds - last)
            self.noted_at[endpoint] = time.monotonic()

    def expected_seconds(self, endpoint: str) -> float:
        """How long a reply takes, as it was last measured.

        Nothing, for one that was never asked and, now and then, one that nobody has asked of late:
        it is measured next, or a moment's slowness would keep it away for good.
        """
        with self._lock:
            if not self.in_flight[endpoint] and self._is_due(endpoint):
                return 0.0
            return self.latency.get(endpoint, UNKNOWN_SECONDS)

    def _is_due(self, endpoint: str) -> bool:
        if endpoint not in self.noted_at:
            return True
        return not self._is_fresh(endpoint) and random.random() < ANEW_SHARE

    def _is_fresh(self, endpoint: str) -> bool:
        at = self.noted_at.get(endpoint)
        return at is not None and time.monotonic() - at < STALE_SECONDS

    def health(self, endpoint: str) -> dict[str, Any]:
        """What this process has seen: calls under way, mean latency, share of failures."""
        with self._lock:
            latency = self.latency.get(endpoint)
            return {
                "in_flight": self.in_flight[endpoint],
                "latency_seconds": None if latency is None else round(latency, 4),
                "error_ratio": round(self.errors.get(endpoint, 0.0), 4),
            }


seen = _Seen()
_kept = _Kept(0.0, ())
_lists: dict[str, dict[str, Any]] = {}
_turns = count()


def directory() -> tuple[Served, ...]:
    """All models of all active endpoints, with today's prices."""
    global _kept
    now = time.monotonic()
    if _kept.until <= now:
        _kept = _Kept(now + KEPT_SECONDS, tuple(_read()))
    return _kept.served


def provider_of(endpoint: str) -> str:
    """Who runs an endpoint, as this process last read it; empty if it is not known."""
    return next((one.provider for one in _kept.served if one.endpoint == endpoint), "")


def price_at(version: str, model: str) -> Price:
    """What ``model`` cost by the price list ``version``; a list never changes, so it is read once.

    Without that list every token counts as dear, as it did when the call was paid.
    """
    table = _lists.get(version)
    if table is None:
        row = PriceList.objects.filter(version=version).first()
        table = DEAR if row is None else _lists.setdefault(version, row.prices)
    return price_from(table, model, version)


def forget(endpoint: str | None = None) -> None:
    """Read anew at the next call, after an edit; ``endpoint``, which was changed, may be asked."""
    global _kept
    _kept = _Kept(0.0, ())
    _lists.clear()
    if endpoint is not None:
        rests.forget(lambda name: name.partition("\n")[0] == endpoint or name == endpoint)


def leave(served: Served, code: str, seconds: float, *, is_of_model: bool = False) -> None:
    """Ask nothing for a while, because it was said so: a rate is the model's, the rest of what can
    be wrong the endpoint's, unless ``is_of_model`` says otherwise."""
    model, endpoint = _names(served)
    rests.leave(model if is_of_model or code == RATE_LIMITED else endpoint, code, seconds)


def rest_of(served: Served) -> Rest | None:
    """The rest that the model or its endpoint asked for, while it lasts."""
    return rests.of(*_names(served))


def _names(served: Served) -> tuple[str, str]:
    return f"{served.endpoint}\n{served.model}", served.endpoint


def candidates(
    needs: Needs, *, policy: Policy = "cheapest", session: str = "", only_model: str = ""
) -> list[Served]:
    """The models that fit, in the order to try them; raises Unavailable if there is none."""
    served = [
        s
        for s in directory()
        if s.capabilities != EMBEDDINGS_ONLY
        and (s.model == only_model if only_model else not s.is_named_only)
    ]
    by_pair = {(s.endpoint, s.model): s for s in served}
    ranked = scoring.order(
        [_candidate(s) for s in served],
        needs,
        policy=policy,
        turn=next(_turns),
        draw=random.random(),
        session=session,
    )
    if not ranked:
        what = f"a {needs.tier} model for {needs.context_tokens} tokens"
        raise Unavailable(what, "no active endpoint serves one; see GET /api/v1/endpoints", 30)
    return [by_pair[(c.endpoint, c.model)] for c in ranked]


def _candidate(served: Served) -> Candidate:
    return Candidate(
        endpoint=served.endpoint,
        model=served.model,
        tier=served.tier,
        context_tokens=served.context_tokens,
        capabilities=served.capabilities,
        priority=served.priority,
        weight=served.weight,
        in_flight=seen.in_flight[served.endpoint],
        latency_seconds=seen.expected_seconds(served.endpoint),
        error_ratio=seen.errors.get(served.endpoint, 0.0),
        price_usd=most_usd(served.price, input_tokens=1000, output_tokens=500),
        is_open=breaker.peek(f"endpoint:{served.endpoint}") or rest_of(served) is not None,
    )


def _read() -> Iterator[Served]:
    today = timezone.now().date()
    prices = (
        PriceList.objects.filter(valid_from__lte=today).order_by("-valid_from", "-version").first()
    )
    table, version = (prices.prices, prices.version) if prices else (DEAR, "none")
    for endpoint in Endpoint.objects.filter(state=Endpoint.State.ACTIVE):
        if endpoint.is_offline and not settings.OFFLINE_MODEL_IN_USE:
            continue
        for model in endpoint.served:
            yield Served(
                endpoint_id=endpoint.pk,
                endpoint=endpoint.name,
                provider=endpoint.run_by,
                base_url=settings.OFFLINE_MODEL_URL if endpoint.is_offline else endpoint.base_url,
                api_key=_api_key(endpoint),
                model=model["name"],
                tier=model["tier"],
                context_tokens=int(model.get("context_tokens", 8192)),
                capabilities=frozenset(model.get("capabilities", ())),
                priority=endpoint.priority,
                weight=endpoint.weight,
                max_in_flight=endpoint.max_in_flight,
                limits=endpoint.limits,
                price=price_from(table, model["name"], version),
                first_token_seconds=model.get("first_token_seconds"),
            )


def _api_key(endpoint: Endpoint) -> str:
    if endpoint.api_key_encrypted:
        return open_secret(bytes(endpoint.api_key_encrypted))
    return variable(endpoint.api_key_env) if endpoint.api_key_env else "none"


def dearest(served: list[Served], *, input_tokens: int, output_tokens: int) -> Decimal:
    """The most that one call can cost, whichever of ``served`` answers it."""
    return max(
        most_usd(s.price, input_tokens=input_tokens, output_tokens=output_tokens) for s in served
    )
