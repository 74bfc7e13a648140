# ruff: noqa: E501 (patterns and word lists read better whole)
"""How much a text looks like prompt injection: rules with reasons, plus a small linear model."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

from agents.domain.guardrails import foreign, languages, normalise, orders, signals
from agents.domain.guardrails.asides import asides
from agents.domain.guardrails.classifier import attack_logit
from agents.domain.guardrails.findings import Injection, Source
from agents.domain.guardrails.naming import is_names
from agents.domain.guardrails.notices import without_notices
from agents.domain.guardrails.signals import Signal
from agents.domain.guardrails.starts import Index, Starts

THRESHOLD = 0.5
# A hidden reading that is itself an attack is worse than the same words said openly.
_HIDDEN_BONUS = 0.2
# Readings that any text has a little of: the model, which never saw such text, is not asked.
_RESPELLED = frozenset(
    {"split_words", "leetspeak", "spaced_letters", "url_encoding", "html_entities"}
)
RULE_SCALE, OFFSET, OFFSET_ALONE = 10.0, 1.0, 1.5
# A longer text is weighed by its head, middle and tail. All of it is read by parts that overlap,
# for orders that the rules alone are sure of: many parts have many chances of a false alarm.
PART_CHARACTERS, OVERLAP_CHARACTERS = 24_000, 500
PLAIN = 0.9

_QUOTED_REPORT = re.compile(
    r"\b(?:phishing|suspicious|malicious|attackers?|attack|injection|jailbreak|security awareness|soc\b|threat|"
    r"example of|for example|e\.g\.|such as|like [\"“'`]|detect(?:ed|s|ion|ing)?|blocked|flagged|reported|"
    r"users? (?:try|type|write|send|ask)|classif\w+|regex|filter(?:s|ed|ing)? (?:for|out)|guardrails?|"
    r"red[- ]team(?:ing)?|owasp|paper|researchers?|training (?:slide|material)|incident)\b"
)
_QUESTION = re.compile(
    r"^\W*(?:what|why|when|where|who|which|how|can i|could i|should (?:i|we)|is (?:it|there|this)|are there|do (?:i|we|you)|"
    r"does|did|would it|may i|explain|describe|summari[sz]e|compare|define|discuss|wie|was|warum|kann ich|"
    r"comment|pourquoi|qu'est|como|que|por que|come|perche|como|hoe|wat|jak|как|что)\b"
)
_QUOTED = re.compile(
    r"\"[^\"\n]{6,300}\"|“[^”\n]{6,300}”|«[^»\n]{6,300}»|„[^“”\n]{6,300}[“”]|`[^`\n]{6,300}`"
)
# Somebody in a story says it.
_SPOKEN = re.compile(
    r"\b(?:character|hero|heroine|robot|villain|wizard|android|computer|he|she|narrator|captain|npc) "
    r"(?:says?|said|tells? \w+|shouts?|whispers?|answers?|replies|replied|yells?)[ ,:]{0,3}[\"'“‘«]$"
)
_NARRATED = re.compile(
    r"\b(?:he|she|they|we|i|who|which|that|client|company|employee|user|users|management|vendor|supplier|"
    r"staff|auditors?|team|people|drivers?|child|children|kids|students?|attackers?|someone|anyone|may|might|"
    r"could|would|can|cannot|can't|did|does|didn't|doesn't|not|never|don't|to not|should i|should we|"
    r"tend|tended|chose|decided|tried|trying|attempt\w*|allowed|able|ability|easy|tempting|wrong|"
    r"dangerous|illegal|why|how|if you|when you|before you|after you|or|risk\w*) (?:to )?(?:\w+ly )?$"
)


def score_injection(
    text: str, *, source: Source = Source.USER, threshold: float = THRESHOLD
) -> Injection:
    """Score in [0, 1], whether it reaches ``threshold``, and the reasons, strongest first.

    Text that is not the user's own (a tool's result, a document) has no business giving orders:
    its instruction-like signals weigh more.
    """
    worst, _ = _score_part(_bounded(text), source, threshold)
    step = PART_CHARACTERS - OVERLAP_CHARACTERS
    for start in range(0, len(text) - OVERLAP_CHARACTERS, step) if text != _bounded(text) else ():
        if worst.flagged:
            break
        found, rules = _score_part(text[start : start + PART_CHARACTERS], source, threshold)
        if found.flagged and rules >= PLAIN:
            worst = found
    return worst


def _score_part(text: str, source: Source, threshold: float) -> tuple[Injection, float]:
    """The finding in ``text``, and what the rules alone make of it."""
    plain = normalise.plain(text)
    starts = _starts(plain)
    evidence = dict(_evidence(starts, source))
    visible = _rules_alone(evidence)
    for technique, reading in normalise.hidden_readings(text):
        decoded = normalise.plain(reading)
        if decoded == plain:
            continue
        hidden = _rules_alone(dict(_evidence(_starts(decoded), source)))
        if technique not in _RESPELLED:
            hidden = max(hidden, 0.6 if attack_logit(decoded) > OFFSET else 0.0)
        if hidden >= 0.4 and hidden > visible:
            _raise(evidence, f"hidden by {technique}", min(0.97, hidden + _HIDDEN_BONUS))
        elif technique == "unicode_tags":
            _raise(evidence, "hidden by unicode_tags", 0.8)
    if normalise.mixes_scripts(text):
        _raise(evidence, "look-alike letters", 0.35)
    by_wording = source is not Source.ANSWER and not is_names(text)
    score = _combined(evidence, plain, by_wording=by_wording)
    aside = _worst_aside(text, starts, source)
    if aside.score > score:
        score = aside.score
        for group, weight in aside.evidence.items():
            _raise(evidence, group, weight)
    score = round(score, 4)
    evidence.pop(_FORBIDS, None)
    reasons = tuple(sorted(evidence, key=lambda name: -evidence[name]))
    flagged = score >= threshold
    if flagged and not reasons:
        reasons = ("wording like known attacks",)
    return Injection(score=score, flagged=flagged, reasons=reasons), _rules_alone(evidence)


@dataclass(frozen=True, slots=True)
class _Aside:
    """A sentence among code or data, judged alone."""

    score: float = 0.0
    evidence: Mapping[str, float] = field(default_factory=dict)


def _worst_aside(text: str, whole: Starts, source: Source) -> _Aside:
    """The sentence in comments, strings, values or names of ``text`` that is most like an order."""
    steps = dict(_ordered(whole, _STEPS))
    worst = _Aside(_aside_score(steps, whole.text), steps) if len(steps) > 1 else _Aside()
    if not any(word in whole.text for word in orders.GATE):
        return worst
    for said in asides(text):
        alone = normalise.plain(said)
        if not any(word in alone for word in orders.GATE):
            continue
        starts = _starts(alone)
        found = dict(_evidence(starts, source, among_code=True))
        for group, weight in _ordered(starts, _EACH_ORDER):
            _raise(found, group, weight)
        if found and (score := _aside_score(found, alone)) > worst.score:
            worst = _Aside(score, found)
    return worst


def _aside_score(found: Mapping[str, float], plain: str) -> float:
    """One group alone is ordinary in comments, unless it is strong."""
    if len(found) == 1 and max(found.values()) < orders.STANDS_ALONE:
        return 0.0
    return blend(_rules_alone(found), attack_logit(plain))


def _ordered(starts: Starts, signs: Numbered) -> Iterable[tuple[str, float]]:
    """The strongest weight of each group of orders that a plain reading shows."""
    found: dict[str, float] = {}
    for signal in _held(starts, signs):
        if (match := _order(starts, signal, _DENIED, 28)) is not None:
            _raise(found, signal.group, signal.weight * _told(starts.text, match))
    return found.items()


def _order(
    starts: Starts, signal: Signal, denial: re.Pattern[str], reach: int
) -> re.Match[str] | None:
    """The first match that is not forbidden by what stands up to ``reach`` characters before it.

    All of them count: one that is forbidden may be there to hide one that is ordered.
    """
    if signal.group not in orders.FORBIDDEN:
        return starts.search(signal.pattern)
    for match in starts.matches(signal.pattern):
        if not denial.search(starts.text, max(0, match.start() - reach), match.start()):
            return match
    return None


def _told(plain: str, match: re.Match[str]) -> float:
    """Below 1 where what could be an order is told of."""
    return 0.45 if _NARRATED.search(plain, max(0, match.start() - 28), match.start()) else 1.0


def _evidence(
    starts: Starts, source: Source, *, among_code: bool = False
) -> Iterable[tuple[str, float]]:
    """The strongest weight of each group of signals that the plain reading shows.

    A sentence that stands ``among_code`` is no question to the model, and not quoted.
    """
    found: dict[str, float] = {}
    plain = starts.text
    question = _QUESTION.match(plain) is not None
    report = not among_code and _QUOTED_REPORT.search(plain) is not None
    quotes = [m.span() for m in _QUOTED.finditer(plain)] if report else []
    denial, reach = (_DENIED, 28) if among_code else (_NEVER, 12)
    for signal in _possible(starts, source):
        match = _order(starts, signal, denial, reach)
        if match is None:
            if (
                not among_code
                and signal.group in orders.FORBIDDEN
                and starts.search(signal.pattern) is not None
                and _is_open(signal, plain)
            ):
                found.setdefault(_FORBIDS, 0.0)  # no order, of a document either
            continue
        if not _is_open(signal, plain):
            continue
        weight = signal.weight * _doubt(plain, match, question, report, quotes)
        if among_code:
            weight *= _told(plain, match)
        elif signal.group in _SAID and len(_PUNCTUATION.findall(match[0])) > 1:
            weight *= 0.4  # of several pieces of code; each sentence in it is judged alone
        if source is not Source.USER and signal.group in _ORDERS:
            weight = 1 - (1 - weight) * 0.75
        _raise(found, signal.group, weight)
    return found.items()


def _is_open(signal: Signal, plain: str) -> bool:
    """Whether the text holds one of the words without which the signal's group says nothing."""
    words = signals.GATES.get(signal.group)
    return words is None or any(word in plain for word in words)


