"""Windows of runs, steps and conversations beside those of the calls, and what went wrong.

The closed windows that ``fill_record`` wrote get the metrics that calls do not have; conversations
with their turns, incidents with alerts and timelines, and security events are drawn over the same
days, in proportion to the calls.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg

from monitoring.domain.rollups import fold

# So many calls stand beside one run, one conversation, one security event; incidents are by day.
RUN_EVERY, TALK_EVERY, EVENT_EVERY, INCIDENTS_A_DAY, STEPS = 20, 50, 500, 4, 7
# Observations that stand for all of one window and key: sketches of more are as large.
MOST = 25
_HOURS = {"h": timedelta(hours=1), "d": timedelta(days=1)}
_UPSERT = """
INSERT INTO monitoring_rollup (grain, start, scope, key, stats)
SELECT grain, start, scope, key, stats FROM more
ON CONFLICT (grain, scope, key, start)
DO UPDATE SET stats = monitoring_rollup.stats || excluded.stats
"""
_TALKS = """
CREATE TEMP TABLE talks AS
SELECT n, pg_temp.uuid7(at) AS id, at, c.clients[1 + n % cardinality(c.clients)] AS client,
    c.users[1 + n % cardinality(c.users)] AS person, a.id AS agent, a.slug
FROM cast_of c, generate_series(1, %(talks)s) AS n,
    LATERAL (SELECT now() - (random() * %(days)s + n * 0) * interval '1 day' AS at) AS t,
    LATERAL (SELECT id, slug FROM agents_agent ORDER BY slug OFFSET n % 40 LIMIT 1) AS a;
INSERT INTO agents_conversation (id, client_id, agent_id, agent_slug, user_id, channel,
    external_id, title, summary, state, hand_over_reason, handed_over_at, quality_ratio, intent,
    measured_at, is_abandoned, created_at, last_turn_at)
SELECT id, client, agent, slug, person, CASE WHEN n % 3 = 0 THEN 'chat' ELSE 'api' END, '',
    'What was booked in March?', '', CASE WHEN n % 20 = 0 THEN 'handed_over' ELSE 'open' END, '',
    CASE WHEN n % 20 = 0 THEN at END, 0.5 + random() / 2, 'intent-' || n % 12,
    at + interval '1 day', n % 15 = 0, at, at + interval '9 minutes' FROM talks;
INSERT INTO agents_turn (id, client_id, conversation_id, number, role, text, tokens, created_at)
SELECT gen_random_uuid(), client, id, k, CASE k % 2 WHEN 1 THEN 'user' ELSE 'assistant' END,
    repeat(md5((n + k)::text), 8), 80, at + k * interval '1 minute'
FROM talks, generate_series(1, 4) AS k
"""
_INCIDENTS = """
CREATE TEMP TABLE bad AS
SELECT n, pg_temp.uuid7(at) AS id, at, n > %(incidents)s - 3 AS is_open,
    'agent:' || c.agents[1 + n % cardinality(c.agents)] AS cause
FROM cast_of c, generate_series(1, %(incidents)s) AS n,
    LATERAL (SELECT CASE WHEN n > %(incidents)s - 3 THEN now() - n %% 7 * interval '1 minute'
        ELSE now() - (0.1 + random() * %(days)s + n * 0) * interval '1 day' END AS at) AS t;
INSERT INTO monitoring_incident (id, cause, title, domain, severity, state, opened_at,
    acknowledged_at, acknowledged_by, resolved_at, escalation_level, told_alerts, told_severity,
    impact, summary)
SELECT DISTINCT ON (CASE WHEN is_open THEN cause ELSE id::text END)
    id, cause, 'Too many failures: ' || replace(cause, ':', ' '), '', 'high',
    CASE WHEN is_open THEN 'open' ELSE 'resolved' END, at, NULL, '',
    CASE WHEN NOT is_open THEN at + interval '40 minutes' END, 0, 3, 'high',
    '{"users": 9, "clients": 2, "runs": 0, "invocations": 400, "errors": 120, "usd": "0.1"}', ''
FROM bad;
INSERT INTO monitoring_alert (id, rule_id, incident_id, scope, key, state, severity, value,
    baseline, why, detail, pending_since, clear_since, fired_at, resolved_at, resolved_by,
    is_silenced)
SELECT pg_temp.uuid7(b.at), r.id, b.id, 'agent', substr(b.cause, 7) || CASE r.place
        WHEN 1 THEN '' ELSE '-' || b.n END,
    CASE WHEN b.is_open THEN 'firing' ELSE 'resolved' END, 'high', 0.3, 0.05, '',
    '{"errors": []}', b.at, NULL, b.at,
    CASE WHEN NOT b.is_open THEN b.at + interval '40 minutes' END, 'system:rules', false
FROM bad b JOIN monitoring_incident i ON i.id = b.id, LATERAL (
    SELECT id, row_number() OVER (ORDER BY slug) AS place FROM monitoring_alertrule
    WHERE scope = 'agent' ORDER BY slug LIMIT 3) AS r
ON CONFLICT DO NOTHING;
INSERT INTO monitoring_incidentevent (incident_id, at, name, actor, detail)
SELECT i.id, i.opened_at + k * interval '9 minutes',
    (ARRAY['opened', 'grew', 'worsened', 'resolved'])[k], '', '{"alerts": 3, "rules": []}'
FROM monitoring_incident i, generate_series(1, 4) AS k
"""
_EVENTS = """
INSERT INTO monitoring_securityevent (id, at, kind, severity, actor, target, client_id, user_id,
    detail)
