"""Sums of a workflow's runs: added to, they come to what all runs together come to."""

from __future__ import annotations

import json
import random
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agents.domain import traffic
from config.access.models import Client
from learning import folding, outcomes, summing
from learning.domain import measures
from learning.models import ArmDay, Feedback, Score, StageSums
from learning.summing import Look
from tests.learning.ground import id_at
from tests.learning.test_summing import ARMS, HOUR, flat
from workflows import doing_again, publishing, run_outcomes
from workflows.models import Run, RunEvent, StepRun

pytestmark = pytest.mark.django_db
NAME = "filing"
SOUND = """
name: filing
title: Filing
access: {start: [professional]}
steps:
  check: {tool: core.echo, with: {value: 1}}
"""
METRICS = [
    {"key": "success", "role": "primary"},
    {"key": "seconds", "cap": 3_000},
    {"key": "cost_usd"},
    {"key": "rating"},
    {"key": "complaint"},
    {"key": "score:quality"},
]
QUANTILES = [*METRICS, {"key": "p90", "measure": "seconds", "quantile": 0.9}]
CAPPED = {"key": "held", "measure": "cost_usd", "cap_percentile": 0.9}


class Runs:
    """Runs that end soon or late, fail and are retried, hang, and are spoken of, in their time."""

    def __init__(self, seed, unit="run"):
        self.rng, self.unit = random.Random(seed), unit
        self.versions = [
            publishing.publish(text)[0] for text in (SOUND, f"{SOUND}description: B\n")
        ]
        self.clients = [
            Client.objects.get_or_create(slug=f"c{n}", defaults={"name": f"C{n}"})[0]
            for n in range(9)
        ]
        self.began = datetime.now(UTC).replace(hour=15, minute=0) - timedelta(days=6)
        self.till = self.began
        self.runs: list[Run] = []

    def start(self, at, **more):
        rng, client = self.rng, self.rng.choice(self.clients)
        made = Run(
            id=id_at(at, rng), client=client, version=rng.choice(self.versions),
            workflow_name=NAME, inputs_digest="", split_epoch=rng.choice([1, 1, 2]),
            is_demo=rng.random() < 0.1, created_at=at, **more,
        )  # fmt: skip
        by = made.pk if self.unit == "run" else client.pk
        made.bucket = traffic.bucket_of("seed", str(by))
        made.save(force_insert=True)
        StepRun.objects.bulk_create(
            StepRun(run=made, key=f"s{n}", kind="tool", state="succeeded",
                    cost_usd=Decimal(rng.randrange(1, 999)) / 1_000) for n in range(2)
        )  # fmt: skip
        self.runs.append(made)
        return made

    def end(self, run, at):
        run.state = self.rng.choice(["succeeded", "succeeded", "failed", "cancelled"])
        run.ended_at = at
        run.save()
        self.work(run)

    def work(self, run):
        """A step's attempt cost something more."""
        step = self.rng.choice(list(run.steps.all()))
        step.cost_usd += Decimal(self.rng.randrange(1, 99)) / 1_000
        step.save()

    def retry(self, run, at):
        """As ``again`` writes it; what steps had cost that are made anew is gone."""
        spent = sum((step.cost_usd for step in run.steps.all()), Decimal(0))
        told = doing_again.told_before([run.pk]).get(run.pk, Decimal(0))
        end = doing_again.end_of(run, max(spent - told, Decimal(0)), spent)
        RunEvent.objects.create(run_id=run.pk, name="run.retried", at=at, detail=end)
        run.state, run.ended_at = "running", None
        run.save()
        if self.rng.random() < 0.5:
            run.steps.filter(key="s0").update(cost_usd=0)

    def go_on(self, hours):
        since, self.till = self.till, self.till + hours * HOUR
        moments = sorted(self.rng.uniform(0.02, 1) for _ in range(self.rng.randrange(8, 30)))
        for moment in moments:
            self.act(since + (self.till - since) * moment)

    def act(self, at):
        rng = self.rng
        what, run = rng.random(), rng.choice(self.runs or [None])
        if run is None or what < 0.4:
            run = self.start(at)
            if rng.random() < 0.2:
                self.end(run, at)
        elif run.ended_at is None:
            self.work(run) if rng.random() < 0.3 else self.end(run, at)
        elif run.state != "succeeded" and what < 0.7:
            self.retry(run, at)
        else:
            self.say(run, at)

    def say(self, run, at):
        rng, model = self.rng, self.rng.choice([Feedback, Score])
        about = {"subject_kind": "run", "subject_id": run.pk}
        model.objects.filter(**about, superseded_at=None).update(superseded_at=at)
        more = (
            {"kind": "rating", "rating": rng.randrange(1, 6), "author_key": "somebody"}
            if model is Feedback
            else {"name": "quality", "value": rng.random(), "source": "human"}
        )
        model.objects.create(id=id_at(at, rng), client_id=run.client_id, **about, **more)

    def source(self, metrics=METRICS, **more):
        given = {"until": self.till, "stage": "all", "epochs": [1, 2], **more}
        return outcomes.Source(
            self.clients[0].pk, self.clients[0].pk, "", arms=ARMS, since=self.began,
            metrics=[measures.metric(raw, i) for i, raw in enumerate(metrics)],
            workflow=NAME, unit=self.unit, started_at=self.began, **given,
        )  # fmt: skip


