"""What the learning page shows: what was said and seen, what is on its way, what it gained."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Avg, Count, Q, QuerySet

from agents import evidence, sight
from config.access.callers import Caller
from learning import (
    asked_for,
    cycles,
    drifting,
    feedback,
    held_out,
    judging,
    metric_rows,
    patterns,
    saying,
)
from learning.domain.categories import group_of
from learning.models import (
    DriftWindow,
    Example,
    Experiment,
    Feedback,
    Holdout,
    Improvement,
    Judge,
    Rollout,
    Score,
    Tombstone,
)

MONTH, FORTNIGHT = timedelta(days=30), timedelta(days=14)
MOST_ROWS = 12
# Of what is on its way all is listed, up to a page's length; of what has ended some always.
MOST_OPEN, LEAST_ENDED = 100, 4
IN_WORK = ("proposed", "approved", "testing", "rolling_out")


def overview(caller: Caller, *, now: datetime) -> dict[str, Any]:
    """All figures and rows of the page, of the clients that the caller sees."""
    mine = caller.only_visible
    open_ = mine(Improvement.objects.filter(state__in=IN_WORK)).order_by("-priority", "-id")
    ended = mine(Improvement.objects.filter(updated_at__gte=now - MONTH))
    # A rollout that a person began by hand is a change too; a drill is none.
    gone = mine(Rollout.objects.filter(ended_at__gte=now - MONTH, improvement=None, is_drill=False))
    said = feedback.visible(caller).filter(created_at__gte=now - MONTH, superseded_at=None)
    return {
        "since": f"{now - MONTH:%Y-%m-%dT%H:%M:%SZ}",
        "waiting": open_.filter(state="proposed").count(),
        "open": open_.count(),
        "improvements": list(open_[:MOST_ROWS]),
        "shipped": ended.filter(state="shipped").count() + gone.filter(state="done").count(),
        "went_back": (
            ended.filter(state="rolled_back").count() + gone.filter(state="rolled_back").count()
        ),
        "refused": ended.filter(state="refused").count(),
        "experiments": _open_first(mine(Experiment.objects.all())),
        "running": mine(Experiment.objects.filter(state__in=["running", "paused"])).count(),
        "paused": mine(Experiment.objects.filter(state="paused")).count(),
        "rollouts": [
            {"row": row, "said": saying.in_list(row, now)}
            for row in _open_first(mine(Rollout.objects.all()))
        ],
        "rolling": mine(Rollout.objects.filter(state__in=["running", "paused"])).count(),
        "held": mine(Rollout.objects.filter(state="paused")).count(),
        "feedback": said.aggregate(
            total=Count("id"), mean_rating=Avg("rating"),
            corrections=Count("id", filter=Q(kind="correction")),
            complaints=Count("id", filter=Q(kind="complaint") | Q(rating__lte=2)),
        ),
        "examples": sight.of_visible_calls(caller, Example.objects.all()).aggregate(
            collected=Count("id"), approved=Count("id", filter=Q(state="approved")),
            waiting=Count("id", filter=Q(state="proposed")),
        ),
        "in_use": examples_in_use(caller),
        "issues": _issues(said)[:MOST_ROWS],
        "judges": judging.documents()[:MOST_ROWS],
        "drifts": drifts(now),
        "patterns": patterns.listed(caller, until=now.date(), days=28)[:MOST_ROWS],
        "requests": asked_for.requests(caller, now=now)[:MOST_ROWS],
        "request_formula": asked_for.FORMULA,
        "accuracy": accuracy_delta(caller, now=now),
        "holdout": (holdout := _holdout(caller, now)), "held_rows": _held_rows(holdout),
        "tombstones": mine(Tombstone.objects.filter(lifted_at=None)).count(),
        "cycle": cycles.visible(caller).filter(state="done").order_by("-ended_at").first(),
    }  # fmt: skip


def _open_first(rows: QuerySet[Any]) -> list[Any]:
    """All that is open, which the headline counts, then drafts, then the latest of the rest."""
    open_ = list(rows.filter(state__in=("running", "paused"))[:MOST_OPEN])
    drafts = list(rows.filter(state="draft")[:MOST_ROWS])
    left = max(MOST_ROWS - len(open_) - len(drafts), LEAST_ENDED)
    ended = rows.exclude(state__in=("running", "paused", "draft"))[:left]
    return [*open_, *drafts, *ended]


def _holdout(caller: Caller, now: datetime) -> Holdout | None:
    """The holdout that is open or was a month ago, of all clients, for who sees all of them."""
    if caller.client_ids is not None:
        return None
    rows = Holdout.objects.filter(Q(closed_at=None) | Q(closed_at__gte=now - MONTH))
    return rows.order_by("-opened_at").first()


def _held_rows(holdout: Holdout | None) -> list[dict[str, Any]]:
    """Its metrics with both sides' figures and the effect, in their units."""
    if holdout is None or not holdout.analysis.get("metrics"):
        return []
    return metric_rows.rows_of(holdout.analysis, held_out.METRICS)