SELECT pg_temp.uuid7(at), at,
    (ARRAY['injection', 'personal_data', 'denied', 'key_misuse', 'unusual'])[1 + n % 5],
    (ARRAY['low', 'medium', 'high'])[1 + n % 3], 'user:' || n % 90,
    'agent:' || c.agents[1 + n % cardinality(c.agents)],
    c.clients[1 + n % cardinality(c.clients)], c.users[1 + n % cardinality(c.users)], '{}'
FROM cast_of c, generate_series(1, %(events)s) AS n,
    LATERAL (SELECT now() - (random() * %(days)s + n * 0) * interval '1 day' AS at) AS t
"""
TABLES = ("monitoring_rollup", "agents_conversation", "agents_turn", "monitoring_incident",
          "monitoring_alert", "monitoring_incidentevent", "monitoring_securityevent")  # fmt: skip


def fill(database: psycopg.Connection[Any], *, calls: int, days: int) -> None:
    """On the connection that has drawn the cast (``filling_lists``)."""
    sizes = {"talks": calls // TALK_EVERY, "events": calls // EVENT_EVERY, "days": days,
             "incidents": days * INCIDENTS_A_DAY}  # fmt: skip
    for text in (_TALKS, _INCIDENTS, _EVENTS):
        for name, size in sizes.items():  # numbers of ours; % is an operator here
            text = text.replace(f"%({name})s", str(size))
        for statement in text.replace("%%", "%").split(";\n"):
            database.execute(statement)
    _windows(database, calls, days)
    for table in TABLES:
        database.execute(f"VACUUM ANALYZE {table}")


def _windows(database: psycopg.Connection[Any], calls: int, days: int) -> None:
    draw = random.Random(5)
    closed = database.execute(
        "SELECT grain, start FROM monitoring_rollupwindow "
        "WHERE grain IN ('h', 'd') AND NOT is_dirty ORDER BY 1, 2"
    ).fetchall()
    clients = [str(one) for one in database.execute("SELECT clients FROM cast_of").fetchone()[0]]
    names = [name for (name,) in database.execute(
        "SELECT name FROM workflows_workflow ORDER BY name")]  # fmt: skip
    agents = database.execute("SELECT slug, domain FROM agents_agent ORDER BY slug LIMIT 40")
    talking = agents.fetchall()
    database.execute("CREATE TEMP TABLE more (grain text, start timestamptz, scope text, key text, "
                     "stats jsonb)")  # fmt: skip
    with database.cursor() as cursor, cursor.copy("COPY more FROM STDIN") as copy:
        for grain, start in closed:
            share = _HOURS[grain] / timedelta(days=days)
            rows = [
                *_of_runs(draw, names, clients, share * calls / RUN_EVERY),
                *_of_talks(draw, talking, clients, share * calls / TALK_EVERY),
            ]
            for (scope, key), metrics in fold(rows).items():
                stats = {name: stat.as_json() for name, stat in metrics.items()}
                copy.write_row((grain, start, scope, key[:200], json.dumps(stats)))
    database.execute(_UPSERT)


Row = tuple[str, list[str], list[float]]


def _of_runs(
    draw: random.Random, names: list[str], clients: list[str], runs: float
) -> Iterator[Row]:
    for workflow in names:
        wanted = runs / len(names)
        seen = max(1, min(MOST, round(wanted)))
        weight = wanted / seen
        labels = {"workflow": workflow, "client": draw.choice(clients)}
        failed = float(draw.random() < 0.1)
        numbers: dict[str, list[float]] = {
            "runs": [weight] * seen, "run_errors": [weight * failed / 5] * seen,
            "run_duration_seconds": [draw.lognormvariate(5, 1) for _ in range(seen)],
            "run_cost_usd": [draw.lognormvariate(-4, 1) for _ in range(seen)],
            "automated_ratio": [0.9] * seen, "approvals": [weight], "approvals_given": [weight],
        }  # fmt: skip
        yield _row(labels, numbers)
        for step in range(1, STEPS + 1):
            taken = {
                "steps": [weight] * seen, "step_retries": [weight / 20], "rework": [weight / 90],
                "step_duration_seconds": [draw.lognormvariate(2, 1) for _ in range(seen)],
                "queue_wait_seconds": [draw.expovariate(2) for _ in range(seen)],
            }  # fmt: skip
            yield _row({**labels, "step": f"step_{step}", "queue": "default"}, taken)


def _of_talks(
    draw: random.Random, agents: list[tuple[str, str]], clients: list[str], talks: float
) -> Iterator[Row]:
    for agent, domain in agents:
        wanted = talks / len(agents)
        labels = {"agent": agent, "domain": domain, "client": draw.choice(clients),
                  "channel": draw.choice(("api", "chat")), "audience": "internal",
                  "intent": f"intent-{draw.randrange(12)}"}  # fmt: skip
        numbers = {
            "conversations": [wanted], "conversation_turns": [2 * wanted],
            "conversations_ended": [wanted], "conversations_abandoned": [wanted / 15],
            "escalations": [wanted / 20], "conversations_handed_over": [wanted / 20],
            "conversation_quality_ratio": [0.5 + draw.random() / 2 for _ in range(5)],
        }  # fmt: skip
        yield _row(labels, numbers)


def _row(labels: dict[str, str], numbers: dict[str, list[float]]) -> Row:
    names = [name for name, values in numbers.items() for _ in values]
    return json.dumps(labels), names, [one for values in numbers.values() for one in values]
