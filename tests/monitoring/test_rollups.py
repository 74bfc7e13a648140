"""From a recorded measurement to a number on a dashboard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.db import connection

from config.errors import InvalidInput
from config.partitions import first_id
from monitoring import queries, rollups, tasks
from monitoring.domain.metrics import METRICS
from monitoring.models import Measurement as Row
from monitoring.models import Rollup, RollupMark, RollupWindow
from monitoring.services import Measurement, record
from monitoring.stretch import RANGES, stretch

pytestmark = pytest.mark.django_db
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        return cursor.fetchone()[0]


def measured(at: datetime, seconds: float = 1.0, agent: str = "a", client: str = "c") -> None:
    numbers = {"invocations": 1, "invocation_duration_seconds": seconds}
    record([Measurement(numbers, {"agent": agent, "client": client}, at)])


def calls(since: datetime, until: datetime, **choice: str) -> float:
    return queries.total("invocations", since=since, until=until, **choice).total


def test_what_is_recorded_is_on_the_dashboard_after_one_pass() -> None:
    # In the first minute of an hour the one before would be closed, and made as well.
    at = now().replace(minute=30, second=0, microsecond=0)
    measured(at - MINUTE)
    assert rollups.roll_up(now=at) == 1
    assert calls(at - HOUR, at + MINUTE, scope="agent", key="a") == 1
    assert calls(at - HOUR, at + MINUTE, scope="agent", key="b") == 0


def test_a_second_pass_changes_nothing() -> None:
    at = now()
    for number in range(5):
        measured(at - number * MINUTE)
    rollups.roll_up()
    before = list(Rollup.objects.order_by("grain", "start", "scope", "key").values_list("stats"))
    assert rollups.roll_up() == 0
    assert before == list(
        Rollup.objects.order_by("grain", "start", "scope", "key").values_list("stats")
    )


def test_late_data_lands_in_the_minute_hour_and_day_in_which_it_happened() -> None:
    at = now().replace(minute=30, second=0, microsecond=0) - 3 * DAY
    measured(at)
    rollups.roll_up()
    day = at.replace(hour=0, minute=0)
    assert calls(day, day + DAY) == 1
    assert RollupWindow.objects.filter(grain="d", start=day, is_dirty=False).exists()
    measured(at + MINUTE)  # three days late
    rollups.roll_up()
    assert calls(day, day + DAY) == 2
    assert Rollup.objects.get(grain="d", start=day, scope="all").stats["invocations"] == [2, 2.0]


def test_late_data_keeps_what_its_hour_had_even_when_the_minutes_are_gone() -> None:
    at = now().replace(minute=10, second=0, microsecond=0) - 5 * DAY
    for number in range(4):
        measured(at + number * MINUTE)
    rollups.roll_up()
    rollups.keep_tidy(now=now())
    assert not Rollup.objects.filter(grain="m").exists()
    measured(at + 30 * MINUTE)
    rollups.roll_up()
    day = at.replace(hour=0, minute=0)
    assert calls(day, day + DAY) == 5


def came_when_it_happened() -> None:
    """What is there was written at its own time: no pass looks through it again."""
    for row in Row.objects.all():
        Row.objects.filter(pk=row.pk).update(id=first_id(row.at))


def test_data_of_a_month_ago_keeps_what_its_day_had_even_when_the_hours_are_gone() -> None:
    at = now().replace(hour=9, minute=10, second=0, microsecond=0) - 37 * DAY
    for hours in (0, 1, 5):
        measured(at + hours * HOUR)
    rollups.roll_up()
    came_when_it_happened()
    tasks.tidy()
    assert not Rollup.objects.filter(grain__in=["m", "h"]).exists()
    measured(at + 3 * HOUR)
    rollups.roll_up()
    day = at.replace(hour=0, minute=0)
    assert calls(day, day + DAY) == 4
    tasks.tidy()
    rollups.roll_up()
    assert calls(day, day + DAY) == 4


def test_minutes_of_what_is_looked_at_for_anomalies_are_kept_for_days() -> None:
    call_command("load_monitoring", verbosity=0)
    at = now().replace(minute=30) - 4 * DAY  # the next minute is of the same hour
    measured(at)
    rollups.roll_up()
    came_when_it_happened()
    tasks.tidy()
    assert set(Rollup.objects.filter(grain="m").values_list("scope", flat=True)) == {"all"}
    measured(at + MINUTE)  # its hour is made of all of its minutes all the same
    rollups.roll_up()
    hour = Rollup.objects.get(grain="h", scope="agent").stats["invocations"]
    assert hour == [2, 2.0]


def test_after_a_pause_everything_that_arrived_meanwhile_is_folded() -> None:
    at = now()
    RollupMark.objects.create(pk=rollups.MARK, through=at - 5 * HOUR)
    for back in (1, 60, 150, 290):
        came = at - back * MINUTE
        Row.objects.create(
            id=first_id(came), at=came, labels={}, names=["invocations"], numbers=[1.0]
        )
    rollups.roll_up()
    assert calls(at - 6 * HOUR, at + MINUTE) == 4
    assert RollupMark.objects.get(pk=rollups.MARK).through >= at


def test_a_percentile_over_days_hours_and_minutes_is_the_real_one() -> None:
    at = now()
    draws = np.random.default_rng(3).lognormal(0, 1, 400)
    spread = np.linspace(0.01, 49.9, 400)
    for seconds, hours in zip(draws, spread, strict=True):
        measured(at - timedelta(hours=float(hours)), float(seconds))
    rollups.roll_up()
    assert set(Rollup.objects.values_list("grain", flat=True)) == {"m", "h", "d"}
    stat = queries.total(
        "invocation_duration_seconds", since=at - 50 * HOUR - HOUR, until=at + MINUTE
    )
    assert stat.count == 400
    assert stat.percentile(0.95) == pytest.approx(float(np.quantile(draws, 0.95)), rel=0.01)


def test_a_series_has_a_point_for_every_step_also_where_nothing_was_measured() -> None:
    at = (now() - HOUR).replace(minute=30)  # a minute to the hour would make it six steps
    measured(at - 3 * HOUR)
    measured(at)
    rollups.roll_up()
    points = queries.series("invocations", since=at - 4 * HOUR, until=at + MINUTE, step=HOUR)
    assert [point.stat.total for point in points] == [0, 1, 0, 0, 1]


def test_only_dashboards_rows_are_read_never_measurements() -> None:
    at = now()
    measured(at - 2 * MINUTE)
    rollups.roll_up()
    Row.objects.all().delete()
    assert calls(at - HOUR, at + MINUTE) == 1


def test_one_clients_figures_are_chosen_by_the_beginning_of_their_keys() -> None:
    at = now()
    for client in ("c1", "c2", "c10"):
        measured(at - MINUTE, client=client)
    rollups.roll_up()
    found = queries.totals(
        ["invocations"], scope="client_agent", since=at - HOUR, until=at, prefix="c1|"
    )
    assert list(found) == ["c1|a"]


@pytest.mark.parametrize(
    ("metric", "scope", "back"),
    [("nothing", "all", HOUR), ("invocations", "planet", HOUR), ("invocations", "all", -HOUR)],
)
def test_questions_that_cannot_be_answered_say_why(
    metric: str, scope: str, back: timedelta
) -> None:
    with pytest.raises(InvalidInput):
        queries.total(metric, scope=scope, since=now() - back, until=now())


@pytest.mark.parametrize("numbers", [{"latency": 1.0}])
def test_a_name_that_is_not_on_the_list_is_refused(numbers: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="latency"):
        Measurement(numbers)
    with pytest.raises(ValueError, match="planet"):
        Measurement({"invocations": 1}, {"planet": "x"})


def test_totals_for_prometheus_only_grow_and_count_each_day_once() -> None:
    at = now()
    for days in (5, 6):
        measured(at - days * DAY)
    rollups.roll_up()
    assert rollups.keep_tidy(now=at)["days_totalled"] == 2
    assert rollups.keep_tidy(now=at)["days_totalled"] == 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT total FROM monitoring_metrictotal WHERE scope = 'agent' AND key = 'a' "
            "AND metric = 'invocations'"
        )
        assert cursor.fetchall() == [(2.0,)]


def test_months_are_prepared_ahead_and_dropped_when_their_time_is_over() -> None:
    at = now()
    rollups.keep_tidy(now=at + 70 * DAY)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits "
            "WHERE inhparent = 'monitoring_measurement'::regclass"
        )
        names = {name for (name,) in cursor.fetchall()}
    first = datetime(at.year, at.month, 1, tzinfo=UTC)
    assert f"monitoring_measurement_y{first.year}m{first.month:02d}" not in names
    assert len(names) >= 4


def test_stretches_that_lie_in_one_another_are_read_at_once_and_agree_with_each_alone() -> None:
    at = now()
    for back in (2, 20, 50, 90, 200, 500, 1300, 2000, 4000):
        measured(at - back * MINUTE, seconds=back / 100)
    rollups.roll_up()
    ends = [timedelta(minutes=m) for m in (5, 30, 60, 120, 360, 1440, 4320)]
    names = ["invocations", "invocation_duration_seconds"]
    found = queries.behind(names, ends, until=at, scope="agent", keys=["a"])
    for end in ends:
        alone = queries.totals(names, scope="agent", since=at - end, until=at, keys=["a"])["a"]
        both = found[end]["a"]
        assert both["invocations"].total == alone["invocations"].total
        times = names[1]
        assert both[times].percentile(0.95) == pytest.approx(alone[times].percentile(0.95))
    assert [found[end]["a"]["invocations"].total for end in ends] == [1, 2, 3, 4, 5, 7, 9]


def test_percentiles_are_read_only_of_the_metrics_that_are_ranked() -> None:
    """A page that adds up money does not read a distribution for each day and agent."""
    at, names = now(), ["invocations", "invocation_duration_seconds"]
    for seconds in (1.0, 3.0):
        measured(at - MINUTE, seconds)
    rollups.roll_up()
    whole = queries.totals(names, scope="agent", since=at - HOUR, until=at)["a"]
    added = queries.totals(names, scope="agent", since=at - HOUR, until=at, ranked=())["a"]
    timed, plain = whole[names[1]], added[names[1]]
    assert timed.percentile(0.5) == pytest.approx(2.0, rel=0.01)
    assert plain.percentile(0.5) is None
    assert (plain.count, plain.total, plain.mean) == (timed.count, timed.total, 2.0)


def test_a_rows_document_is_unpacked_once_however_many_metrics_are_asked_for(
    django_assert_max_num_queries: Any,
) -> None:
    """Rows of busy agents are compressed: an arrow a metric would unpack each of them each time."""
    at = now()
    measured(at - MINUTE)
    rollups.roll_up()
    with django_assert_max_num_queries(3) as asked:
        queries.totals(list(METRICS), scope="agent", since=at - HOUR, until=at)
    read = asked.captured_queries[-1]["sql"]
    assert "monitoring_rollup," in read
    assert read.count("stats") == 1


@pytest.mark.parametrize("name", list(RANGES))
def test_a_table_with_its_courses_says_what_the_two_say_apart(name: str) -> None:
    at = now()
    for agent, days in (("a", (0, 1, 2, 8, 40)), ("b", (0, 3))):
        for day in days:
            measured(at - day * DAY - MINUTE, seconds=1.0 + day, agent=agent)
    rollups.roll_up()
    when = stretch(name, now=at)
    given: dict[str, Any] = {"scope": "agent", "since": when.since, "until": when.until}
    for clients in (None, ["c"]):
        totals, course = queries.with_course(
            ["invocations", "invocation_duration_seconds"], "invocations", step=when.step,
            clients=clients, **given,
        )  # fmt: skip
        assert totals == queries.totals(
            ["invocations", "invocation_duration_seconds"], clients=clients, **given
        )
        step = max(when.step, DAY) if when.length > 2 * DAY else when.step
        by_step = queries.courses("invocations", step=step, clients=clients, **given)
        assert {key: [bool(one) for one in row] for key, row in course.items()} == {
            key: [bool(one) for one in row] for key, row in by_step.items()
        }
        assert {key: sum(filter(None, row)) for key, row in course.items()} == {
            key: stats["invocations"].total for key, stats in totals.items()
        }


def test_one_clients_keys_are_chosen_by_how_they_begin_behind_the_client() -> None:
    at = now()
    for client, workflow, step in (("c", "one", "a"), ("c", "one2", "a"), ("d", "one", "b")):
        labels = {"client": client, "workflow": workflow, "step": step}
        record([Measurement({"steps": 1.0}, labels, at - MINUTE)])
    rollups.roll_up()
    given: dict[str, Any] = {"scope": "step", "since": at - HOUR, "until": at + MINUTE}
    assert set(queries.totals(["steps"], prefix="one|", **given)) == {"one|a", "one|b"}
    assert set(queries.totals(["steps"], prefix="one|", clients=["c"], **given)) == {"one|a"}
