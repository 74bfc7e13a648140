"""A sweep of experiments over stored calls: ``python -m tests.benchmarks.sweeping CALLS``.

A database of its own gets experiments of fourteen days with so many calls each: one by run, each
call a unit, one by user, each of whom calls twenty times, one by run with a percentile and a cap at
one, and a bandit with a batch a day; and one on a whole workflow gets a tenth as many runs of three
steps each, one in a hundred of them retried. Told are the seconds to fold all of it, as every sweep
did before sums stood, and those of a sweep beside sums that stand, its analysis with it. One JSON
document on standard output.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from config import launch

DAYS, CALLS_A_USER, CALLS_A_RUN, ROUNDS = 14, 20, 10, 5
METRICS = [
    {"key": "success", "role": "primary"},
    {"key": "seconds_per_call", "role": "guardrail", "margin": 0.2},
    {"key": "cost_usd_per_call", "role": "guardrail", "margin": 0.2},
]
PERCENTILES = [
    {"key": "p95", "measure": "seconds", "quantile": 0.95, "role": "guardrail", "margin": 0.2},
    {"key": "held", "measure": "cost_usd", "cap_percentile": 0.99},
]
OF_RUNS = [
    {"key": "success", "role": "primary"},
    {"key": "seconds", "role": "guardrail", "margin": 0.2},
    {"key": "cost_usd", "role": "guardrail", "margin": 0.2},
]
TEXT = """
name: swept
title: Swept
access: {start: [professional]}
steps:
  check: {tool: core.echo, with: {value: 1}}
"""
# Rows as they are stored: the id tells when the call was begun, the bucket which arm answered.
_FILL = """
    INSERT INTO agents_invocation
    SELECT r.* FROM (
        SELECT n, %(since)s::timestamptz + (n - 0.5) / %(calls)s * %(span)s::interval AS at,
               CASE WHEN %(units)s = 0 THEN n ELSE n * 7919 %% %(units)s END AS who
        FROM generate_series(1, %(calls)s::bigint) AS n
    ) c
    CROSS JOIN LATERAL (SELECT who * 2654435761 %% 10000 AS bucket) b
    CROSS JOIN (SELECT i AS made FROM agents_invocation i WHERE i.id = %(like)s) t
    CROSS JOIN LATERAL jsonb_populate_record(t.made, jsonb_build_object(
        'id', (lpad(to_hex((extract(epoch FROM c.at) * 1000)::bigint), 12, '0')
               || lpad(to_hex(n), 20, '0'))::uuid,
        'unit', 'unit-' || who, 'bucket', bucket, 'started_at', c.at,
        'split_epoch', %(epoch)s + (n - 1) * %(batches)s / %(calls)s,
        'duration_seconds', 0.5 + 2.0 * (n * 7919 %% 1000) / 1000,
        'version_id', CASE WHEN bucket < 5000 THEN %(new)s ELSE %(old)s END,
        'state', CASE WHEN n * 31 %% 10 = 0 THEN 'failed' ELSE 'succeeded' END
    )) r
"""
_FILL_RUNS = """
    INSERT INTO workflows_run
    SELECT r.* FROM (
        SELECT n, %(since)s::timestamptz + (n - 0.5) / %(runs)s * %(span)s::interval AS at
        FROM generate_series(1, %(runs)s::bigint) AS n
    ) c
    CROSS JOIN LATERAL (SELECT n * 2654435761 %% 10000 AS bucket) b
    CROSS JOIN (SELECT i AS made FROM workflows_run i WHERE i.id = %(like)s) t
    CROSS JOIN LATERAL jsonb_populate_record(t.made, jsonb_build_object(
        'id', (lpad(to_hex((extract(epoch FROM c.at) * 1000)::bigint), 12, '0')
               || lpad(to_hex(n), 20, '0'))::uuid,
        'bucket', bucket, 'created_at', c.at, 'split_epoch', %(epoch)s,
        'ended_at', least(c.at + (30 + n * 7919 %% 300) * interval '1 second', now()),
        'version_id', CASE WHEN bucket < 5000 THEN %(new)s ELSE %(old)s END,
        'state', CASE WHEN n * 31 %% 10 = 0 THEN 'failed' ELSE 'succeeded' END
    )) r
"""
_FILL_STEPS = """
    INSERT INTO workflows_steprun
    SELECT s.* FROM workflows_run r CROSS JOIN generate_series(1, 3) AS n
    CROSS JOIN (SELECT i AS made FROM workflows_steprun i WHERE i.run_id = %(like)s LIMIT 1) t
    CROSS JOIN LATERAL jsonb_populate_record(t.made, jsonb_build_object(
        'id', gen_random_uuid(), 'run_id', r.id, 'key', 's' || n, 'cost_usd', 0.01 * n
    )) s
    WHERE r.split_epoch IS NOT NULL
"""
_FILL_RETRIES = """
    INSERT INTO workflows_runevent (run_id, key, item, attempt, name, detail, actor, at)
    SELECT r.id, '', -1, 0, 'run.retried', jsonb_build_object(
        'steps', 1, 'state', 'failed', 'ended_at', r.ended_at - interval '20 seconds',
        'cost_usd', '0.03', 'spent_usd', '0.03', 'seconds', 10
    ), 'bench', r.ended_at - interval '10 seconds'
    FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM workflows_run
          WHERE split_epoch IS NOT NULL) r
    WHERE n %% 100 = 0
