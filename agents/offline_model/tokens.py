"""Tokens counted by an approximation of our own, and prompt prefixes remembered as cached.

A token is a run of up to 8 letters with the space before it, up to 3 digits, up to 2 other
marks, or a run of white space. English prose comes out near 4.5 characters a token, JSON near 3.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from agents.offline_model.inputs import text_of

# What the wire format adds: to each message, and to begin the reply.
MESSAGE_OVERHEAD_TOKENS = 3
REPLY_OVERHEAD_TOKENS = 3
# A prefix is cached from this length on, in steps of this size, as the real API does it.
CACHED_PREFIX_TOKENS = 1024
CACHED_STEP_TOKENS = 128
MAX_CACHED_PREFIXES = 20_000

_TOKEN = re.compile(r"\s?[^\W\d_]{1,8}| ?\d{1,3}| ?(?:[^\w\s]|_){1,2}|\s+|.", re.S)


def split(text: str) -> list[str]:
    """The tokens of ``text``; joined they are ``text`` again."""
    return _TOKEN.findall(text)


@lru_cache(maxsize=4096)
def count(text: str) -> int:
    """How many tokens ``text`` has."""
    return len(_TOKEN.findall(text))


def prompt_text(request: Mapping[str, Any]) -> list[str]:
    """The prompt as the parts that are counted: tools first, then each message."""
    tools = request.get("tools")
    parts = [json.dumps(tools, ensure_ascii=False)] if tools else []
    for message in request["messages"]:
        calls = message.get("tool_calls")
        parts.append(text_of(message) + (json.dumps(calls, ensure_ascii=False) if calls else ""))
    schema = request.get("response_format")
    return [*parts, json.dumps(schema)] if schema else parts


def prompt_tokens(parts: Sequence[str]) -> int:
    """Tokens of a prompt given by ``prompt_text``."""
    overhead = MESSAGE_OVERHEAD_TOKENS * len(parts) + REPLY_OVERHEAD_TOKENS
    return overhead + sum(count(part) for part in parts)


class PrefixCache:
    """Prefixes of recent prompts, least recently used out first. Lives as long as the process."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def cached_tokens(self, scope: str, parts: Sequence[str], total_tokens: int) -> int:
        """Tokens of the longest known prefix of this prompt, which is then remembered.

        ``scope`` keeps models apart. 0 under CACHED_PREFIX_TOKENS; else a multiple of
        CACHED_STEP_TOKENS, never more than ``total_tokens``.
        """
        if total_tokens < CACHED_PREFIX_TOKENS:
            return 0
        known, running = 0, hashlib.blake2b(scope.encode(), digest_size=16)
        fresh: list[bytes] = []
        tokens = split("\x1e".join(parts))
        for end in range(CACHED_STEP_TOKENS, len(tokens) + 1, CACHED_STEP_TOKENS):
            running.update("".join(tokens[end - CACHED_STEP_TOKENS : end]).encode())
            if end < CACHED_PREFIX_TOKENS:
                continue
            prefix = running.digest()
            if prefix in self._seen:
                known = end
            fresh.append(prefix)
        self._remember(fresh)
        return min(known, total_tokens)

    def _remember(self, prefixes: Sequence[bytes]) -> None:
        for prefix in prefixes:
            self._seen[prefix] = None
            self._seen.move_to_end(prefix)
        while len(self._seen) > MAX_CACHED_PREFIXES:
            self._seen.popitem(last=False)
