"""An answer of a lighter model that fails a check is asked of a stronger one, once.

The checks are those that need no model: the version's schema, an answer that is empty or refuses,
and figures that nothing holds which the model read. What the caller asked for (its own form, a
length, an early end) is no reason, nor is anything whose reader has had some of it. In a version
whose stronger models decline too, or say such figures too because it works out figures of its own,
that is no sign, and is not taken for one.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings

from agents.calls import Call
from agents.domain import messages
from agents.domain.guardrails.figures import unfounded
from agents.domain.guardrails.output import is_refusal
from agents.domain.scoring import TIERS
from agents.endpoints import Served
from agents.resolving import Version
from agents.work import Work

FIGURES, REFUSED, FAULTY = "figures", "refusal", "form"
DOUBTS = (FIGURES, REFUSED)
# After so many answers that were asked for again, doubts that seldom help are left alone; what was
# counted is forgotten so long after the first of it.
LEAST_DOUBTS = 8
LEAST_HELPED_RATIO = 0.5
KEEP_SECONDS = 3_600.0
MAX_VERSIONS = 1_024


@dataclass(slots=True)
class _Seen:
    since: float
    doubts: int = 0
    helped: int = 0


_seen: OrderedDict[tuple[UUID, str], _Seen] = OrderedDict()
_lock = threading.Lock()


def stronger(call: Call, version: Version, work: Work, served: Sequence[Served]) -> list[Served]:
    """Models of ``served``, the strongest first, that are stronger than the one that gave the last
    reply and that the version may be answered by; empty where nothing is asked again."""
    if not settings.MODEL_ROUTING or call.ask is not None or work.escalated is not None:
        return []
    if work.is_above_soft_cap:
        return []
    if not version.model.get("escalate", True) or not work.tries:
        return []
    last = work.tries[-1]
    places = {(one.endpoint, one.model): TIERS.index(one.tier) for one in served}
    used = places.get((last.endpoint, last.model))
    if used is None:
        return []
    most = max(map(TIERS.index, version.model.get("tiers") or TIERS))
    found = [one for one in served if used < TIERS.index(one.tier) <= most]
    return sorted(found, key=lambda one: -TIERS.index(one.tier))


def doubt(version: Version, work: Work, talk: int) -> str:
    """Why the answer may be wrong, or nothing. From the message ``talk`` on the models' own words
    are no evidence."""
    if is_refusal(work.text) and _is_sign(version.id, REFUSED):
        return REFUSED
    if _is_sign(version.id, FIGURES):
        read = [
            messages.text_of(message)
            for place, message in enumerate(work.messages)
            if place < talk or message["role"] == "tool"
        ]
        return FIGURES if unfounded(work.text, read) else ""
    return ""


def note(version_id: UUID, work: Work, served: Sequence[Served], *, is_helped: bool) -> None:
    """Write down which model answered again, and remember whether its answer was free of what
    made the first doubtful."""
    escalated, last = work.escalated, work.tries[-1]
    if escalated is None:
        return
    tiers = {(one.endpoint, one.model): one.tier for one in served}
    escalated["to"] = tiers.get((last.endpoint, last.model), escalated["to"])
    escalated["helped"] = is_helped
    if escalated["why"] not in DOUBTS:
        return
    with _lock:
        seen = _of(version_id, escalated["why"])
        seen.doubts += 1
        seen.helped += is_helped


def forget() -> None:
    """Forget what doubts were worth."""
    with _lock:
        _seen.clear()


def _is_sign(version_id: UUID, why: str) -> bool:
    with _lock:
        seen = _of(version_id, why)
        return seen.doubts < LEAST_DOUBTS or seen.helped >= LEAST_HELPED_RATIO * seen.doubts


def _of(version_id: UUID, why: str) -> _Seen:
    now, key = time.monotonic(), (version_id, why)
    seen = _seen.get(key)
    if seen is None or now - seen.since > KEEP_SECONDS:
        seen = _seen[key] = _Seen(now)
        while len(_seen) > MAX_VERSIONS:
            _seen.popitem(last=False)
    return seen
