"""The behaviour profile: how fast, how faulty and how right the offline model is.

This is the truth of a simulation. Only this package reads it.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from statistics import NormalDist
from typing import Any, Literal

import yaml
from jsonschema import Draft202012Validator

from agents.offline_model.answering import Behaviour
from agents.offline_model.quality import draw
from agents.offline_model.writing import Verbosity
from config.errors import InvalidDocument

SCHEMA_FILE = Path(__file__).parent / "profile.schema.json"
# How often the file's time is looked at: a stat costs little, a changed profile may wait as long.
RELOAD_SECONDS = 0.25
DEFAULT_CONTEXT_TOKENS = 128_000
DEFAULT_MODELS: Mapping[str, dict[str, Any]] = {
    "offline-light": {},
    "offline-standard": {},
    "offline-strong": {},
    "offline-embedding": {"kind": "embedding", "context_tokens": 8_192},
}

FaultKind = Literal[
    "rate_limited", "server_error", "reset", "hang", "slow_stream", "broken_arguments",
    "wrong_schema", "endless_tools", "error_body", "cut_stream", "no_tokens",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Distribution:
    """Seconds: always ``median_seconds`` if ``sigma`` is 0, else lognormal around it."""

    median_seconds: float = 0.0
    sigma: float = 0.0

    def at(self, quantile: float) -> float:
        """The seconds at ``quantile`` of [0, 1)."""
        if self.sigma == 0:
            return self.median_seconds
        deviation = NormalDist().inv_cdf(min(max(quantile, 1e-9), 1 - 1e-9))
        return self.median_seconds * math.exp(self.sigma * deviation)


@dataclass(frozen=True, slots=True)
class Latency:
    """Time to the first token, and from each to the next."""

    first_token: Distribution = Distribution()
    per_token: Distribution = Distribution()


@dataclass(frozen=True, slots=True)
class Asked:
    """What conditions look at: the model, the system prompt, the last user message."""

    model: str
    prompt: str
    user: str


@dataclass(frozen=True, slots=True)
class When:
    """A condition on a request; what is None is not asked. Substrings ignore case."""

    model: str | None = None
    prompt_contains: str | None = None
    prompt_lacks: str | None = None
    prompt_matches: str | None = None
    user_contains: str | None = None
    user_matches: str | None = None

    def holds(self, asked: Asked) -> bool:
        """Whether every part of the condition holds."""
        return (
            (self.model is None or self.model == asked.model)
            and _contains(asked.prompt, self.prompt_contains)
            and (self.prompt_lacks is None or not _contains(asked.prompt, self.prompt_lacks))
            and _matches(asked.prompt, self.prompt_matches)
            and _contains(asked.user, self.user_contains)
            and _matches(asked.user, self.user_matches)
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """What changes where ``when`` holds. Rules apply in order; shifts add up."""

    when: When
    accuracy_ratio: float | None = None
    accuracy_shift: float = 0.0
    verbosity: Verbosity | None = None
    completion_tokens_ratio: float | None = None
    latency: Latency | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Rules by what ``pattern`` captures in the prompt: hundreds, found at the price of one."""

    pattern: re.Pattern[str]
    rules: Mapping[str, Rule]

    def rule_for(self, asked: Asked) -> Rule | None:
        """The rule of this prompt; None if it names none."""
        found = self.pattern.search(asked.prompt)
        return self.rules.get(found[1]) if found else None


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure to inject: at ``rate``, at most ``times`` for one and the same request."""

    kind: FaultKind
    when: When = When()
    rate: float = 1.0
    times: int | None = None
    endpoint: Literal["chat", "embeddings", "any"] = "chat"
    status: int = 500
    retry_after_seconds: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """One offered model."""

    kind: Literal["chat", "embedding"] = "chat"
    context_tokens: int = DEFAULT_CONTEXT_TOKENS
    latency: Latency | None = None
    accuracy_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """The whole behaviour. The default is instant, faultless and always right."""

    api_key: str | None = None
    models: Mapping[str, ModelProfile] = field(
        default_factory=lambda: {name: ModelProfile(**m) for name, m in DEFAULT_MODELS.items()}
    )
    latency: Latency = Latency()
    accuracy_ratio: float = 1.0
    verbosity: Verbosity = "normal"
    rules: tuple[Rule, ...] = ()
    faults: tuple[Fault, ...] = ()
    table: Table | None = None

    def behaviour(self, asked: Asked, model: ModelProfile) -> tuple[Behaviour, Latency]:
        """How to answer this request, and how fast: base, then model, then each rule that fits.

        A table's rule comes last.
        """
        accuracy = self.accuracy_ratio if model.accuracy_ratio is None else model.accuracy_ratio
        latency, verbosity, tokens, shift = model.latency or self.latency, self.verbosity, 1.0, 0.0
        tabled = self.table.rule_for(asked) if self.table else None
        for rule in (*self.rules, tabled) if tabled else self.rules:
            if rule.when.holds(asked):
                accuracy = accuracy if rule.accuracy_ratio is None else rule.accuracy_ratio
                shift += rule.accuracy_shift
                verbosity = rule.verbosity or verbosity
                tokens *= rule.completion_tokens_ratio or 1.0
                latency = rule.latency or latency
        ratio = min(max(accuracy + shift, 0.0), 1.0)
        behaviour = Behaviour(
            accuracy_ratio=ratio, verbosity=verbosity, completion_tokens_ratio=tokens
        )
        return behaviour, latency

    def fault_for(
        self, asked: Asked, endpoint: str, *, seed: int, digest: str, occurrence: int
    ) -> Fault | None:
        """The first fault drawn for this request; ``occurrence`` counts the same body from 0."""
        for place, fault in enumerate(self.faults):
            if fault.endpoint not in (endpoint, "any"):
                continue
            if fault.times is not None and occurrence >= fault.times:
                continue
            if not fault.when.holds(asked):
                continue
            if draw("fault", seed, place, digest, occurrence) < fault.rate:
                return fault
        return None


def parse_profile(value: Any, what: str = "profile") -> Profile:
    """The profile that ``value`` (from YAML or JSON) describes; raises InvalidDocument."""
    value = {} if value is None else value
    errors = sorted(_validator().iter_errors(value), key=lambda e: list(map(str, e.absolute_path)))
    if errors:
        faults = [
            {"path": "/".join(map(str, e.absolute_path)) or "profile", "message": e.message[:300]}
            for e in errors
        ]
        raise InvalidDocument(what, faults)
    fields = dict(value)
    if "models" in fields:
        fields["models"] = {name: _model(raw or {}) for name, raw in fields["models"].items()}
    if "latency" in fields:
        fields["latency"] = _latency(fields["latency"])
    fields["rules"] = tuple(_rule(raw) for raw in fields.get("rules", ()))
    fields["faults"] = tuple(_fault(raw) for raw in fields.get("faults", ()))
    return Profile(**fields)


class ProfileSource:
    """The profile in force: a file read again when its time changes, or one posted."""

    def __init__(self, path: Path | None, given: Profile | None = None) -> None:
        self._path = path
        self._looked_at = 0.0
        self._mtime_ns = 0
        self.problem: str | None = None
        self._profile = given or Profile() if path is None else self._read(path)

    def current(self) -> Profile:
        """The profile now; a file changed for the worse leaves the old one, sets ``problem``."""
        now = time.monotonic()
        if self._path is not None and now - self._looked_at >= RELOAD_SECONDS:
            self._looked_at = now
            try:
                if self._path.stat().st_mtime_ns != self._mtime_ns:
                    self._profile = self._read(self._path)
                    self.problem = None
            except (OSError, yaml.YAMLError, InvalidDocument) as error:
                self.problem = str(error)
        return self._profile

    def replace(self, value: Any) -> None:
        """Put a posted profile in force until the file changes; raises InvalidDocument."""
        self._profile = parse_profile(value)

    def _read(self, path: Path) -> Profile:
        self._mtime_ns = path.stat().st_mtime_ns
        return parse_profile(yaml.safe_load(path.read_text("utf-8")), path.name)


def _model(raw: Mapping[str, Any]) -> ModelProfile:
    fields = dict(raw)
    if "latency" in fields:
        fields["latency"] = _latency(fields["latency"])
    return ModelProfile(**fields)


def _latency(raw: Mapping[str, Any]) -> Latency:
    return Latency(**{name: _distribution(one) for name, one in raw.items()})


def _distribution(raw: Mapping[str, float]) -> Distribution:
    if "fixed_seconds" in raw:
        return Distribution(raw["fixed_seconds"])
    return Distribution(raw["median_seconds"], raw["sigma"])


def _rule(raw: Mapping[str, Any]) -> Rule:
    fields = {**raw, "when": When(**raw["when"])}
    if "latency" in fields:
        fields["latency"] = _latency(fields["latency"])
    return Rule(**fields)


def _fault(raw: Mapping[str, Any]) -> Fault:
    return Fault(**{**raw, "when": When(**raw.get("when", {}))})


def _contains(text: str, wanted: str | None) -> bool:
    return wanted is None or wanted.casefold() in text.casefold()


def _matches(text: str, pattern: str | None) -> bool:
    return pattern is None or _compiled(pattern).search(text) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@cache
def _validator() -> Draft202012Validator:
    schema = json.loads(SCHEMA_FILE.read_text("utf-8"))
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
