"""Whether a shorter prompt also costs less where endpoints give a discount on what they remember.

An endpoint remembers the beginnings of prompts from a length on and charges a fraction of the price
for them. A prompt just above that length that is made shorter loses the discount, and costs more.
"""

from __future__ import annotations

# Source: OpenAI, "Prompt caching": from 1,024 tokens on, in steps of 128.
REMEMBERED_FROM_TOKENS = 1024
REMEMBERED_STEP_TOKENS = 128
# Tools' definitions and data in JSON have 3 to 4 characters a token. A prompt's length in tokens is
# known within that range only, so prices are compared over all of it.
CHARACTERS_PER_TOKEN = tuple(3 + tenth / 10 for tenth in range(11))
# What a model's request for tools and their results add to the second request of a call.
RESULT_TOKENS = 200


def remembered(tokens: float) -> int:
    """How many tokens of a beginning of this length an endpoint remembers."""
    if tokens < REMEMBERED_FROM_TOKENS:
        return 0
    return int(tokens // REMEMBERED_STEP_TOKENS) * REMEMBERED_STEP_TOKENS


def price_in_tokens(fixed_characters: int, characters: int, *, cached_ratio: float) -> float:
    """What the prompts of a call with tools cost, in tokens at the full price.

    A call asks twice: the second request begins with the first (``characters`` long), and the first
    begins with what all calls share (``fixed_characters``), which an endpoint remembers from a
    recent call or does not: the mean of both. ``cached_ratio`` is the price of a remembered token
    as a share of the full one.
    """
    off, total = 1 - cached_ratio, 0.0
    for size in CHARACTERS_PER_TOKEN:
        sent = characters / size
        shared = remembered(fixed_characters / size) / 2
        total += 2 * sent + RESULT_TOKENS - off * (shared + remembered(sent))
    return total / len(CHARACTERS_PER_TOKEN)
