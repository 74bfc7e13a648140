"""How many of an agent's edge cases evaluations have asked lately: the metric of an objective."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from agents import evidence
from learning.asking import corrected_questions, graded_questions
from learning.models import ReplayCase, Study
from monitoring import services as monitoring

METRIC = "edge_case_coverage_ratio"
# A case that nobody asked for longer counts as not covered: versions have moved on since.
WINDOW = timedelta(days=28)


def measure(agent: str, until: datetime, *, client_id: UUID) -> dict[str, int]:
    """Record the agent's coverage at ``until``; nothing is recorded without an edge case.

    Edge cases: the graded ones of the catalogue, and what people corrected and reviewers approved
    with a figure to grade by. Covered: asked by a replay or a search for variants in 28 days.
    """
    questions = [*graded_questions(agent, client_id), *corrected_questions(agent, until)]
    cases = {question.case.key for question in questions}
    covered = cases & _asked(agent, until - WINDOW, until)
    if cases:
        labels = {"agent": agent, "domain": evidence.agent(agent).domain}
        share = len(covered) / len(cases)
        monitoring.record([monitoring.Measurement({METRIC: share}, labels, until)])
    return {"edge_cases": len(cases), "edge_cases_covered": len(covered)}


def _asked(agent: str, since: datetime, until: datetime) -> set[str]:
    replayed = ReplayCase.objects.filter(
        replay__agent_slug=agent, created_at__gte=since, created_at__lt=until,
        candidate_score__isnull=False,
    )  # fmt: skip
    searched = Study.objects.filter(agent_slug=agent, created_at__gte=since, created_at__lt=until)
    keys = set(replayed.values_list("key", flat=True))
    for asked in searched.values_list("document__cases", flat=True):
        keys.update(asked or ())
    return keys
