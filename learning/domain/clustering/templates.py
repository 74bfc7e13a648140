"""Messages grouped by the template that wrote them, learnt from the messages alone.

Like Drain (He et al., ICWS 2017): messages of one length and one beginning are compared word by
word. Unlike it, words are typed: masks, punctuation and words in capitals (states, codes) never
merge with other words; a word is taken for a variable by how many values it has, and a variable
that turns out to have a few frequent values is split again (IPLoM, Makanju et al., KDD 2009).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from learning.domain.clustering.masking import MASK, tokens

VARIABLE = "<*>"
# Share of equal words from which two messages of one beginning are one template.
MIN_SIMILARITY = 0.6
# Words at the start that must be equal.
PREFIX_WORDS = 2
# So many values in one place, everything else equal, make it a variable.
MANY_VALUES = 5
# Names such as com.firm.app.job are told apart by nobody who reads templates: two are enough. Not
# so the class of an error, nor a name that ends in a state (intent.action.SCREEN_ON).
_QUALIFIED = re.compile(r"[A-Za-z_][\w$-]*(?:\.[A-Za-z_][\w$-]*){2,}")
_TELLING = re.compile(r"(?:Exception|Error|Throwable|\.[A-Z][A-Z_0-9]+)$")
# At most so many values, each seen so often, make it a constant of several templates.
FEW_VALUES, MIN_SUPPORT = 4, 2


@dataclass(frozen=True, slots=True)
class Template:
    """One group: its words with ``<*>`` for variables, and the messages it holds by index."""

    words: tuple[str, ...]
    members: tuple[int, ...]

    @property
    def text(self) -> str:
        """The template as people read it."""
        return " ".join(self.words)


@dataclass(slots=True)
class _Group:
    """A template in the making: distinct masked messages and how often each came."""

    words: list[str]
    rows: dict[tuple[str, ...], list[int]] = field(default_factory=dict)

    def values(self, place: int) -> Counter[str]:
        counted: Counter[str] = Counter()
        for row, members in self.rows.items():
            counted[row[place]] += len(members)
        return counted


# "LOGIN(uid=<num>)" is not "(uid=<num>)".
_NAMED_CALL = re.compile(r"[A-Z]{3,}\(")


def group_messages(messages: Sequence[str]) -> list[Template]:
    """The templates behind the messages, biggest first; every message is in exactly one."""
    rows: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, message in enumerate(messages):
        rows[tokens(message)].append(index)
    buckets: dict[tuple[object, ...], list[_Group]] = defaultdict(list)
    for row, members in rows.items():
        _place(row, members, buckets[_kind(row)])
    groups = [g for found in buckets.values() for g in found]
    split = [part for group in _merge_variables(groups) for part in _split_constants(group)]
    found = [Template(_words(g.rows), _members(g.rows)) for g in split]
    return sorted(found, key=lambda t: (-len(t.members), t.members[0]))


def _kind(row: tuple[str, ...]) -> tuple[object, ...]:
    """What two messages must share to be compared: length, beginning, fixed words."""
    start = tuple(_key(w) for w in row if "=" in w or not MASK.search(w))[:PREFIX_WORDS]
    fixed = tuple((i, w) for i, w in enumerate(row) if _fixed(w))
    return (len(row), start, fixed)


def _fixed(word: str) -> bool:
    """Whether the word is a constant by its looks: punctuation only, or a word in capitals."""
    if MASK.search(word):
        return _NAMED_CALL.match(word) is not None
    bare = word.strip("()[]{}<>.,:;'\"*=-!?")
    return not bare or (len(bare) > 2 and bare.isupper() and bare.replace("_", "").isalpha())


def _qualified(word: str) -> bool:
    """Whether the word is a dotted name of something, whatever punctuation stands about it."""
    bare = word.strip("()[]{}<>.,:;'\"*=-!?")
    return _QUALIFIED.fullmatch(bare) is not None and _TELLING.search(bare) is None


def _key(word: str) -> str:
    """The key of ``key=value``, else the word."""
    name, equals, _ = word.partition("=")
    return name + equals


def _same(one: str, other: str) -> bool:
    if one == other or VARIABLE in (one, other):
        return True
    if MASK.fullmatch(one) and MASK.fullmatch(other):
        return True  # "-" aside, 3 and 0.5 ms stand in one place
    return "=" in one and _key(one) == _key(other)


def _similarity(words: Sequence[str], row: Sequence[str]) -> float:
    """Share of equal words among the places where either holds a word, not a mask."""
    places = equal = 0
    for one, other in zip(words, row, strict=True):
        if one == other and MASK.fullmatch(one.strip("()[],.:;")):
            continue
        places += 1
        equal += _same(one, other)
    return equal / places if places else 1.0


def _place(row: tuple[str, ...], members: list[int], groups: list[_Group]) -> None:
    best = max(groups, key=lambda g: _similarity(g.words, row), default=None)
    if best is None or _similarity(best.words, row) < MIN_SIMILARITY:
        groups.append(_Group(list(row), {row: members}))
        return
    best.rows[row] = members
    best.words = [a if a == b else _joined(a, b) for a, b in zip(best.words, row, strict=True)]


def _joined(one: str, other: str) -> str:
    if "=" in one and _key(one) == _key(other):
        return _key(one) + VARIABLE
    return VARIABLE


def _merge_variables(groups: list[_Group]) -> list[_Group]:
    """Merge groups that differ in one place only, where that place has many values.

    This finds variables at the beginning of a message, where ``_kind`` holds words apart.
    """
    for place in range(PREFIX_WORDS + 1):
        likes: dict[tuple[object, ...], list[_Group]] = defaultdict(list)
        rest: list[_Group] = []
        for group in groups:
            words = group.words
            if len(words) <= place + 1 or _fixed(words[place]):
                rest.append(group)
            else:
                likes[(*words[:place], None, *words[place + 1 :])].append(group)
        groups = rest
        for same in likes.values():
            if len(same[0].words) > PREFIX_WORDS and _is_variable([g.words[place] for g in same]):
                joined = _Group([*same[0].words])
                joined.words[place] = VARIABLE
                for group in same:
                    joined.rows.update(group.rows)
                groups.append(joined)
            else:
                groups.extend(same)
    return groups


def _is_variable(values: Sequence[str]) -> bool:
    """Whether one place holds names of one thing: many, dotted ones, or counted beside masked."""
    masked = [value for value in values if MASK.search(value)]
    words = [value for value in values if not MASK.search(value)]
    if len(words) >= MANY_VALUES:
        return True
    if masked and words:
        return all(any(sign.isdigit() for sign in word) for word in words)
    return len(words) > 1 and all(map(_qualified, words))


def _split_constants(group: _Group) -> list[_Group]:
    """Split a group at a place that has a few values only, each of them often."""
    if len(group.rows) < 2:
        return [group]
    for place, word in enumerate(group.words):
        if VARIABLE not in word:
            continue
        values = group.values(place)
        few = 1 < len(values) <= FEW_VALUES and min(values.values()) >= MIN_SUPPORT
        if few and not any(MASK.search(v) or _qualified(v) for v in values):
            parts: dict[str, _Group] = {}
            for row, members in group.rows.items():
                part = parts.setdefault(row[place], _Group([*group.words]))
                part.words[place] = row[place]
                part.rows[row] = members
            return [p for part in parts.values() for p in _split_constants(part)]
    return [group]


def _words(rows: dict[tuple[str, ...], list[int]]) -> tuple[str, ...]:
    columns = zip(*rows, strict=True)
    return tuple(c[0] if len(set(c)) == 1 else _column(c) for c in columns)


def _column(values: tuple[str, ...]) -> str:
    keys = {_key(v) for v in values}
    return keys.pop() + VARIABLE if len(keys) == 1 and "=" in values[0] else VARIABLE


def _members(rows: dict[tuple[str, ...], list[int]]) -> tuple[int, ...]:
    return tuple(sorted(index for members in rows.values() for index in members))
