"""A filled record: as many calls as were asked for, and rollups that say the same."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from agents import measuring
from agents.filling import storing
from agents.models import Agent, Invocation
from config.errors import Conflict, InvalidInput
from monitoring import queries, rollups
from monitoring.domain import rollups as folding
from monitoring.domain.rollups import Stat
from monitoring.models import Rollup

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def test_the_rollups_of_a_filled_record_are_what_the_watch_folds_from_its_rows(
    agent: Agent,
) -> None:
    done = storing.fill(calls=300, days=3, seed=1, processes=1)
    rows = list(Invocation.objects.order_by("id"))
    assert (done.calls, len(rows)) == (300, 300)
    assert [row.started_at for row in rows] == sorted(row.started_at for row in rows)
    days = {row.started_at.date() for row in rows}
    assert len(days) == 3
    for day in days:
        of_day = [row for row in rows if row.started_at.date() == day]
        watched = folding.fold(measured(row, agent) for row in of_day)
        stored = Rollup.objects.filter(start__date=day)
        kept = stored.filter(grain="d") or stored.filter(grain="h")
        filled = folding.join(kept.values_list("scope", "key", "stats"))
        assert {place: shown(stats) for place, stats in filled.items()} == {
            place: shown(stats) for place, stats in watched.items()
        }
    now = timezone.now()
    grid = queries.grid(["invocations"], since=now - 3 * DAY, until=now + DAY, step=DAY)
    assert grid.total("", "invocations").total == 300
    assert rollups.roll_up() == 0  # the watch goes on from here
    with pytest.raises(Conflict, match="without calls"):
        storing.fill(calls=300, days=3, seed=1, processes=1)


def measured(row: Invocation, agent: Agent) -> tuple[str, list[str], list[float]]:
    """A call as it is measured where it is made."""
    labels = {
        "agent": row.agent_slug, "version": str(row.version_number), "domain": agent.domain,
        "audience": agent.audience, "client": str(row.client_id), "user": str(row.user_id),
        "endpoint": row.endpoint, "model": row.model, "code": row.error_code,
        "provider": {"third": "filled-b"}.get(row.endpoint, "filled-a"),
    }  # fmt: skip
    numbers = measuring.numbers_of(row)
    if not row.cached:
        numbers["model_duration_seconds"] = row.duration_seconds - 0.012
    text = json.dumps({name: value for name, value in labels.items() if value})
    return text, list(numbers), list(numbers.values())


def shown(stats: dict[str, Stat]) -> dict[str, tuple[int, float, list[float]]]:
    """Counts, sums and some percentiles, to nine digits: sums of floats depend on their order."""
    return {
        name: (
            stat.count, float(f"{stat.total:.9g}"),
            [float(f"{q:.9g}") for q in stat.sketch.quantiles((0, 0.1, 0.5, 0.95, 1))]
            if stat.sketch is not None else [],
        )
        for name, stat in stats.items() if stat.count
    }  # fmt: skip


@pytest.mark.parametrize(("calls", "days"), [(1, 2), (10**9, 90), (10, 0)])
def test_a_size_that_makes_no_sense_is_refused(calls: int, days: int) -> None:
    with pytest.raises(InvalidInput):
        storing.fill(calls=calls, days=days, seed=1)
