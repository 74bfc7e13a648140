"""Whether a tool that is registered already does what people miss. Pure.

A tool does a thing when its name and the first sentence of its description hold every word of it
(by stems, one of them in the name's own part: a family or a source names no work), and it does that
kind of work: its description begins with a word of the verb, which none of the thing's own words is
("submit a filing" is not served by what lists filings). A look-up may begin with the thing itself;
what calculates one word's thing is called that and no more. A wrong match costs more than none,
because it would be given to the agent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from learning.domain.abilities.words import CHANNELS, FAMILY, FORMATS, VERBS

_WORD = re.compile(r"[a-z]+")
_LOOK_UP = frozenset(
    "look find get fetch search check give list query retrieve verify screen read show".split()
)
# Several ways to say that a tool does a kind of work, by stems.
_DOES: dict[str, frozenset[str]] = {
    "export": frozenset("export writ save stor download render print".split()),
    "read": frozenset("read open pars extract import load".split()),
    "send": frozenset("send mail email deliver forward".split()),
    "connect": frozenset("ask query search read call".split()),
    "create": frozenset("creat draw make generat render plot".split()),
    "schedule": frozenset("schedul book creat plan".split()),
    "notify": frozenset("notif remind alert send".split()),
}
# Verbs that are about a form or a channel, and no more than these words say them.
_BY_FORM = frozenset({"export", "read", "send"})
_ENDINGS = re.compile(r"(?:iations?|iate[sd]?|ations?|ings?|ments?|ies|ed|es|s|e|y)$")


@dataclass(frozen=True, slots=True)
class Declared:
    """A registered tool as it says it is."""

    name: str
    description: str
    is_safe: bool = True


def matches(verb: str, thing: str, tools: Sequence[Declared]) -> list[Declared]:
    """Tools that do it, the one whose name says most of it first."""
    wanted = {_stem(word) for word in _WORD.findall(thing.lower())}
    found = []
    for tool in tools:
        names = {_stem(word) for word in _WORD.findall(tool.name.lower().rpartition(".")[2])}
        first = _WORD.findall(tool.description.lower().split(". ")[0])
        said = {_stem(word) for word in [*_WORD.findall(tool.name.lower()), *first]}
        if wanted and _does(verb, thing, wanted, names, said, {_stem(w) for w in first[:1]}):
            found.append((-len(wanted & names), len(tool.name), tool.name, tool))
    return [one[-1] for one in sorted(found, key=lambda one: one[:3])]


def _does(
    verb: str, thing: str, wanted: set[str], names: set[str], said: set[str], begins: set[str]
) -> bool:
    words = _DOES.get(verb, frozenset())
    if verb not in _BY_FORM:
        words |= frozenset(_WORD.findall(VERBS[verb]))
    does = bool({_stem(word) for word in words} & (begins - wanted))
    if verb in _BY_FORM:
        family = FORMATS if verb != "send" else CHANNELS
        forms = {_stem(word) for word, form in family.items() if form == thing} | wanted
        forms |= {w for w, form in FORMATS.items() if FAMILY.get(form) == thing}
        forms |= {"file", "attach", "document", "pdf"} if verb == "read" else set()
        return does and bool({_stem(f) for f in forms} & names)
    if not (wanted <= said and wanted & names):
        return False
    if verb == "look_up":
        return (len(wanted) > 1 or wanted <= names) and bool(
            begins & ({_stem(w) for w in _LOOK_UP} | wanted)
        )
    if verb == "calculate":
        return len(wanted) > 1 or names == wanted
    return does


def _stem(word: str) -> str:
    short = _ENDINGS.sub("", word)
    return short if len(short) >= 3 else word
