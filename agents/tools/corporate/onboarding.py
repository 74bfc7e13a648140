"""Client onboarding: screening names against a list, and who owns the client in the end."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from agents.tools.accounting.amounts import Day, Ratio, Row, number
from agents.tools.corporate import outputs
from agents.tools.registry import tool
from config.errors import InvalidInput

# Jaro-Winkler: how much a shared beginning adds, and how long a beginning counts (Winkler 1990).
PREFIX_WEIGHT = 0.1
LONGEST_PREFIX = 4
# A birth date or a country that agrees lifts, one that differs lowers a name match.
DATE_AGREES, DATE_DIFFERS = 0.05, -0.15
COUNTRY_AGREES, COUNTRY_DIFFERS = 0.02, -0.06
TRUE_MATCH = 0.95
LEGAL_FORMS = frozenset(
    "ltd limited plc llp llc inc corp gmbh ag kg sa sarl srl spa bv nv oy ab as co company".split()
)
# UK Money Laundering Regulations 2017, reg. 5(1)(a): more than 25 %.
OWNERSHIP_LIMIT = Decimal("0.25")
# Levels of holding companies that are followed; circles have shrunk to nothing by then.
MOST_LEVELS = 60


class Person(Row):
    """A name to screen or one on the list; date and country corroborate when both have them."""

    name: Annotated[str, Field(min_length=2, max_length=200)]
    born_on: Day | None = None
    country: str | None = None


class Holding(Row):
    """A direct share of one party in another."""

    holder: str
    held: str
    share: Ratio


People = Annotated[list[Person], Field(min_length=1, max_length=500)]
Holdings = Annotated[list[Holding], Field(min_length=1, max_length=1000)]


@tool("corporate.screen_names", timeout_seconds=20)
def screen_names(
    screened_names: People, watch_list: People, match_threshold: Ratio = Decimal("0.85")
) -> outputs.ScreenNames:
    """Screen names against a sanctions or PEP list; score each best match.

    Names lose accents, legal forms and word order, then compare by Jaro-Winkler similarity
    (Jaro 1989, Winkler 1990), corroborated by birth date and country. UK MLR 2017 reg. 28 and
    33: a possible match is cleared by a person, never by the score.
    """
    listed = [(_folded(row.name), row) for row in watch_list]
    rows = [_best(person, listed, float(match_threshold)) for person in screened_names]
    hits = [row for row in rows if row["screening"] != "no match"]
    likely = sum(row["screening"] == "likely true match" for row in hits)
    return {
        "screened": rows,
        "names_with_hits": len(hits),
        "highest_score": max(row["score"] for row in rows),
        "screening_verdict": "stop onboarding and escalate"
        if likely
        else "review possible matches"
        if hits
        else "clear, no matches",
    }


def _best(person: Person, listed: list[tuple[str, Person]], threshold: float) -> dict[str, Any]:
    folded = _folded(person.name)
    score, match = max(
        ((_score(jaro_winkler(folded, name), person, row), row) for name, row in listed),
        key=lambda pair: pair[0],
    )
    verdict = "no match"
    if score >= max(TRUE_MATCH, threshold):
        verdict = "likely true match"
    elif score >= threshold:
        verdict = "possible match"
    return {
        "name": person.name,
        "closest_listed": match.name,
        "score": round(score, 4),
        "screening": verdict,
    }


def _score(score: float, one: Person, other: Person) -> float:
    """The similarity of two names, corroborated or weakened."""
    if one.born_on and other.born_on:
        score += DATE_AGREES if one.born_on == other.born_on else DATE_DIFFERS
    if one.country and other.country:
        agrees = one.country.casefold() == other.country.casefold()
        score += COUNTRY_AGREES if agrees else COUNTRY_DIFFERS
    return min(max(score, 0.0), 1.0)


def similarity(one: str, other: str) -> float:
    """Jaro-Winkler of two names after folding, 0 to 1; word order does not matter."""
    return jaro_winkler(_folded(one), _folded(other))


def _folded(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.casefold())
    words = re.findall(r"\w+", "".join(c for c in plain if not unicodedata.combining(c)))
    return " ".join(sorted(word for word in words if word not in LEGAL_FORMS) or sorted(words))


def jaro_winkler(one: str, other: str) -> float:
    """Jaro similarity with Winkler's bonus for a shared beginning; 1 for equal strings."""
    if one == other:
        return 1.0
    jaro = _jaro(one, other)
    prefix = 0
    for a, b in zip(one[:LONGEST_PREFIX], other[:LONGEST_PREFIX], strict=False):
        if a != b:
            break
        prefix += 1
    return jaro + prefix * PREFIX_WEIGHT * (1 - jaro)


def _jaro(one: str, other: str) -> float:
    window = max(max(len(one), len(other)) // 2 - 1, 0)
    taken = [False] * len(other)
    matched_one: list[str] = []
    for i, char in enumerate(one):
        for j in range(max(0, i - window), min(len(other), i + window + 1)):
            if not taken[j] and other[j] == char:
                taken[j] = True
                matched_one.append(char)
                break
    count = len(matched_one)
    if count == 0:
        return 0.0
    matched_other = [char for char, used in zip(other, taken, strict=True) if used]
    swapped = sum(a != b for a, b in zip(matched_one, matched_other, strict=True)) / 2
    return (count / len(one) + count / len(other) + (count - swapped) / count) / 3


@tool("corporate.beneficial_owners", light=True)
def beneficial_owners(
    client_company: str, holdings: Holdings, natural_persons: list[str]
) -> outputs.BeneficialOwners:
    """Work out each natural person's effective share of a client through chains of holdings.

    Shares multiply along a chain and add over chains. A beneficial owner holds more than 25 %
    (UK MLR 2017 reg. 5(1)(a)); where nobody does, the senior manager is recorded (reg. 28(8)).
    """
    owners: dict[str, list[Holding]] = defaultdict(list)
    for row in holdings:
        owners[row.held].append(row)
    for held, rows in owners.items():
        if sum(row.share for row in rows) > 1:
            raise InvalidInput("holdings", held, "shares in one company add to 1 at most")
    shares = _effective_shares(client_company, owners, set(natural_persons))
    found = {name: share for name, share in shares.items() if share > OWNERSHIP_LIMIT}
    traced = sum(shares.values(), Decimal(0))
    return {
        "effective_shares": [
            {"person": name, "share_percent": number(100 * share, 4)}
            for name, share in sorted(shares.items(), key=lambda pair: -pair[1])
        ],
        "beneficial_owners": sorted(found),
        "traced_percent": number(100 * traced, 4),
        "untraced_percent": number(100 * (1 - traced), 4),
        "ownership_verdict": f"{len(found)} beneficial owner(s) to verify"
        if found
        else "no beneficial owner above 25 %, record the senior manager",
    }


def _effective_shares(
    company: str, owners: dict[str, list[Holding]], people: set[str]
) -> dict[str, Decimal]:
    """What each person holds of ``company`` in the end, through all chains.

    Shares climb one level a round, so the work grows with holdings and levels, not with paths.
    A circle goes round and shrinks, as in Brioschi, Buzzacchi and Colombo (1989).
    """
    found: dict[str, Decimal] = defaultdict(Decimal)
    level = {company: Decimal(1)}
    for _ in range(MOST_LEVELS):
        above: dict[str, Decimal] = defaultdict(Decimal)
        for held, share in level.items():
            for row in owners.get(held, []):
                target = found if row.holder in people else above
                target[row.holder] += share * row.share
        level = above
    return found