@contextmanager
def undone():
    """Rows of one example are not there for the next one."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def history_adds_up(seed, unit, maturity, batches, looks):
    world = Runs(seed, unit)
    rng, slow = random.Random(seed + 1), None
    incident = (world.began + 30 * HOUR, world.began + 44 * HOUR)
    metrics = QUANTILES if seed % 2 else METRICS
    for _ in range(looks):
        world.go_on(rng.choice([0.3, 1, 5, 26]))
        until = max(world.till - maturity * HOUR, world.began)
        moved = world.began + 20 * HOUR
        for stage in range(2 if batches else 1):
            source = world.source(
                metrics, until=min(until, moved) if batches and not stage else until,
                stage=f"all {stage}", came_from=moved if stage else None, incidents=[incident],
                hanging_after=timedelta(hours=maturity) or None,
            )  # fmt: skip
            look = Look(world.till)
            if slow is not None and rng.random() < 0.3:  # a sweep that began before another's end
                summing._moved_on(*slow, look)
                slow = None
            # A crash between the sums and the rows that are read leaves the rows to the next.
            added = summing.cells(source, look)
            if rng.random() < 0.7:
                folding.fold(source, look)
            whole = outcomes.cells(source)
            alike(added, whole)
            kept = StageSums.objects.filter(stage=source.stage).first()
            slow = (source, kept) if kept and rng.random() < 0.3 else slow
    folding.fold(source)
    units = sum(ArmDay.objects.filter(stage__endswith=source.stage).values_list("units", flat=True))
    assert units == sum(cell["units"] for cells in whole.values() for cell in cells.values())
    return whole


def alike(found, whole):
    """Sums to the last digit that floats have; quantiles of sketches to a bucket's width."""
    both = flat(found), flat(whole)
    exact, near = ([{k: v for k, v in one.items() if isinstance(k[4], str) is is_exact}
                    for one in both] for is_exact in (True, False))  # fmt: skip
    assert exact[0] == pytest.approx(exact[1], rel=1e-9, abs=1e-9)
    assert near[0] == pytest.approx(near[1], rel=0.02, abs=1e-9)


HISTORIES = given(
    seed=st.integers(0, 10**6), unit=st.sampled_from(["run", "client"]),
    maturity=st.sampled_from([0, 0.5, 30]), batches=st.booleans(),
)  # fmt: skip
PLAIN = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=3, deadline=None, suppress_health_check=PLAIN)
@HISTORIES
@example(seed=3, unit="client", maturity=30, batches=True)
@example(seed=4, unit="run", maturity=0.5, batches=False)
def test_what_is_added_comes_to_the_same_as_all_runs(db, seed, unit, maturity, batches):
    with undone():
        history_adds_up(seed, unit, maturity, batches, looks=7)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=PLAIN)
@HISTORIES
def test_what_is_added_comes_to_the_same_as_all_runs_at_length(db, seed, unit, maturity, batches):
    with undone():
        history_adds_up(seed, unit, maturity, batches, looks=16)


