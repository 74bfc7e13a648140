"""Incoming requests: which team answers, how urgent, by when."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.tools.operations import outputs
from agents.tools.registry import tool

OPENS, CLOSES, SATURDAY = 9, 17, 5

# Word stems and their weight for each team. A stem matches at the start of a word.
TEAMS: dict[str, dict[str, int]] = {
    "tax": {"vat": 3, "tax": 3, "hmrc": 3, "withholding": 3, "dividend": 1, "refund": 1},
    "audit": {"audit": 3, "sampl": 2, "confirmation": 2, "materiality": 3, "inventory": 1},
    "accounting": {"ledger": 3, "bookkeep": 3, "invoice": 2, "reconcil": 3, "accrual": 2},
    "corporate": {"sharehold": 3, "director": 2, "incorporat": 3, "minutes": 2, "register": 1},
    "payroll": {"payroll": 3, "salar": 3, "payslip": 3, "pension": 2, "leaver": 2},
    "technology": {"password": 3, "portal": 2, "login": 3, "error": 1, "upload": 2},
}
URGENT = {
    "penalt": 3,
    "enquir": 2,
    "investigat": 3,
    "today": 3,
    "urgent": 3,
    "deadline": 2,
    "overdue": 2,
    "fraud": 4,
    "breach": 4,
    "tomorrow": 2,
}
# Office hours to a first answer, by priority and tier of client.
HOURS = {
    "critical": {"key": 1, "standard": 2},
    "high": {"key": 4, "standard": 8},
    "normal": {"key": 8, "standard": 16},
}
CRITICAL_FROM, HIGH_FROM = 5, 2


class Request(BaseModel):
    """One message as it came in; times are local office time."""

    model_config = ConfigDict(extra="forbid")
    reference: str
    message: Annotated[str, Field(min_length=1, max_length=10_000)]
    received_at: datetime
    client_tier: Literal["key", "standard"] = "standard"


@dataclass(frozen=True, slots=True)
class Route:
    """Team, share of matched weight that it holds, and the stems that decided."""

    team: str
    confidence: float
    stems: tuple[str, ...]


@tool("operations.triage_requests", light=True)
def triage_requests(
    requests: Annotated[list[Request], Field(min_length=1, max_length=500)],
) -> outputs.TriageRequests:
    """Team, priority and answer-by time of each request, in office hours from 9 to 17.

    Weighted word stems decide; no match goes to the front desk. A tie goes to the team listed
    first, with its low confidence shown so that a person looks.
    """
    rows: list[dict[str, object]] = []
    counts = {"critical": 0, "high": 0, "normal": 0}
    unsure = 0
    for request in requests:
        words = re.findall(r"[a-z]+", request.message.lower())
        route = _route(words)
        priority = _priority(words)
        counts[priority] += 1
        unsure += route.confidence < 60
        due = _office_time(request.received_at, HOURS[priority][request.client_tier])
        rows.append(
            {
                "reference": request.reference,
                "team": route.team,
                "confidence_percent": route.confidence,
                "priority": priority,
                "answer_by": due.strftime("%Y-%m-%d %H:%M"),
                "matched": ", ".join(route.stems) or "nothing",
            }
        )
    return {
        "routed": rows,
        "critical_requests": counts["critical"],
        "high_requests": counts["high"],
        "normal_requests": counts["normal"],
        "needs_a_person": unsure,
        "triage_verdict": "escalate critical requests now"
        if counts["critical"]
        else "work through by answer time",
    }


def _weights(words: list[str], stems: dict[str, int]) -> dict[str, int]:
    return {stem: w for stem, w in stems.items() if any(word.startswith(stem) for word in words)}


def _route(words: list[str]) -> Route:
    matched = {team: _weights(words, stems) for team, stems in TEAMS.items()}
    total = sum(sum(found.values()) for found in matched.values())
    if total == 0:
        return Route("front desk", 0.0, ())
    team = max(matched, key=lambda name: sum(matched[name].values()))
    return Route(
        team, round(sum(matched[team].values()) / total * 100, 1), tuple(sorted(matched[team]))
    )


def _priority(words: list[str]) -> str:
    score = sum(_weights(words, URGENT).values())
    if score >= CRITICAL_FROM:
        return "critical"
    return "high" if score >= HIGH_FROM else "normal"


def _office_time(start: datetime, hours: int) -> datetime:
    """``start`` plus office hours; nights and weekends do not count."""
    moment = _opening(start)
    left = timedelta(hours=hours)
    while True:
        closing = moment.replace(hour=CLOSES, minute=0, second=0, microsecond=0)
        if left <= closing - moment:
            return moment + left
        left -= closing - moment
        moment = _opening(closing)


def _opening(moment: datetime) -> datetime:
    opening = moment.replace(hour=OPENS, minute=0, second=0, microsecond=0)
    if moment.hour >= CLOSES:
        moment = opening + timedelta(days=1)
    elif moment < opening:
        moment = opening
    while moment.weekday() >= SATURDAY:
        moment = moment.replace(hour=OPENS, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return moment
