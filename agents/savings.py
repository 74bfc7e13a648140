"""What a call would have cost without what makes it cheaper: lighter models, fewer tokens.

The cache's savings are exact (what the kept answer cost). These two are estimates with stated
ground: the same tokens at the strongest model's price, and the characters that were left out at
four a token. ``make bench ONLY=savings`` measures both by doing without.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from django.conf import settings

from agents import endpoints
from agents.calls import Call
from agents.domain import cost, messages
from agents.domain.messages import Message
from agents.domain.scoring import TIERS
from agents.resolving import Version
from agents.work import Work

CHARACTERS_PER_TOKEN = 4


def by_routing(work: Work) -> Decimal:
    """USD that the same tokens would have cost more at the cheapest of the strongest models.

    What was asked in vain, of a lighter model or of a stronger one after it, would not have been
    asked: a call whose answer was given again may cost more than it saved.
    """
    strongest = [one for one in endpoints.directory() if one.tier == TIERS[-1]]
    if not settings.MODEL_ROUTING or not strongest:
        return Decimal(0)
    saved = Decimal(0)
    vain = {id(one) for one in work.vain}
    for one in work.tries:
        if id(one) in vain:
            saved -= one.cost_usd
        elif one.reply is not None:
            dear = min(cost.cost_usd(one.reply.usage, served.price) for served in strongest)
            saved += max(Decimal(0), dear - one.cost_usd)
    return saved


def by_tokens(call: Call, version: Version, work: Work) -> Decimal:
    """USD of the tokens that tightening and lean tools left out, in every request of the call.

    In a request of which the endpoint remembered the beginning they would have been remembered too.
    """
    replies = [one for one in work.talk if one.reply is not None]
    if not settings.TOKEN_OPTIMISATION or not replies:
        return Decimal(0)
    spared = work.spared_characters + _spared_messages(call, version, work.messages)
    tokens = max(0, spared) // CHARACTERS_PER_TOKEN
    prices = {(one.endpoint, one.model): one.price for one in endpoints.directory()}
    rate = Decimal(0)
    for one in replies:
        price = prices.get((one.endpoint, one.model))
        if price is not None and one.reply is not None:
            rate += price.cached if one.reply.usage.cached else price.input
    return (tokens * rate / cost.MILLION).quantize(cost.NINE_PLACES)


def _spared_messages(call: Call, version: Version, sent: Sequence[Message]) -> int:
    """Characters between what a person wrote and what was sent of it."""
    if call.messages is None:
        return 0
    written = [messages.text_of(one) for one in call.messages if one["role"] == "user"]
    before = sum(one["role"] == "user" for one in version.examples)
    read = [messages.text_of(one) for one in sent if one["role"] == "user"]
    told = read[before : before + len(written)]
    return sum(map(len, written)) - sum(map(len, told)) if len(told) == len(written) else 0
