"""Rows behind figures of workflows, quality and agents elsewhere, in proportion to the calls.

The database draws them itself: runs with a few kilobytes of inputs, their steps, approvals,
retries, corrections and traces, over the same days as the calls.
"""

from __future__ import annotations

import psycopg

from tests.benchmarks import filling_windows

# So many calls stand beside one run, one correction, one trace; and a run has so many steps.
RUN_EVERY, CORRECTION_EVERY, TRACE_EVERY, STEPS = 20, 200, 100, 7
_UUID7 = """
CREATE FUNCTION pg_temp.uuid7(at timestamptz) RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
        || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid
$$
"""
_CAST = """
CREATE TEMP TABLE cast_of AS SELECT
    ARRAY(SELECT id FROM access_client WHERE slug LIKE 'filled-%' ORDER BY slug) AS clients,
    ARRAY(SELECT id FROM access_user WHERE username LIKE 'filled.%' ORDER BY username) AS users,
    ARRAY(SELECT slug FROM agents_agent ORDER BY slug) AS agents,
    ARRAY(SELECT id FROM workflows_workflowversion WHERE is_current ORDER BY id) AS versions,
    ARRAY(SELECT workflow_id FROM workflows_workflowversion WHERE is_current ORDER BY id)
        AS workflows
"""
_RUNS = """
CREATE TEMP TABLE drawn AS
SELECT n, pg_temp.uuid7(at) AS id, at, at + random() * interval '20 minutes' AS ended_at,
    c.clients[1 + n % cardinality(c.clients)] AS client,
    c.users[1 + n % cardinality(c.users)] AS person,
    c.versions[1 + n % cardinality(c.versions)] AS version,
    c.workflows[1 + n % cardinality(c.versions)] AS workflow, n % 25 = 0 AS failed
FROM cast_of c, generate_series(1, %(runs)s) AS n,
    LATERAL (SELECT now() - (random() * %(days)s + n * 0) * interval '1 day' AS at) AS t
"""
_INSERT_RUNS = """
INSERT INTO workflows_run (id, client_id, version_id, workflow_name, state, priority, inputs,
    inputs_digest, started_by_id, within, concurrency_key, is_demo, created_at, started_at,
    ended_at)
SELECT d.id, d.client, d.version, w.name, CASE WHEN d.failed THEN 'failed' ELSE 'succeeded' END,
    'default', jsonb_build_object('note', repeat(md5(d.n::text), 96)), md5(d.n::text), d.person,
    '{}', '', false, d.at, d.at, d.ended_at
FROM drawn d JOIN workflows_workflow w ON w.id = d.workflow
"""
_STEPS = """
INSERT INTO workflows_steprun (id, run_id, key, kind, item, iteration, state, is_plain, is_light,
    is_repeatable, queue, needs_left, needs_open, attempt, deliveries, cost_usd, output, queued_at,
    started_at, ended_at)
SELECT pg_temp.uuid7(d.at), d.id, 'step_' || k, CASE WHEN k = 7 THEN 'approval' ELSE 'tool' END, -1,
    CASE WHEN k = 6 AND d.n % 10 = 0 THEN 2 ELSE 1 END, 'succeeded', true, false, true, 'default',
    0, 0, CASE WHEN (d.n + k) % 20 = 0 THEN 2 ELSE 1 END, 1, 0,
    jsonb_build_object('text', repeat(md5((d.n + k)::text), 32)), d.at,
    d.at + random() * interval '3 seconds',
    d.at + interval '3 seconds' + random() * interval '9 min'
FROM drawn d, generate_series(1, %(steps)s) AS k
"""
_APPROVALS = """
INSERT INTO workflows_approval (id, client_id, run_id, step_id, turn, level, levels, role,
    forbid_self, state, reason, decided_by_id, decided_at, told, escalates_to, created_at)
SELECT pg_temp.uuid7(d.at), d.client, d.id, s.id, 1, 1, 1, 'partner', false,
    CASE WHEN d.n % 30 = 0 THEN 'rejected' ELSE 'approved' END, '', d.person, s.ended_at, '', '',
    d.at
FROM drawn d JOIN workflows_steprun s ON s.run_id = d.id AND s.kind = 'approval' WHERE d.n % 5 = 0
"""
_RETRIES = """
INSERT INTO workflows_runevent (run_id, key, item, attempt, name, detail, actor, at)
SELECT d.id, '', -1, 0, 'run.retried', jsonb_build_object('steps', 1, 'state', 'failed',
    'ended_at', to_char(d.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
    'seconds', 1.5, 'cost_usd', '0.001'), '', d.at + interval '1 minute'
FROM drawn d WHERE d.n % 100 = 0
"""
_CORRECTIONS = """
INSERT INTO learning_feedback (id, client_id, subject_kind, subject_id, agent_slug, unit, kind,
    source, author_key, text, corrected_output, reason, category, category_by, created_at)
SELECT pg_temp.uuid7(at), c.clients[1 + n % cardinality(c.clients)], 'invocation',
    gen_random_uuid(), c.agents[1 + n % cardinality(c.agents)], '', 'correction', 'user', n::text,
    '', repeat(md5(n::text), 32), '', '', '', at
FROM cast_of c, generate_series(1, %(corrections)s) AS n,
    LATERAL (SELECT now() - (random() * %(days)s + n * 0) * interval '1 day' AS at) AS t
"""
_TRACES = """
INSERT INTO monitoring_externaltrace (id, client_id, trace_id, agent, asked, state, is_error,
    started_at, ended_at, arrived_at, weight, spans)
SELECT pg_temp.uuid7(at), c.clients[1 + n % cardinality(c.clients)], md5(n::text),
    'external:' || (n % 20), ARRAY['external:m-' || n % 3, 'external:e-' || n % 5], 'kept',
    n % 10 = 0, at - interval '2 seconds', at, at, 10,
    jsonb_build_object('a', repeat(md5(n::text), 64))
FROM cast_of c, generate_series(1, %(traces)s) AS n,
    LATERAL (SELECT now() - (random() * 30 + n * 0) * interval '1 day' AS at) AS t
"""
TABLES = ("workflows_run", "workflows_steprun", "workflows_approval", "workflows_runevent",
          "learning_feedback", "monitoring_externaltrace")  # fmt: skip


def fill(url: str, *, calls: int, days: int) -> dict[str, int]:
    """Draw what belongs to so many calls; rows by table. Calls and their people are there."""
    sizes = {"runs": calls // RUN_EVERY, "corrections": calls // CORRECTION_EVERY,
             "traces": calls // TRACE_EVERY, "days": days, "steps": STEPS}  # fmt: skip
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("SET synchronous_commit = off")
        for statement in (_UUID7, _CAST, _RUNS, _INSERT_RUNS, _STEPS, _APPROVALS, _RETRIES,
                          _CORRECTIONS, _TRACES):  # fmt: skip
            for name, size in sizes.items():  # numbers of ours; % is an operator here
                statement = statement.replace(f"%({name})s", str(size))
            database.execute(statement)
        filling_windows.fill(database, calls=calls, days=days)
        for table in TABLES:
            database.execute(f"VACUUM ANALYZE {table}")
        return {table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in TABLES}  # fmt: skip