"""


def main(calls: int) -> dict[str, float]:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    found: dict[str, float] = {}
    for name, units, more in (
        ("by_run", 0, {}),
        ("by_user", calls // CALLS_A_USER, {"unit": "user"}),
        ("with_percentiles", 0, {"metrics": [*METRICS, *PERCENTILES]}),
        ("of_a_bandit", 0, {"metrics": METRICS[:1], "test": {"kind": "bandit"}, "batch_hours": 24}),
    ):
        experiment = _filled(name.replace("_", "-"), calls=calls, units=units, **more)
        found |= {f"{key}_{name}": value for key, value in _measured(experiment).items()}
    experiment = _filled_with_runs(calls // CALLS_A_RUN)
    found |= {f"{key}_of_a_workflow": value for key, value in _measured(experiment).items()}
    return found


def _filled_with_runs(runs: int) -> Any:
    from django.db import connection
    from django.utils import timezone

    from config.access.models import Client
    from learning import experiments, trials
    from learning.models import Experiment
    from workflows import publishing
    from workflows.models import Run, StepRun, WorkflowSplit

    old, new = (publishing.publish(text)[0] for text in (TEXT, f"{TEXT}description: Better.\n"))
    row = experiments.create(
        caller=trials.machine(), workflow=old.workflow.name, name="of a workflow",
        variants=[{"version": "1", "key": "control", "is_control": True},
                  {"version": "2", "key": "candidate"}],
        metrics=OF_RUNS,
    )  # fmt: skip
    experiments.start(caller=trials.machine(), experiment_id=row.pk)
    now = timezone.now()
    since = now - timedelta(days=DAYS)
    Experiment.objects.filter(pk=row.pk).update(started_at=since)
    like = Run.objects.create(
        client=Client.objects.get(is_firm=True), version=old, workflow_name=old.workflow.name,
        state="succeeded", inputs_digest="", ended_at=since, created_at=since - timedelta(days=30),
    )  # fmt: skip
    StepRun.objects.create(run=like, key="check", kind="tool", state="succeeded")
    epoch = WorkflowSplit.objects.get(workflow=old.workflow, closed_at=None).epoch
    with connection.cursor() as cursor:
        given = {"since": since, "span": now - since, "runs": runs, "like": like.pk, "epoch": epoch,
                 "old": old.pk, "new": new.pk}  # fmt: skip
        for fill in (_FILL_RUNS, _FILL_STEPS, _FILL_RETRIES):
            cursor.execute(fill, given)
        cursor.execute("VACUUM ANALYZE workflows_run, workflows_steprun, workflows_runevent")
    return Experiment.objects.get(pk=row.pk)


def _filled(slug: str, *, calls: int, units: int, **more: Any) -> Any:
    from django.db import connection
    from django.utils import timezone

    from agents import services as agents
    from agents.models import Agent, Invocation, TrafficSplit
    from config.access.models import Client
    from learning import experiments, trials
    from learning.experiments import batches
    from learning.models import Experiment

    firm, _ = Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )
    old = agents.open_agent(slug, prompt="Answer.")
    new = agents.publish_prompt(slug, "Answer better.")
    row = experiments.create(
        caller=trials.machine(), agent_slug=slug, name=slug,
        variants=[{"version": str(old), "key": "control", "is_control": True},
                  {"version": str(new), "key": "candidate"}],
        **{"metrics": METRICS, **more},
    )  # fmt: skip
    experiments.start(caller=trials.machine(), experiment_id=row.pk)
    now = timezone.now()
    since = now - timedelta(days=DAYS)
    Experiment.objects.filter(pk=row.pk).update(started_at=since)
    epoch = TrafficSplit.objects.get(agent__slug=slug, closed_at=None).epoch
    looks = DAYS if row.test.get("kind") == "bandit" else 1
    for number in range(1, looks):
        row = Experiment.objects.get(pk=row.pk)
        ranges = {arm.key: arm.ranges for arm in row.variants.all()}
        began = since + number * timedelta(days=1)
        batches.begin(row, {"began_at": began.isoformat(), "ranges": ranges}, event="looked",
                      after={})  # fmt: skip
    like = Invocation.objects.create(
        client_id=firm.pk, agent_id=Agent.objects.get(slug=slug).pk, agent_slug=slug,
        version_id=old, version_number=1, state="succeeded", cost_usd="0.01",
        duration_seconds=1.2, started_at=since - timedelta(days=30),
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_FILL, {
            "since": since, "span": now - since, "calls": calls, "units": units, "like": like.pk,
            "epoch": epoch, "batches": looks, "old": old, "new": new,
        })  # fmt: skip
        cursor.execute("VACUUM ANALYZE agents_invocation")
    return Experiment.objects.get(pk=row.pk)


def _measured(experiment: Any) -> dict[str, float]:
    from learning import experiments, folding
    from learning.experiments import judging, ripening
    from learning.models import ArmDay

    sources = list(judging._sources(experiment, ripening.counted_until(experiment), []))
    whole = _seconds(lambda: [folding.cells(one) for one in sources], rounds=1)
    first = _seconds(lambda: experiments.refresh(experiment), rounds=1)
    units = sum(ArmDay.objects.filter(owner_id=experiment.pk).values_list("units", flat=True))
    every = [cell for one in sources for cell in folding.cells(one)[one.stage].values()]
    assert units == sum(cell["units"] for cell in every)
    swept = _seconds(lambda: experiments.refresh(experiment), rounds=ROUNDS)
    return {"units": units, "whole": whole, "first": first, "sweep": swept}


def _seconds(work: Callable[[], Any], *, rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return round(statistics.median(taken), 3)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    # As a command that fills a database which must not be an installation's.
    with launch.services_for(["manage.py", "simulate_learning"]):
        print(json.dumps(main(int(sys.argv[1]))))
