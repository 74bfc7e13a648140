"""Where in a text a pattern can begin, so that it is tried there and nowhere else.

``re`` tries a pattern at every character. Most of ours begin at a word, with one of a few dozen
words; a text is indexed once by the first characters of its words and signs, and each pattern is
tried only where one of its beginnings stands. What is found is what ``re.search`` finds.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

# Characters of a beginning at the most: four part words well enough, and stay few (five take four
# times as long to make).
LENGTH = 4
# More beginnings than that are no help.
MOST = 1_200
# Letters or digits in a row, or one sign; a pattern may begin with an underscore inside a word.
_START = re.compile(r"[^\W_]+|[^\w\s]|_")
# Different first characters that are remembered; all texts share most of them.
MOST_KEPT = 50_000
# Stands for every digit of every script.
DIGIT = "\0digit"

Item = tuple[Any, Any]


class Index:
    """Patterns with their beginnings, for texts that all of them are tried on."""

    def __init__(self, patterns: Iterable[re.Pattern[str]]) -> None:
        self._patterns = tuple(patterns)  # kept, so that their ids stay theirs
        by_key: dict[str, list[int]] = defaultdict(list)
        unknown: list[int] = []
        for pattern in self._patterns:
            keys = beginnings(pattern)
            if keys is None:
                unknown.append(id(pattern))
            for key in keys or ():
                by_key[key].append(id(pattern))
        self._by_key = {key: tuple(found) for key, found in by_key.items()}
        self._unknown = frozenset(unknown)
        self._kept: dict[str, tuple[str, ...]] = {}

    def of(self, text: str) -> Starts:
        """``text``, ready to be searched."""
        places: dict[str, list[int]] = defaultdict(list)
        kept = self._kept
        for match in _START.finditer(text):
            at = match.start()
            first = text[at : at + LENGTH]
            keys = kept.get(first)
            if keys is None:
                keys = self._keys(first)
            for key in keys:
                places[key].append(at)
        tries: dict[int, list[int]] = {}
        for key, found in places.items():
            for number in self._by_key[key]:
                known = tries.get(number)
                tries[number] = found if known is None else known + found
        return Starts(text, tries, self._unknown)

    def _keys(self, first: str) -> tuple[str, ...]:
        """The beginnings that some pattern has among those of ``first``."""
        all_of = {first[:length] for length in range(1, len(first) + 1)}
        if first[0].isdecimal():
            all_of.add(DIGIT)
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        found = self._kept[first] = tuple(all_of & self._by_key.keys())
        return found


@dataclass(frozen=True, slots=True)
class Starts:
    """A text and the places where the patterns of an index may begin in it.

    Patterns go by their ``id``: the hash of a pattern is made anew of its whole code each time.
    """

    text: str
    tries: Mapping[int, list[int]]
    unknown: Set[int]

    def may_hold(self, pattern: re.Pattern[str]) -> bool:
        """Whether ``pattern`` has a place to begin at, or is tried everywhere."""
        return id(pattern) in self.tries or id(pattern) in self.unknown

    def search(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """What ``pattern.search(text)`` finds, with fewer tries; ``pattern`` is the index's."""
        found = self.tries.get(id(pattern))
        if found is None:
            return pattern.search(self.text) if id(pattern) in self.unknown else None
        text = self.text
        for at in sorted(found) if len(found) > 1 else found:
            match = pattern.match(text, at)
            if match is not None:
                return match
        return None

    def matches(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """What ``pattern`` finds in the text, first to last; what it finds may overlap."""
        found = self.tries.get(id(pattern))
        if found is None:
            if id(pattern) in self.unknown:
                yield from pattern.finditer(self.text)
            return
        for at in sorted(found):
            match = pattern.match(self.text, at)
            if match is not None:
                yield match


def beginnings(pattern: re.Pattern[str]) -> frozenset[str] | None:
    """The first characters (at most LENGTH) of every match of ``pattern``; None if not known.

    Known is it for patterns that begin at a word boundary with letters that are spelled out or
    digits, and for those that begin with signs. No beginning is a part of another.
    """
    if pattern.flags & (re.IGNORECASE | re.VERBOSE | re.MULTILINE):
        return None
    try:
        found = set(_firsts(list(parser.parse(pattern.pattern))))
    except _Unknown:
        return None
    return frozenset(
        one for one in found if not any(one[:length] in found for length in range(1, len(one)))
    )


class _Unknown(Exception):
    """The beginnings can't be told, or are too many."""


@dataclass(frozen=True, slots=True)
class _Way:
    """How a match may begin. ``is_cut``: what follows is not known."""

    start: str = ""
    anchored: bool = False
    is_cut: bool = False


def _firsts(items: Sequence[Item]) -> Iterator[str]:
    for number, way in enumerate(_expand(items, _Way())):
        start = way.start
        if number > MOST or not start or start[0].isspace():
            raise _Unknown
        if not way.anchored and (start[0].isalnum() or start == DIGIT):
            raise _Unknown
        yield start


def _expand(items: Sequence[Item], way: _Way) -> Iterator[_Way]:
    """Every way in which ``way`` goes on through ``items``, as far as it can be told."""
    if way.is_cut or len(way.start) >= LENGTH or not items:
        yield way
        return
    try:
        ways = list(_ways(*items[0], way))
    except _Unknown:
        if not way.start:
            raise
        yield replace(way, is_cut=True)  # shorter, and so found in more places
        return
    for one in ways:
        yield from _expand(items[1:], one)


def _ways(operation: Any, argument: Any, way: _Way) -> Iterator[_Way]:
    if operation is sre.LITERAL:
        yield replace(way, start=way.start + chr(argument))
    elif operation is sre.IN:
        for char in _members(argument, way.start):
            yield replace(way, start=way.start + char)
    elif operation is sre.AT and argument in (sre.AT_BOUNDARY, sre.AT_NON_BOUNDARY):
        at_word = argument is sre.AT_BOUNDARY and not way.start
        yield replace(way, anchored=way.anchored or at_word)
    elif operation in (sre.ASSERT, sre.ASSERT_NOT):  # these only take matches away
        at_word = not way.start and _follows_space(operation, argument)
        yield replace(way, anchored=way.anchored or at_word)
    elif operation is sre.BRANCH:
        for branch in argument[1]:
            yield from _expand(list(branch), way)
    elif operation is sre.SUBPATTERN and not argument[1] and not argument[2]:
        yield from _expand(list(argument[3]), way)
    elif operation in (sre.MAX_REPEAT, sre.MIN_REPEAT):
        fewest, most, part = argument
        for times in range(fewest, max(fewest, min(int(most), LENGTH)) + 1):
            yield from _expand(list(part) * times, way)
    else:
        raise _Unknown


def _follows_space(operation: Any, argument: Any) -> bool:
    """Whether a look-behind wants a space right before: a letter after it begins a word."""
    direction, part = argument
    return (
        operation is sre.ASSERT
        and direction < 0
        and bool(len(part))
        and part[len(part) - 1] == (sre.LITERAL, ord(" "))
    )


def _members(argument: Any, so_far: str) -> Iterator[str]:
    for kind, value in argument:
        if kind is sre.LITERAL:
            yield chr(value)
        elif kind is sre.RANGE and value[1] - value[0] < 64:
            yield from map(chr, range(value[0], value[1] + 1))
        elif kind is sre.CATEGORY and value is sre.CATEGORY_DIGIT and not so_far:
            yield DIGIT
        else:
            raise _Unknown