def test_sums_of_runs_stand_and_are_added_to(db):
    whole = history_adds_up(7, "run", 30, False, looks=14)
    assert whole["all 0"] and whole["~all 0"]
    row = StageSums.objects.get()
    assert row.number > 5 and any(cell[0] == "all 0" for cell in row.cells)


def test_a_cap_at_a_percentile_of_runs_stands_once_they_are_many(db, monkeypatch):
    monkeypatch.setattr(summing, "CAPPED_EXACTLY", 20)
    world = Runs(5)
    for _ in range(12):
        world.go_on(5)
        source = world.source([*METRICS, CAPPED])
        folding.fold(source, Look(world.till))
        found = summing.cells(source, Look(world.till))
        row = StageSums.objects.first()
        alike(found, outcomes.cells(source, caps=row.caps if row else None))
    assert row.caps["held"] and row.number > 2


def test_runs_of_the_demo_people_stay_outside(db):
    world = Runs(6)
    for _ in range(6):
        world.go_on(10)
    Run.objects.update(is_demo=True)
    found = summing.cells(world.source(), Look(world.till))
    assert found == {"all": {}, "~all": {}}


def rows_read(work):
    """How many rows the tables' scans went through, by PostgreSQL's own count."""
    asked = []

    def keep(execute, sql, params, many, context):
        if sql.lstrip().startswith(("SELECT", "WITH")):
            asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(keep):
        work()
    total = 0
    with connection.cursor() as cursor:
        for sql, params in asked:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params)
            found = cursor.fetchone()[0]
            (plan,) = json.loads(found) if isinstance(found, str) else found
            total += gone_through(plan["Plan"])
    return total


def gone_through(node):
    rows = 0
    if "Scan" in node["Node Type"] and ("Relation Name" in node or "Index Name" in node):
        each = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        rows = each * node["Actual Loops"]
    return rows + sum(gone_through(one) for one in node.get("Plans", ()))


def test_a_sweep_counts_no_more_units_the_longer_it_goes_on(db, monkeypatch):
    (_, few), (_, many) = two_sweeps(monkeypatch)
    assert 0 < many <= few + 5


@pytest.mark.slow  # how small tables are read hangs on what other tests have left in them
def test_a_sweep_reads_no_more_rows_the_longer_it_goes_on(db, monkeypatch):
    (few, _), (many, _) = two_sweeps(monkeypatch)
    assert many <= 1.3 * few


def two_sweeps(monkeypatch):
    """Rows gone through and units counted by a sweep, and by one behind six times as many runs."""
    world = Runs(8)
    given = {"hanging_after": HOUR}
    yielded = []
    plain = run_outcomes.outcomes

    def counted(*args, **more):
        for one in plain(*args, **more):
            yielded.append(one)
            yield one

    monkeypatch.setattr(run_outcomes, "outcomes", counted)

    def swept():
        """What the next sweep goes through, of a day in which the same happens."""
        summing.cells(world.source(**given), Look(world.till))
        day = random.Random(1)
        for number in range(20):
            at = world.till + day.uniform(0.1, 1.9) * HOUR
            world.end(world.start(at - HOUR / 20), at)
            if number < 3:
                world.say(world.runs[-1], at)
        world.till += 2 * HOUR
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        yielded.clear()
        source = world.source(**given)
        return rows_read(lambda: summing.cells(source, Look(world.till))), len(yielded)

    def go_on(count):
        """So many runs in five hours that went as runs do, some of them tried again."""
        for number in range(count):
            at = world.till + 5 * HOUR * number / count
            run = world.start(at)
            world.end(run, at + HOUR / 60)
            if number % 50 == 0 and run.state != "succeeded":
                world.retry(run, at + HOUR / 30)
                world.end(run, at + HOUR / 20)
            if number % 5 == 0:
                world.say(run, at + HOUR / 15)
        world.till += 7 * HOUR

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # tables of tests are small
        cursor.execute("SET LOCAL enable_bitmapscan = off")
    go_on(60)
    few = swept()
    go_on(300)
    return few, swept()
