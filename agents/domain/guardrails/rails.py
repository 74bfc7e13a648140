"""What a version may say about its guardrails, and the policy that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.domain.guardrails.findings import Source
from agents.domain.guardrails.pii import TYPES
from agents.domain.guardrails.policy import Action, Policy

# Words can be taken out of a text; an order, or a claim without support, can't.
STOPPING = (Action.PASS, Action.FLAG, Action.ASK, Action.BLOCK)
ACTIONS: Mapping[str, tuple[Action, ...]] = {
    "injection": STOPPING,
    "injection_judge": STOPPING,
    "pii": tuple(Action),
    "secrets": tuple(Action),
    "unsupported": STOPPING,
}
# Without a model of names, rules take some capitalised words of a ledger for persons; an agent
# that wants them lists PERSON in ``pii_types``, or says in ``by_type`` what to do about it.
DEFAULT_TYPES = frozenset(TYPES) - {"PERSON"}
KEYS = (*ACTIONS, "pii_types", "by_type", "thresholds")
# What is weighed is one of these.
_SOURCES = tuple(source for source in Source if source is not Source.ANSWER)


def fault_of(rails: Mapping[str, Any]) -> tuple[str, Any, str] | None:
    """The first thing wrong with ``rails``: field, value and what it may be; None if all is well.

    ``pii_types`` lists what is looked for, ``by_type`` gives single types an action of their own,
    ``thresholds`` the score from which a text of a source counts as an attack.
    """
    for name, value in rails.items():
        where = f"guardrails.{name}"
        if name in ACTIONS:
            if value not in ACTIONS[name]:
                return where, value, f"one of {', '.join(ACTIONS[name])}"
        elif name == "pii_types":
            if not (isinstance(value, list) and value and _are_types(value)):
                return where, value, f"a list of {', '.join(TYPES)}"
        elif name == "by_type":
            if not (isinstance(value, Mapping) and _are_types(value)):
                return where, value, f"an action for some of {', '.join(TYPES)}"
            for kind, action in value.items():
                if action not in tuple(Action):
                    return f"{where}.{kind}", action, f"one of {', '.join(Action)}"
        elif name == "thresholds":
            if not (isinstance(value, Mapping) and set(value) <= set(_SOURCES)):
                return where, value, f"a score for some of {', '.join(_SOURCES)}"
            for source, score in value.items():
                if isinstance(score, bool) or not isinstance(score, int | float):
                    return f"{where}.{source}", score, "a number"
                if not 0 < score <= 1:
                    return f"{where}.{source}", score, "above 0 and at most 1"
        else:
            return where, value, f"only {', '.join(KEYS)}"
    return None


def policy_from(rails: Mapping[str, Any]) -> Policy:
    """The policy of rails that were checked.

    What was kept before they were may tell injections to be redacted, which nothing can: blocked.
    """
    told = {name: rails[name] for name in KEYS if name in rails and name in _OF_POLICY}
    if told.get("injection") == Action.REDACT:
        told["injection"] = Action.BLOCK
    types = frozenset(told.get("pii_types", DEFAULT_TYPES))
    return Policy.from_dict({**told, "pii_types": types | set(told.get("by_type", ()))})


_OF_POLICY = frozenset({"injection", "pii", "secrets", "pii_types", "by_type", "thresholds"})


def _are_types(names: Any) -> bool:
    return all(isinstance(name, str) and name in TYPES for name in names)
