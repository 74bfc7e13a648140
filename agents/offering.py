"""In which wording a call offers its tools: the short one, unless the full one costs less."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from agents.calls import Call
from agents.domain import discounts, messages
from agents.domain.messages import Message
from agents.endpoints import Served
from agents.resolving import Version

Definitions = tuple[dict[str, Any], ...]


def definitions(
    call: Call, version: Version, sent: Sequence[Message], served: Sequence[Served]
) -> tuple[Definitions, int]:
    """The definitions to send with ``sent``, and how many characters shorter than in full.

    The first of ``served`` gives the price: it is the one that is asked first.
    """
    spared = version.spared_characters
    if spared <= 0 or not served:
        return version.tool_definitions, 0
    price = served[0].price
    ratio = float(price.cached / price.input) if price.input else 1.0
    if ratio < 1:
        sizes = [len(messages.text_of(message)) for message in sent]
        shared = version.definition_characters + len(_as_json(call.caller_tools))
        shared += sum(sizes[: 1 + len(version.examples)])
        whole = shared + sum(sizes[1 + len(version.examples) :])
        full = discounts.price_in_tokens(shared, whole, cached_ratio=ratio)
        lean = discounts.price_in_tokens(shared - spared, whole - spared, cached_ratio=ratio)
        if full < lean:
            return version.tool_definitions, 0
    return version.lean_definitions, spared


def _as_json(tools: Sequence[dict[str, Any]]) -> str:
    return json.dumps(tools, ensure_ascii=False, default=str) if tools else ""