def _issues(said: QuerySet[Feedback]) -> list[dict[str, Any]]:
    """How often each kind of issue was met, most frequent first."""
    rows = said.exclude(category="").order_by().values_list("category")
    found: Counter[str] = Counter()
    for category, number in rows.annotate(number=Count("id")):
        found[group_of(category)] += number
    ranked = sorted(found.items(), key=lambda one: (-one[1], one[0]))
    return [{"category": str(category), "number": number} for category, number in ranked]


def drifts(now: datetime) -> list[DriftWindow]:
    """Each version's newest window of a metric that has drifted in two weeks, confirmed first."""
    found: dict[tuple[Any, str], DriftWindow] = {}
    for row in drifting.listed(since=now - FORTNIGHT, drifted=True):
        found.setdefault((row.version_id, row.metric), row)
    ranked = sorted(found.values(), key=lambda one: (not one.is_confirmed, -abs(one.effect)))
    for row in ranked[:MOST_ROWS]:
        row.before = metric_rows.of_drift(row.metric, row.reference_mean)  # type: ignore[attr-defined]
        row.now = metric_rows.of_drift(row.metric, row.current_mean)  # type: ignore[attr-defined]
    return ranked[:MOST_ROWS]


def examples_in_use(caller: Caller) -> int:
    """Approved examples that stand in the prompt of a production version now."""
    shown = evidence.shown_examples()
    rows = sight.of_visible_calls(caller, Example.objects.filter(state=Example.State.APPROVED))
    return sum(
        question in shown.get(slug, ())
        for slug, question in rows.filter(agent_slug__in=shown).values_list(
            "agent_slug", "question"
        )
    )


def accuracy_delta(caller: Caller, *, now: datetime) -> dict[str, Any]:
    """Mean accuracy score of the last 30 days and of the 30 before; None where none was given."""
    trusted = Judge.objects.filter(name="accuracy", state=Judge.State.ADMITTED)
    # All sources, named: the index of scores that stand begins with them.
    rows = caller.only_visible(
        Score.objects.filter(
            name="accuracy", source__in=Score.Source.values, superseded_at=None
        ).filter(~Q(source=Score.Source.JUDGE) | Q(source_version__in=trusted.values("version")))
    )

    def mean(since: datetime, until: datetime) -> float | None:
        found = rows.filter(created_at__gte=since, created_at__lt=until).aggregate(m=Avg("value"))
        return None if found["m"] is None else float(found["m"])

    present, before = mean(now - MONTH, now), mean(now - 2 * MONTH, now - MONTH)
    both = present is not None and before is not None
    return {
        "now": present, "before": before,
        "points": (present - before) * 100 if both else None,  # type: ignore[operator]
    }  # fmt: skip
