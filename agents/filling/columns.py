"""Calls of one day as columns: who, when, how long, how dear. A draw from stated distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

STATES = ("succeeded", "failed", "blocked", "fallback")
STATE_SHARES = (0.965, 0.02, 0.01, 0.005)
CODES = ("", "timeout", "unavailable", "rate_limited", "bad_answer")
# Share of calls answered from the cache, and that stream.
CACHED, STREAMED = 0.25, 0.4
# Calls by hour of the day: an office's, with a night that never quite ends.
HOURS = np.array([1, 1, 1, 1, 1, 2, 4, 8, 14, 16, 16, 15, 11, 14, 16, 16, 15, 12, 8, 5, 4, 3, 2, 1])
DAY_SECONDS = 86_400
# USD for a token read and written.
READ_USD, WRITTEN_USD = 4e-7, 1.6e-6


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part: agents with their domain and audience, clients, users, endpoints.

    ``providers`` stands beside ``endpoints``, one for each.
    """

    agents: Sequence[tuple[str, str, str, str, str]]  # id, slug, domain, audience, version id
    clients: Sequence[str]
    users: Sequence[str]
    endpoints: Sequence[str]
    providers: Sequence[str]
    models: Sequence[str]


@dataclass(frozen=True, slots=True)
class Day:
    """Columns in order of time; ``at`` is seconds since midnight."""

    at: np.ndarray
    codes: Mapping[str, np.ndarray]
    numbers: Mapping[str, np.ndarray]


def draw(cast: Cast, size: int, generator: np.random.Generator) -> Day:
    """One day of ``size`` calls."""
    at = _times(size, generator)
    agents = len(cast.agents)
    popularity = 1 / np.arange(1, agents + 1)
    agent = generator.choice(agents, size, p=popularity / popularity.sum())
    # A client works with a handful of agents: the one that an agent's number leads to, or the next.
    client = (agent * 7 + generator.integers(0, 3, size)) % len(cast.clients)
    state = generator.choice(len(STATES), size, p=STATE_SHARES)
    failed = state == STATES.index("failed")
    cached = (generator.random(size) < CACHED) & (state == 0)
    pace = 0.4 + 0.05 * (agent % 17)
    model_seconds = generator.lognormal(0, 0.55, size) * pace
    seconds = np.where(cached, 0.002 + generator.random(size) * 0.004, model_seconds + 0.012)
    read = np.where(cached, 0, generator.integers(200, 4000, size))
    written = np.where(cached, 0, generator.integers(20, 700, size))
    cost = np.round(read * READ_USD + written * WRITTEN_USD, 9)
    spared = np.where(cached, np.round((1200 * READ_USD + 250 * WRITTEN_USD), 9), 0.0)
    streamed = ~cached & (generator.random(size) < STREAMED)
    none = np.full(size, np.nan)
    codes = {
        "agent": agent, "client": client, "user": generator.integers(0, len(cast.users), size),
        "endpoint": agent % len(cast.endpoints), "model": agent % len(cast.models),
        "state": state, "cached": cached.astype(np.int64),
        "code": np.where(failed, generator.integers(1, len(CODES), size), 0),
    }  # fmt: skip
    numbers = {
        "invocations": np.ones(size), "invocation_errors": failed.astype(float),
        "invocations_blocked": (state == 2).astype(float),
        "invocation_fallbacks": (state == 3).astype(float),
        "cache_hits": cached.astype(float), "invocation_duration_seconds": seconds,
        "model_duration_seconds": np.where(cached, none, model_seconds),
        "first_token_seconds": np.where(streamed, model_seconds * 0.3, none),
        "input_tokens": read.astype(float), "cached_tokens": np.zeros(size),
        "output_tokens": written.astype(float), "cost_usd": cost, "saved_usd": spared,
        "model_calls": np.where(cached, 0.0, 1.0), "tool_calls": np.zeros(size),
    }  # fmt: skip
    return Day(at, codes, numbers)


def _times(size: int, generator: np.random.Generator) -> np.ndarray:
    hours = generator.choice(24, size, p=HOURS / HOURS.sum())
    return np.sort(hours * 3600 + generator.random(size) * 3600)


def ids(day_start_ms: int, at: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """UUIDv7 of each call as 16 bytes (RFC 9562, 5.7): the time, then chance."""
    made = np.frombuffer(generator.bytes(16 * at.size), dtype=np.uint8).reshape(-1, 16).copy()
    times = (day_start_ms + (at * 1000).astype(np.int64)).astype(">u8").view(np.uint8)
    made[:, :6] = times.reshape(-1, 8)[:, 2:]
    made[:, 6] = made[:, 6] & 0x0F | 0x70
    made[:, 8] = made[:, 8] & 0x3F | 0x80
    return made
