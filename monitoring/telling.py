"""What happened to an incident, as a sentence of its timeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config import readable

# Ids of other incidents: the sentence says which by its cause.
_LEFT_OUT = frozenset({"incident", "into"})


def words_of(name: str, detail: Mapping[str, Any]) -> str:
    """The details of an event in words; empty where the event's name says it all."""
    if name in ("opened", "grew"):
        alerts = readable.plural(int(detail.get("alerts", 0)), "alert")
        rule = detail.get("rule")
        return f"{alerts} of the rule {rule}" if rule else f"{alerts} more"
    if name == "worsened":
        return f"from {detail.get('from')} to {detail.get('to')}"
    if name == "took_over":
        return f"the incident of {detail.get('cause')}"
    if name == "merged":
        return "into the incident of the common cause"
    if name == "escalated":
        people = readable.listed([str(one) for one in detail.get("on_call") or ()])
        return f"to level {detail.get('level')}" + (f": {people}" if people else "")
    if name == "handed_over":
        return f"to {detail.get('to')}, by the rota {detail.get('rota')}"
    if "kind" in detail:
        said = f"{str(detail['kind']).replace('_', ' ')} of {detail.get('target')}"
        why = detail.get("said") or detail.get("error")
        return f"{said}: {why}" if why else said
    rest = {k: v for k, v in detail.items() if k not in _LEFT_OUT}
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in rest.items())
