"""Whether one comment names something the agent has no way to do, and what. Pure; English.

A comment names an ability when a *cue* (can't, no way to, not supported, please add) stands before
a verb that only a tool serves and a thing it is about. What is about skill, tone, quality, one
moment's failure or the reader's own trouble has a cue too often, but no such verb and thing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from learning.domain.abilities import cues as c
from learning.domain.abilities import words as w

# Of a comment and of one sentence, what is read; cues of a clause that are followed; and how far
# back from a cue somebody is looked for who can't. Anybody may write comments, and many are read.
MOST_TEXT, MOST_SENTENCE, MOST_CUES, MOST_BEFORE = 2_000, 500, 8, 80


@dataclass(frozen=True, slots=True)
class Ability:
    """What is missing: ``key`` counts alike what is the same; ``thing`` in words.

    ``formats``, ``channels`` and ``place`` are where it should go or come from, ``by`` what is
    known of the thing asked for, ``is_dated`` whether the present one is meant.
    """

    verb: str
    thing: str
    formats: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    place: str = ""
    by: tuple[str, ...] = ()
    is_dated: bool = False

    @property
    def key(self) -> str:
        """The name of a tool that would do it."""
        return "_".join([self.verb, *self.thing.split()])[:64]


def ability_of(text: str) -> Ability | None:
    """The first ability that ``text`` says is missing; None if it names none."""
    for sentence in c.SENTENCE.split(text[:MOST_TEXT]):
        plain = _plain(sentence[:MOST_SENTENCE])
        if w.MOMENT.search(plain) or w.QUALITY.search(plain):
            continue
        for clause in c.CLAUSE.split(plain):
            found = next((one for one in _read(clause) if one is not None), None)
            if found is not None:
                return found
    return None


def _plain(sentence: str) -> str:
    text = " ".join(sentence.lower().split())
    for pattern, better in c.SHORT:
        text = pattern.sub(better, text)
    return " ".join(text.split())


def _read(text: str) -> Iterator[Ability | None]:
    cues = ((place, match) for place, cue in enumerate(c.CUES) for match in cue.finditer(text))
    for place, match in islice(cues, MOST_CUES):
        before = text[: match.start()]
        by_people = place in c.OWN and _is_people(before)
        found = _of_verb(text[match.end() :], by_people=by_people)
        is_other = place in c.OWN and not _is_agent(before)
        if found and not (is_other and found.verb in c.DONE_BY_ANYBODY):
            yield found
        bare = re.match(rf"{c.IT} ", text[match.end() :])
        if bare:
            yield _of_verb(text[match.end() + bare.end() :], by_people=False)
    for habit in islice(c.HABIT.finditer(text), MOST_CUES):
        rest = text[habit.end() :]
        verb = c.VERB.match(rest)
        if verb and w.HABITUAL.match(verb[0]):
            yield _of_verb(rest, by_people=_is_people(text[: habit.start()]))
    if seen := c.SUPPORT.search(text):
        rest = text[seen.end() :]
        yield _of_verb(rest, by_people=False) or _made("read", rest, rest, word="accept")
    if seen := c.GERUND.search(text):
        yield _of_verb(seen["act"], by_people=False)
    if seen := c.KNOW.search(text):
        yield _live(seen["what"])
    if (seen := c.ACCESS.search(text)) and not _is_people(text[: seen.start()]):
        yield _made("look_up", seen["what"], seen["what"], word="access")
    if (seen := c.NO_ACCESS.search(text)) and not _is_people(text[: seen.start()]):
        yield _made("look_up", seen["what"], seen["what"], word="access")
    if seen := c.NOTHING_LIVE.search(text):
        yield _live(seen["what"])
    for linked in (c.LINK, c.LINK_GONE):
        if seen := linked.search(text):
            yield _made("connect", seen["what"], f"to {seen['what']}", word="connect")
    for noun in (c.NOUN, c.NOUN_LATER):
        if seen := noun.search(text):
            yield _of_noun(seen)


def _is_people(before: str) -> bool:
    """Whether the one who can't is a person, not the agent."""
    return bool(c.PEOPLE.search(_nearest(before)))


def _is_agent(before: str) -> bool:
    return bool(c.AGENT.search(_nearest(before)))


def _nearest(before: str) -> str:
    """What stands next to a cue, without its auxiliary."""
    return c.AUXILIARY.sub("", before.rstrip()[-MOST_BEFORE:])


def _of_noun(match: re.Match[str]) -> Ability | None:
    act, after = match["act"].split()[0], match["after"] or ""
    verb = c.ACTS.get(act, "export")
    said = f"{match['before']}{act if act.startswith('print') else ''}{after}"
    if verb == "look_up":
        return _made(verb, after.removeprefix(" of").removeprefix(" for"), said, word="look up")
    return _made(verb, match["before"] or after, said, word=act)


def _of_verb(rest: str, *, by_people: bool) -> Ability | None:
    rest = re.sub(rf"^{c.AFTER}", "", rest)
    rest = re.sub(r"^(\w+?)(?:ing)\b", _stem, rest)
    match = c.VERB.match(rest)
    if match is None or match.lastgroup is None:
        return None
    verb = match.lastgroup
    if by_people and verb not in c.PEOPLES:
        return None
    tail = rest[match.end() :].strip()
    if verb == "look_up":
        tail = re.sub(r"^(?:me|us|you)\b ?", "", tail)
        tail = re.sub(r"\bup\b", "", tail)
    return _made(verb, tail, rest, word=match[0])