def _starts(plain: str) -> Starts:
    """A plain reading, to be searched without the accents of its Latin letters."""
    return _index().of(normalise.bare(plain))


@cache
def _index() -> Index:
    """Made at the first text: a tenth of a second that other commands need not spend."""
    signs = (*signals.ENGLISH, *foreign.ORDERS, *languages.ALL, *orders.ORDERS)
    return Index(one.pattern for one in signs)


# Signals with the ids of their patterns, by which a text knows them.
Numbered = tuple[tuple[int, Signal], ...]


def _numbered(signs: Iterable[Signal]) -> Numbered:
    return tuple((id(one.pattern), one) for one in signs)


_ENGLISH, _FOREIGN = _numbered(signals.ENGLISH), _numbered(foreign.ORDERS)
_EACH_ORDER = _numbered(orders.ORDERS)
_STEPS = _numbered(one for one in orders.ORDERS if one.group in orders.STEPS)

_ORDERS = frozenset(
    {"instruction override", "indirect instruction", "exfiltration", "tool misuse", "goal hijack"}
)


# Groups whose sentences hold no code.
_SAID = frozenset(
    {"secret extraction", "prompt extraction", "instruction override", "goal hijack", "many-shot"}
)
_PUNCTUATION = re.compile(r"[{}<>=;()\[\]_|\\]|\": ")
# Evidence of weight 0: something is forbidden that attacks order.
_FORBIDS = "forbids"
_FURTHER = re.compile(r"[.!?;:] +\S")
_NEVER = re.compile(r"\b(?:never|(?:must|should|may|shall|do) not|don't|mustn't) $")
_DENIED = re.compile(
    r"\b(?:not|never|don't|cannot|can't|mustn't|shouldn't|avoid|nor|no one may|nobody may|refuse to|"
    r"instead of|without|prevents?|forbids?|stops?) (?:to )?(?:\w+ )?$"
)


