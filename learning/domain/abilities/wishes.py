"""What several people miss one ability for, and the declaration of the tool that would give it."""

from __future__ import annotations

from collections import defaultdict
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


def wishes_in(
    comments: Sequence[str],
    people: Sequence[str] | None = None,
    *,
    least: int = 1,
    least_people: int = 1,
) -> list[Wish]:
    """Abilities that ``least`` or more comments of ``least_people`` miss, most often missed first.

    ``people`` tells who said each comment; without it, each is another one's.
    """
    found: dict[str, list[tuple[int, str, Ability]]] = defaultdict(list)
    for place, text in enumerate(comments):
        ability = ability_of(text)
        if ability is not None:
            who = people[place] if people is not None else str(place)
            found[ability.key].append((place, who, ability))
    wishes = [
        Wish(key, named[0][2].verb, named[0][2].thing, tuple(place for place, _, _ in named),
             declared([(who, ability) for _, who, ability in named]))
        for key, named in found.items()
        if len(named) >= least and len({who for _, who, _ in named}) >= least_people
    ]  # fmt: skip
    return sorted(wishes, key=lambda wish: (-len(wish.members), wish.key))
