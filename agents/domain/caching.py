"""The fastest tier of a cache: bounded memory that forgets what was used longest ago or least."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from agents.domain.messages import Message, text_of
from agents.domain.questions import normal

# How far expiry is spread, as a share: entries made together must not expire together.
JITTER_RATIO = 0.1
# LFU looks for the least used among this many of the longest unused: constant time, and an old
# favourite does not stay for ever.
SAMPLE = 8


class Memory:
    """At most ``max_entries`` values, each until its own time. Not locked: the owner is."""

    def __init__(self, max_entries: int, policy: str = "lru") -> None:
        self._entries: OrderedDict[str, tuple[float, Any]] = OrderedDict()
        self._uses: dict[str, int] = {}
        self._max, self._policy = max_entries, policy

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str, *, now: float) -> Any:
        """The value, or None if there is none or its time is over at ``now``."""
        found = self._entries.get(key)
        if found is None:
            return None
        if found[0] <= now:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        self._uses[key] += 1
        return found[1]

    def put(self, key: str, value: Any, *, until: float) -> None:
        """Keep ``value`` until ``until``, in place of what the policy gives up."""
        if key not in self._entries and len(self._entries) >= self._max:
            self._drop(self._victim())
        self._entries[key] = (until, value)
        self._entries.move_to_end(key)
        self._uses.setdefault(key, 0)

    def _victim(self) -> str:
        if self._policy == "lru":
            return next(iter(self._entries))
        oldest = [key for key, _ in zip(self._entries, range(SAMPLE), strict=False)]
        return min(oldest, key=self._uses.__getitem__)

    def _drop(self, key: str) -> None:
        del self._entries[key]
        del self._uses[key]


def jittered(seconds: float, draw: float) -> float:
    """``seconds`` spread by JITTER_RATIO either way; ``draw`` is from [0, 1)."""
    return seconds * (1 + JITTER_RATIO * (2 * draw - 1))


def key_of(
    *,
    installation: str,
    client_id: str,
    version_id: str,
    messages: Sequence[Message],
    inputs: Mapping[str, Any] | None,
    limits: Sequence[Any] = (),
) -> str:
    """One key for one question of one tenant to one version.

    The version fixes prompt, model, tools and schema; the client is a part, so nothing crosses
    tenants. Order of input keys makes no difference, nor does how a person puts a message
    (``questions.normal``).
    """
    asked = (
        json.dumps(inputs, sort_keys=True, default=str)
        if inputs is not None
        else _conversation(messages[1:])
    )
    system = " ".join(text_of(messages[0]).split())
    text = json.dumps([installation, client_id, version_id, system, asked, list(limits)])
    return hashlib.sha256(text.encode()).hexdigest()


def _conversation(messages: Sequence[Message]) -> list[list[Any]]:
    """What of a chat decides its answer. A tool's result is named by the place of the call that it
    answers: ids are drawn by chance, and say nothing but that."""
    asked: list[list[Any]] = []
    places: dict[str, list[int]] = {}
    for message in messages:
        role, text = message["role"], text_of(message)
        if role == "user":  # only a person's wording may vary
            asked.append([role, normal(text)])
            continue
        calls = message.get("tool_calls") or []
        for number, call in enumerate(calls):
            places[str(call.get("id"))] = [len(asked), number]
        told = [{name: part for name, part in call.items() if name != "id"} for call in calls]
        answered = str(message.get("tool_call_id") or "")
        asked.append([role, text, told, places.get(answered, answered)])
    return asked
