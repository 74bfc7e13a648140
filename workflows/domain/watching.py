"""Watches as values: what a condition may say, and what follows from what was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import jsonschema

from workflows.domain.expressions import ExpressionFailed, compile_template
from workflows.domain.transitions import duration_seconds

STATISTICS = ("total", "mean", "p50", "p95", "p99", "maximum", "ratio")
# Names that a suggestion's inputs may read.
NAMES = frozenset({"value", "artifact", "client", "today"})

_DURATION = {"type": ["string", "number"]}
_TEXT = {"type": "string", "minLength": 1, "maxLength": 200}
# One for each kind of condition.
SCHEMAS: dict[str, dict[str, Any]] = {
    # A number that is measured lies above or below a limit.
    "measurement": {
        "required": ["kind", "metric", "window"],
        "properties": {
            "kind": {}, "metric": _TEXT, "denominator": _TEXT, "scope": _TEXT, "key": _TEXT,
            "statistic": {"enum": list(STATISTICS)}, "window": _DURATION,
            "above": {"type": "number"}, "below": {"type": "number"},
            "min_count": {"type": "integer", "minimum": 1},
        },
        "oneOf": [{"required": ["above"]}, {"required": ["below"]}],
    },
    # A workflow that a client had before has not succeeded for so long.
    "overdue": {
        "required": ["kind", "after"],
        "properties": {"kind": {}, "workflow": _TEXT, "after": _DURATION},
    },
    # A file came that no run has used.
    "arrival": {
        "required": ["kind", "name"],
        "properties": {"kind": {}, "name": _TEXT, "within": _DURATION},
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """A client for which a condition holds: what about, the figure, and why in words."""

    client_id: UUID
    key: str
    why: str
    value: float | str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Changes:
    """What a pass makes of a watch: suggestions to open, keys of open ones to withdraw."""

    open: tuple[Found, ...]
    withdraw: frozenset[tuple[UUID, str]]


def fault_of(condition: Any) -> tuple[str, object, str] | None:
    """The first fault of a condition: path, value and what it must be; None if it is good."""
    kind = condition.get("kind") if isinstance(condition, dict) else None
    if kind not in SCHEMAS:
        return "condition.kind", kind, f"one of {', '.join(SCHEMAS)}"
    schema = {"type": "object", "additionalProperties": False, **SCHEMAS[kind]}
    error = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(schema).iter_errors(condition)
    )
    if error is not None:
        words = "give above or below" if error.validator == "oneOf" else error.message
        where = ".".join(["condition", *(str(part) for part in error.absolute_path)])
        return where, error.instance if error.absolute_path else "", words
    for name in ("window", "after", "within"):
        try:
            duration_seconds(condition.get(name, 1))
        except ValueError as bad:
            return f"condition.{name}", condition[name], str(bad)
    if (condition.get("statistic") == "ratio") != ("denominator" in condition):
        return "condition.denominator", "", "belongs to the statistic ratio, and it to that"
    return None


def unknown_names(inputs: Any) -> list[str]:
    """Names that ``inputs`` read and no suggestion has; raises ExpressionFailed."""
    found: set[str] = set()
    for expression in compile_template(inputs).expressions:
        found |= expression.names
    return sorted(found - NAMES)


def breaches(value: float | None, condition: Mapping[str, Any]) -> bool:
    """Whether a measured value is over (or under) the condition's limit; no data is never."""
    if value is None:
        return False
    if "above" in condition:
        return value > float(condition["above"])
    return value < float(condition["below"])


def changes(
    found: Iterable[Found], *, is_open: set[tuple[UUID, str]], resting: set[tuple[UUID, str]]
) -> Changes:
    """What is new is opened unless it rests after an answer; what no longer holds is withdrawn."""
    holds = {(one.client_id, one.key): one for one in found}
    fresh = tuple(one for at, one in holds.items() if at not in is_open and at not in resting)
    return Changes(fresh, frozenset(is_open - holds.keys()))


__all__ = ["NAMES", "Changes", "ExpressionFailed", "Found", "breaches", "changes", "fault_of"]
