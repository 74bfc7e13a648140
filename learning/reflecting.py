"""The search by reflection: rewrite what is best on some case, keep what turns out better.

Each round draws a prompt from the Pareto set, reads why its worst answers fell short, rewrites it,
and tries the new one on those cases first; only one that is better there is asked all cases and
joins the set. At the end two prompts that learnt different things are merged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from agents import evidence
from agents import services as agents
from agents.errors import BudgetExceeded
from agents.versions import Content
from config.errors import AppError
from config.readable import plural
from learning import rewriting
from learning.asking import Asked, Question
from learning.bench import Bench, measured
from learning.domain import reflection
from learning.domain.reflection import Reason, Source
from learning.domain.splits import digest_of, share_of

ROUNDS = 4
# Cases that a rewriting has to be better on before it is asked all of them.
MINIBATCH = 3


@dataclass(slots=True)
class Tried:
    """One prompt of the search with its answers to all tuning cases."""

    name: str
    content: Content
    version_id: UUID
    answers: list[Asked | None]

    @property
    def scores(self) -> list[float]:
        """Scores case by case; what was not answered any more counts as 0."""
        return [a.graded.score if a else 0.0 for a in self.answers]


@dataclass(slots=True)
class Search:
    """What the search has found so far, in the order of trying."""

    bench: Bench
    tune: Sequence[Question]
    reasons: Sequence[Reason]
    pool: dict[str, Tried]
    shown: list[dict[str, Any]] = field(default_factory=list)
    rounds: list[dict[str, Any]] = field(default_factory=list)

    @property
    def front(self) -> dict[str, tuple[int, ...]]:
        return reflection.front({name: tried.scores for name, tried in self.pool.items()})


def evolve(
    bench: Bench,
    tune: Sequence[Question],
    pool: Sequence[Tried],
    reasons: Sequence[Reason],
) -> Search:
    """Search from ``pool`` (the present prompt first) until the rounds, money or time are used.

    ``reasons`` are those of people and records; what the tuning cases missed is added to them.
    """
    found = Search(bench, tune, reasons, {tried.name: tried for tried in pool})
    seed = f"{bench.study.agent_slug}/{digest_of(pool[0].content.prompt)}"
    for number in range(1, ROUNDS + 1):
        if bench.is_stopped or any(min(t.scores) >= 1 for t in found.pool.values()):
            break
        chosen = found.pool[reflection.parent(found.front, share_of(number, seed=seed))]
        try:
            found.rounds.append(_round(found, chosen, number))
        except BudgetExceeded:
            bench.is_stopped = "the cap was reached"
    if not bench.is_stopped:
        _merge(found)
    return found


def pareto(found: Search) -> dict[str, Any]:
    """The Pareto set as the API gives it: who is best on which cases."""
    return {
        "cases": len(found.tune),
        "members": [
            {"variant": name, "best_on": list(places),
             "score": round(sum(found.pool[name].scores) / len(found.tune), 4),
             "version_id": str(found.pool[name].version_id)}
            for name, places in found.front.items()
        ],
        "rounds": found.rounds,
    }  # fmt: skip


def _round(found: Search, chosen: Tried, number: int) -> dict[str, Any]:
    told: dict[str, Any] = {"round": number, "parent": chosen.name}
    worst = sorted(
        (p for p, score in enumerate(chosen.scores) if score < 1), key=lambda p: chosen.scores[p]
    )[:MINIBATCH]
    if not worst:
        return {**told, "outcome": "its every case is right"}
    study = found.bench.study
    made = rewriting.rewrite(
        work_id=study.pk, client_id=study.client_id, content=chosen.content,
        reasons=[*found.reasons, *_missed(chosen, worst)], number=number,
    )  # fmt: skip
    if made is None:
        return {**told, "outcome": "the reasons are in the prompt already"}
    told |= {"how": made.how, "changes": made.changes}
    if any(tried.content.prompt == made.prompt for tried in found.pool.values()):
        return {**told, "outcome": "this prompt was tried before"}
    name = f"reflective_{number}"
    content = replace(chosen.content, prompt=made.prompt)
    return {**told, **_try(found, name, chosen, content, worst, made.changes)}


def _missed(chosen: Tried, places: Sequence[int]) -> list[Reason]:
    answers = [chosen.answers[place] for place in places]
    return [Reason(text, Source.CASE) for a in answers if a for text in a.graded.missing]


def _try(
    found: Search, name: str, chosen: Tried, content: Content, worst: Sequence[int], why: str
) -> dict[str, Any]:
    """Ask the minibatch, then all cases if it is better there; what came of it."""
    version_id = _published(found, name, content)
    if isinstance(version_id, str):
        return {"outcome": version_id}
    few = found.bench.score(version_id, [found.tune[p] for p in worst])
    gained = sum(a.graded.score for a in few if a) - sum(chosen.scores[p] for p in worst)
    if gained <= 0:
        return {"outcome": f"no better on the {plural(len(worst), 'case')} that it was written for"}
    answers = found.bench.score(version_id, found.tune)
    found.pool[name] = Tried(name, content, version_id, answers)
    found.shown.append(_shown(found, name, chosen.name, why))
    return {"outcome": "kept", "variant": name}


def _published(found: Search, name: str, content: Content) -> UUID | str:
    study = found.bench.study
    try:
        version, _ = agents.publish(
            agent=evidence.agent(study.agent_slug), content=content, note=f"variation: {name}",
            created_by=study.asked_by,
        )  # fmt: skip
    except AppError as error:
        return f"refused: {error}"
    return version.pk


def _merge(found: Search) -> None:
    """One prompt with what the two of the set that are best on most cases have added."""
    base = next(iter(found.pool.values()))
    ranked = sorted(found.front.items(), key=lambda one: -len(one[1]))
    names = [name for name, _ in ranked if name != base.name][:2]
    if len(names) < 2:
        return
    one, other = (found.pool[name] for name in names)
    prompt = reflection.merged(base.content.prompt, one.content.prompt, other.content.prompt)
    if prompt is None or one.content.model != other.content.model:
        return
    content = replace(one.content, prompt=prompt)
    version_id = _published(found, "merged", content)
    if isinstance(version_id, str):
        return
    answers = found.bench.score(version_id, found.tune)
    found.pool["merged"] = Tried("merged", content, version_id, answers)
    found.shown.append(_shown(found, "merged", " and ".join(names), "what both of them added"))


def _shown(found: Search, name: str, came_from: str, why: str) -> dict[str, Any]:
    tried, base = found.pool[name], next(iter(found.pool.values()))
    return {
        "kind": name.partition("_")[0], "name": name, "parent": came_from, "why": why,
        "expects": "what its reasons complained of no longer happens",
        "content": tried.content, "version_id": str(tried.version_id),
        "effect": measured(base.answers, tried.answers, part="tuning"),
    }  # fmt: skip


def reasons_of(
    corrections: Sequence[str], complaints: Sequence[Mapping[str, Any]], failures: Sequence[str]
) -> list[Reason]:
    """Reasons in words of people and of the record, those of reviewers first."""
    return [
        *(Reason(text, Source.CORRECTION) for text in corrections if text.strip()),
        *(Reason(str(one["title"]), Source.COMPLAINT) for one in complaints),
        *(Reason(text, Source.FAILURE) for text in failures),
    ]
