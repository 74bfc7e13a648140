"""What several people miss one ability for, and the declaration of the tool that would give it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from learning.domain.abilities.declaring import declared
from learning.domain.abilities.reading import Ability, ability_of


@dataclass(frozen=True, slots=True)
class Wish:
    """One ability that comments miss: ``members`` are their places, the oldest first.

    ``tool`` is a declaration as models take it: name, description, parameters.
    """

    key: str
    verb: str
    thing: str
    members: tuple[int, ...]
    tool: Mapping[str, Any]


def wishes_in(comments: Sequence[str], *, least: int = 1) -> list[Wish]:
    """Abilities that ``least`` or more comments miss, most often missed first."""
    found: dict[str, list[tuple[int, Ability]]] = defaultdict(list)
    for place, text in enumerate(comments):
        ability = ability_of(text)
        if ability is not None:
            found[ability.key].append((place, ability))
    wishes = [
        Wish(key, named[0][1].verb, named[0][1].thing, tuple(place for place, _ in named),
             declared([ability for _, ability in named]))
        for key, named in found.items() if len(named) >= least
    ]  # fmt: skip
    return sorted(wishes, key=lambda wish: (-len(wish.members), wish.key))


def most_common(values: Sequence[str]) -> str:
    """The value that is met most often; the first of equals."""
    return Counter(values).most_common(1)[0][0] if values else ""
