"""The agent catalogue: YAML files, one per domain, read into values that refuse to be wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from agents.domain.catalogue_faults import Document, faults_in, read_document
from config.errors import InvalidDocument

Tier = Literal["light", "standard", "strong"]
Policy = Literal["pass", "flag", "redact", "block", "ask"]
Lane = Literal["high", "default", "low"]


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Which model answers and how. ``max_output_tokens`` bounds one reply."""

    tier: Tier
    temperature: float
    max_output_tokens: int


@dataclass(frozen=True, slots=True)
class GuardrailPolicy:
    """What each guardrail does with a finding."""

    injection: Policy
    pii: Policy
    secrets: Policy
    unsupported: Policy
    injection_judge: Policy | None = None
    pii_types: list[str] | None = None
    by_type: Mapping[str, Policy] | None = None
    thresholds: Mapping[str, float] | None = None

    @property
    def more(self) -> dict[str, Any]:
        """What is said beyond the four actions."""
        names = ("injection_judge", "pii_types", "by_type", "thresholds")
        return {name: told for name in names if (told := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True)
class Objectives:
    """Service targets. ``satisfaction`` is a mean rating from 1 to 5."""

    p95_seconds: float
    accuracy_ratio: float
    error_ratio: float
    satisfaction: float


@dataclass(frozen=True, slots=True)
class BudgetCaps:
    """Most that one call and one day may cost."""

    call_usd: Decimal
    day_usd: Decimal


@dataclass(frozen=True, slots=True)
class ScalingPolicy:
    """Where the agent's steps queue and how many workers may take them."""

    lane: Lane
    min_workers: int
    max_workers: int
    target_wait_seconds: float


@dataclass(frozen=True, slots=True)
class Case:
    """A graded case: an input and the facts that a right answer to it holds."""

    name: str
    input: Mapping[str, Any]
    facts: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Entry:
    """One agent of the catalogue. ``path`` and ``line`` say where it is written."""

    domain: str
    slug: str
    name: str
    purpose: str
    audience: Literal["internal", "external"]
    risk: Literal["low", "medium", "high"]
    model: ModelChoice
    prompt: str
    variables: tuple[str, ...]
    tools: tuple[str, ...]
    sources: tuple[str, ...]
    guardrails: GuardrailPolicy
    objectives: Objectives
    budget: BudgetCaps
    scaling: ScalingPolicy
    fallback: str
    cases: tuple[Case, ...]
    path: str
    line: int = field(compare=False)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what decides an answer: the same digest means the same AgentVersion.

        Prompt, variables, model, tools, sources and guardrails are in it; names, objectives,
        budget, scaling, fallback and cases are the agent's, not the version's. The order of tools
        and sources counts, because a model reads them in order.
        """
        answers = {
            "prompt": self.prompt,
            "variables": sorted(self.variables),
            "model": [self.model.tier, self.model.temperature, self.model.max_output_tokens],
            "tools": self.tools,
            "sources": self.sources,
            "guardrails": [
                self.guardrails.injection,
                self.guardrails.pii,
                self.guardrails.secrets,
                self.guardrails.unsupported,
                *([self.guardrails.more] if self.guardrails.more else ()),
            ],
        }
        text = json.dumps(answers, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Domain:
    """One file of the catalogue."""

    name: str
    title: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Catalogue:
    """All domains, in the order of their files."""

    domains: tuple[Domain, ...]

    @cached_property
    def entries(self) -> Mapping[str, Entry]:
        """Every agent by its slug."""
        return {entry.slug: entry for domain in self.domains for entry in domain.entries}

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries.values())

    def __len__(self) -> int:
        return len(self.entries)


def load_catalogue(directory: Path, tool_names: Collection[str]) -> Catalogue:
    """The catalogue of all ``*.yaml`` files in ``directory``.

    ``tool_names`` are the tools that exist. Raises InvalidDocument with every fault of every
    file, each with its path and line: bad YAML, breaches of the schema, slugs that occur twice,
    unknown tools, variables that are declared and not used or used and not declared, graded facts
    that can't be read or that the input already states.
    """
    files = sorted(directory.glob("*.yaml"))
    return parse_catalogue({file.name: file.read_text("utf-8") for file in files}, tool_names)


def parse_catalogue(texts: Mapping[str, str], tool_names: Collection[str]) -> Catalogue:
    """The catalogue from the text of each file, by file name; raises InvalidDocument."""
    faults: list[dict[str, Any]] = []
    documents: list[Document] = []
    for name, text in texts.items():
        document = read_document(name, text, faults)
        if document is not None:
            documents.append(document)
    faults += faults_in(documents, tool_names)
    if not texts:
        faults.append({"path": "catalogue", "line": None, "message": "no *.yaml file found"})
    if faults:
        raise InvalidDocument("catalogue", faults)
    return Catalogue(tuple(_domain(document) for document in documents))


def _domain(document: Document) -> Domain:
    name = document.data["domain"]
    entries = (
        _entry(name, raw, document.name, document.line(("agents", place)))
        for place, raw in enumerate(document.data["agents"])
    )
    return Domain(name, document.data["title"], tuple(entries))


def _entry(domain: str, raw: Mapping[str, Any], path: str, line: int) -> Entry:
    return Entry(
        domain=domain,
        slug=raw["slug"],
        name=raw["name"],
        purpose=raw["purpose"].strip(),
        audience=raw["audience"],
        risk=raw["risk"],
        model=ModelChoice(**raw["model"]),
        prompt=raw["prompt"],
        variables=tuple(raw.get("variables", ())),
        tools=tuple(raw["tools"]),
        sources=tuple(raw.get("sources", ())),
        guardrails=GuardrailPolicy(**raw["guardrails"]),
        objectives=Objectives(**raw["objectives"]),
        budget=BudgetCaps(**{name: Decimal(usd) for name, usd in raw["budget"].items()}),
        scaling=ScalingPolicy(**raw["scaling"]),
        fallback=raw["fallback"],
        cases=_cases(raw["cases"]),
        path=path,
        line=line,
    )


def _cases(raw: Sequence[Mapping[str, Any]]) -> tuple[Case, ...]:
    return tuple(Case(case["name"], case["input"], tuple(case["facts"])) for case in raw)