def _possible(starts: Starts, source: Source) -> Iterable[Signal]:
    """The signals whose beginnings the text holds, of English and of its languages."""
    yield from _held(starts, _ENGLISH)
    if source in (Source.DOCUMENT, Source.TOOL):
        yield from _held(starts, _FOREIGN)
    yield from languages.applicable(starts.text)


def _held(starts: Starts, signs: Numbered) -> list[Signal]:
    """Those of ``signs`` that have a place to begin at; ``starts.may_hold`` without its calls."""
    tries, unknown = starts.tries, starts.unknown
    return [one for number, one in signs if number in tries or number in unknown]


def _doubt(
    plain: str, match: re.Match[str], question: bool, report: bool, quotes: list[tuple[int, int]]
) -> float:
    """Factor below 1 where the words are asked about, told or quoted rather than said."""
    factor = 1.0
    if _NARRATED.search(plain, max(0, match.start() - 28), match.start()):
        factor *= 0.45
    if _SPOKEN.search(plain, max(0, match.start() - 60), match.start()):
        factor *= 0.3
    if report and any(a <= match.start() and match.start() < b for a, b in quotes):
        factor *= 0.15
    elif report and question:
        factor *= 0.5
    return factor


def _combined(evidence: dict[str, float], plain: str, *, by_wording: bool = True) -> float:
    """Noisy or of the groups, joined with what the linear model says of the wording.

    That knows what people ask: a name or a model's answer in such words (not ``by_wording``) is no
    attack unless a rule says so, too. A notice of confidentiality is none of the wording.
    """
    logit = attack_logit(without_notices(plain))
    if not by_wording and not any(evidence.values()):
        logit = min(logit, 0.0)
    if _FORBIDS in evidence and not any(evidence.values()) and not _FURTHER.search(plain):
        logit = min(logit, 0.0)  # it forbids in the words of attacks, and says nothing else
    if _QUOTED_REPORT.search(plain) and _QUOTED.search(plain):
        logit = min(logit, -1.5)  # an attack that is quoted and talked about
    return blend(_rules_alone(evidence), logit)


def _rules_alone(evidence: Mapping[str, float]) -> float:
    miss = 1.0
    for weight in evidence.values():
        miss *= 1 - weight
    return 1 - miss


def blend(rules: float, logit: float) -> float:
    """One score in (0, 1) from the rules' weight and the model's logit.

    The constants were set on held-out families: rules above about a half flag whatever the
    model says; the model alone must be surer than beside a rule.
    """
    z = RULE_SCALE * rules + min(4.0, max(-4.0, logit))
    z -= OFFSET if rules >= 0.2 else OFFSET_ALONE
    return 1 / (1 + math.exp(-z / 1.5))


def _raise(found: dict[str, float], name: str, weight: float) -> None:
    found[name] = max(found.get(name, 0.0), weight)


def _bounded(text: str) -> str:
    if len(text) <= PART_CHARACTERS:
        return text
    third, middle = PART_CHARACTERS // 3, len(text) // 2
    return "\n".join((text[:third], text[middle - third // 2 : middle + third // 2], text[-third:]))
