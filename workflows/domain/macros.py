"""The macros of CEL (``map``, ``filter``, …) in an expression: where they stand, what they cost.

The engine copies a growing list for each item that ``map`` and ``filter`` add, and lets nobody else
run meanwhile: 10,000 items take 5 s. So long lists are gone through in pieces, and what would take
too long even so is refused before it begins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# A list up to this long is left to the engine; longer ones are cut into so long pieces.
PIECE = 128
# Items looked at or copied by one expression, at some 0.1 us: a second or two.
MOST_WORK = 20_000_000
# Characters that results may hold: they are copied for each item.
MOST_TEXT = 1_000_000_000

_LONG = r"'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\""
_QUOTED = rf"{_LONG}|'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\""
_RAW = r"'''[\s\S]*?'''|\"\"\"[\s\S]*?\"\"\"|'[^'\n]*'|\"[^\"\n]*\""
# A text of CEL, as far as it reaches; in a raw one a backslash is only that.
LITERAL = re.compile(rf"(?:\b(?:[rR][bB]?|[bB][rR])(?:{_RAW})|(?:\b[bB])?(?:{_QUOTED}))", re.DOTALL)
_HIDDEN = re.compile(rf"//[^\n]*|{LITERAL.pattern}", re.DOTALL)
_CALL = re.compile(r"\.\s*(map|filter|all|exists|exists_one)\s*\(\s*([A-Za-z_]\w*)?")
_RECEIVER = re.compile(r"(?<![\w.\])}])[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[\d+\])*\Z")
_COPYING = frozenset({"map", "filter"})


def bare(source: str) -> str:
    """``source`` with its texts and comments blanked, each character where it was."""
    return _HIDDEN.sub(
        lambda m: " " * len(m[0]) if m[0].startswith("/") else "'" * len(m[0]), source
    )


@dataclass(frozen=True, slots=True)
class Macro:
    """One macro: ``start`` to ``end`` are its place, what it goes through included."""

    kind: str
    variable: str
    receiver: str  # a plain path, else empty
    start: int
    end: int
    inner: tuple[Macro, ...]

    @property
    def path_end(self) -> int:
        return self.start + len(self.receiver)


def macros_of(blank: str) -> tuple[Macro, ...]:
    """Macros of a bare expression that stand in no other one, with those inside them."""
    found: list[Macro] = []
    for call in _CALL.finditer(blank):
        opened = blank.index("(", call.start()) + 1
        if found and call.start() < found[-1].end:
            continue  # inside the one before
        closed = _closing(blank, opened)
        before = blank[: call.start()].rstrip()
        path = _RECEIVER.search(before)
        receiver = path[0] if path else ""
        found.append(
            Macro(
                call[1], call[2] or "", receiver, len(before) - len(receiver), closed + 1,
                macros_of(blank[opened:closed]),
            )
        )  # fmt: skip
    return tuple(found)


def _closing(text: str, place: int) -> int:
    depth = 0
    for at in range(place, len(text)):
        depth += (text[at] in "([{") - (text[at] in ")]}")
        if depth < 0:
            return at
    return len(text)


def every(macros: tuple[Macro, ...]) -> list[Macro]:
    """All of ``macros``, those inside of others too."""
    return [one for macro in macros for one in (macro, *every(macro.inner))]


@dataclass
class Effort:
    """What an expression costs over the values at hand."""

    blank: str
    macros: tuple[Macro, ...]
    values: Mapping[str, Any]

    def to_cut(self) -> Macro | None:
        """The first macro that copies a list long enough to be gone through in pieces."""
        for macro in self.macros:
            if macro.kind in _COPYING and macro.receiver:
                if isinstance(items := self._at(macro), list) and len(items) > PIECE:
                    return macro
        return None

    @property
    def is_possible(self) -> bool:
        """Whether the whole of it may be left to the engine."""
        return sum(map(self.of, self.macros)) <= MOST_WORK

    def require_possible(self, cut: Macro | None = None) -> None:
        """Raise ValueError for what keeps a worker too long, or fills its memory.

        With ``cut`` that macro alone is judged, done in pieces; for each of them the engine
        converts what it reads besides.
        """
        if cut is None:
            work, text = sum(map(self.of, self.macros)), sum(map(self.text, self.macros))
        else:
            besides, _, _ = _extent(self._beside(cut))
            work = self.of(cut, in_pieces=True) + self.items(cut) // PIECE * besides
            text = self.text(cut)
        if work > MOST_WORK:
            raise ValueError(f"it would go through {work:,} items; the limit is {MOST_WORK:,}")
        if text > MOST_TEXT:
            raise ValueError(f"it might give {text:,} characters; the limit is {MOST_TEXT:,}")

    def of(self, macro: Macro, *, in_pieces: bool = False) -> int:
        """Items that ``macro`` looks at and copies."""
        items = self.items(macro)
        work = items * max(1, sum(self.of(one) for one in macro.inner))
        if macro.kind in _COPYING:
            work += items * (PIECE if in_pieces else items)
        return work

    def text(self, macro: Macro) -> int:
        """Characters that its result may hold, if each item gives the longest text there is."""
        if macro.kind != "map":  # the others give nothing that is not there
            return 0
        where = [self._at(macro)] if self._is_known(macro) else list(self.values.values())
        _, _, longest = _extent([*where, *self._beside(macro)])
        return self.items(macro) * max(longest, *map(self.text, macro.inner), 1)

    def items(self, macro: Macro) -> int:
        """How many items it may go through: of a plain path those, else the longest list."""
        if self._is_known(macro):
            value = self._at(macro)
            return len(value) if isinstance(value, list | dict) else 0
        _, longest, _ = _extent(self._sources(macro))
        return max(longest, self.blank.count(",") + 1) * (1 + self.blank.count("+"))

    def _sources(self, macro: Macro) -> list[Any]:
        """Where the list of ``macro`` may lie: in items of another one, or anywhere."""
        for outer in self.macros:
            if _root(macro) == outer.variable != "" and self._is_known(outer):
                items = self._at(outer)
                if isinstance(items, list):
                    return list(items)
        return list(self.values.values())

    def _is_known(self, macro: Macro) -> bool:
        bound = {one.variable for one in every(self.macros)}
        return bool(macro.receiver) and _root(macro) not in bound

    def _at(self, macro: Macro) -> Any:
        value: Any = self.values
        for part in re.findall(r"[A-Za-z_]\w*|\d+", macro.receiver):
            try:
                value = value[int(part) if part.isdigit() else part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def _beside(self, macro: Macro) -> list[Any]:
        """What ``macro`` reads besides its list."""
        body = self.blank[macro.path_end : macro.end]
        return [v for name, v in self.values.items() if re.search(rf"\b{name}\b", body)]


def _root(macro: Macro) -> str:
    """The name that its list is a part of; empty if that is no plain path."""
    return re.split(r"\W", macro.receiver, maxsplit=1)[0]


def _extent(values: list[Any]) -> tuple[int, int, int]:
    """How many values there are in all, the longest list or mapping, and the longest text."""
    count = longest = text = 0
    while values:
        value = values.pop()
        count += 1
        if isinstance(value, str):
            text = max(text, len(value))
        elif isinstance(value, list | dict):
            longest = max(longest, len(value))
            values.extend(value.values() if isinstance(value, dict) else value)
    return count, longest, text