def _stem(match: re.Match[str]) -> str:
    """The verb that an -ing form is of, where it is one of ours."""
    root: str = match[1]
    for form in (root, f"{root}e", root[:-1] if root[-2:-1] == root[-1:] else root):
        if c.VERB.fullmatch(form) or form == "look":
            return form
    return match[0]


def _live(what: str) -> Ability | None:
    """What nobody knows by heart."""
    thing, by = _thing(what)
    head = thing.split()[-1:] or [""]
    if not thing or head[0] not in w.LIVE or not (w.NOW.search(what) or " " in thing):
        return None
    return Ability("look_up", thing, by=by, is_dated=bool(w.NOW.search(what)))


def _made(verb: str, tail: str, said: str, *, word: str) -> Ability | None:
    """The ability of ``verb`` about what ``tail`` begins with; None if no tool is named by it."""
    thing, by = _thing(tail)
    tokens = [_one(token) for token in c.TOKEN.findall(said)]
    formats = tuple(
        sorted({w.FORMATS[t] for t in [*tokens, *c.TOKEN.findall(said)] if t in w.FORMATS})
    )
    channels = tuple(sorted({w.CHANNELS[t] for t in tokens if t in w.CHANNELS}))
    place = _place(said)
    head = thing.split()[-1] if thing else ""
    named = set(thing.split())
    given = {"formats": formats, "channels": channels, "place": place, "by": by,
             "is_dated": bool(w.NOW.search(said))}  # fmt: skip

    def about(name: str, **changes: object) -> Ability:
        return Ability(verb, name, **{**given, **changes})  # type: ignore[arg-type]

    if verb == "export":
        if word.startswith("print"):
            return about("print", formats=("print",))
        family = next((w.FAMILY.get(one, one) for one in formats), "")
        if not family and not place:
            return about(thing) if thing and not named & w.VAGUE and word != "save" else None
        return about(family or f"to {place}") if family or word != "save" else None
    if verb == "convert":
        return about(thing) if thing and not named & w.VAGUE else None
    if verb == "read":
        return about("file") if named & w.FILES or (thing == "" and formats) else None
    if verb == "look_up":
        soft = w.SOFT.match(word)
        if soft and (family := _form(said)):
            return Ability("export", family, formats, place=place)
        if not thing or named & w.VAGUE or (soft and c.AT_HAND.search(said)):
            return None
        return about(thing) if not soft or named & w.DATA else None
    if verb == "send":
        if channels:
            return about(channels[0])
        return about("message") if thing and (place or not named & w.VAGUE) else None
    if verb == "connect":
        return about(place or thing) if (place or thing) and not named & w.VAGUE else None
    if verb == "notify":
        return about("people")
    known = {"create": w.ARTEFACTS, "schedule": w.MEETINGS, "submit": w.FILINGS, "post": w.POSTINGS,
             "update": w.RECORDS, "delete": w.RECORDS, "sign": w.SIGNED}.get(verb)  # fmt: skip
    if known is not None:
        return about(thing) if named & known else None
    if verb in ("pay", "call", "calculate"):
        return about(thing) if thing and not named & (w.VAGUE | w.COSTS) and head else None
    return None


def _form(said: str) -> str:
    """The family of a format that something is wanted as."""
    match = c.AS_FORM.search(said)
    form = w.FORMATS.get(_one(match[1])) if match else None
    return w.FAMILY.get(form, form) if form else ""


def _thing(tail: str) -> tuple[str, tuple[str, ...]]:
    """The thing's own name in the singular, and what it is known by ("of a client", "client's")."""
    stop = c.STOP.search(tail)
    phrase = tail[: stop.start()] if stop else tail
    after = tail[stop.start() :] if stop else ""
    tokens = c.TOKEN.findall(phrase)
    by = [_one(t.removesuffix("'s").removesuffix("'")) for t in tokens
          if re.search(r"'s?$", t) and t not in w.SKIPPED]  # fmt: skip
    if of := c.OF.match(after):
        whose, _ = _thing(of[1])
        by += [whose] if whose else []
    kept = [t for t in tokens if t not in w.SKIPPED and not re.search(r"'s?$", t)]
    name = " ".join(_one(t) for t in kept[-3:])
    for said, better in w.SAME.items():
        if name == said or name.endswith(f" {said}"):
            name = better
    return name, tuple(dict.fromkeys(by))


def _place(said: str) -> str:
    match = c.TO.search(said)
    if match is None:
        return ""
    name, _ = _thing(match[1])
    parts = set(name.split())
    return "" if parts & w.VAGUE or parts & w.FORMATS.keys() or parts & w.WAYS else name


def _one(word: str) -> str:
    """The singular of ``word``."""
    if len(word) < 4 or word.endswith(("ss", "us", "is", "ews")):
        return word
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    if word.endswith(("xes", "ches", "shes", "sses")):
        return word[:-2]
    return word[:-1] if word.endswith("s") else word
