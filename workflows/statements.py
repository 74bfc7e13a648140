"""The engine's statements: one per transition, each says what it won.

CLAIM, FINISH, RETRY and RENEW name the claim's token, so a late writer changes nothing. FINISH
locks the rows it decrements in id order, because two finishes with two orders would deadlock.
Times are the database's; its clock is the only one that counts. ``now()`` is when the transaction
began, perhaps long before it got its locks, so ends and what begins with them are told by
``clock_timestamp()``: nothing starts before the last of its needs ended, nor ends before its parts.
"""

from __future__ import annotations

# Losing this mark in a crash only means that the step is given out again, so the commit does not
# wait for the disk. What a step did (FINISH) always does.
CLAIM = """
WITH quick AS (SELECT set_config('synchronous_commit', 'off', true)),
claimed AS (
    UPDATE workflows_steprun s
    SET state = 'running', attempt = s.attempt + 1, token = %(token)s,
        lease_until = now() + %(lease)s, wake_at = NULL, started_at = now()
    FROM quick, workflows_run r
    WHERE s.id = ANY(%(ids)s) AND s.state = 'queued' AND r.id = s.run_id
      AND (r.state = 'running' OR (s.kind = 'compensate' AND r.state IN ('failing', 'cancelling')))
    RETURNING s.id, s.run_id, s.key, s.item, s.iteration, s.kind, s.attempt, s.deliveries,
              s.value, s.queued_at, s.started_at
), noted AS (
    INSERT INTO workflows_runevent (run_id, step_id, key, item, attempt, name, actor)
    SELECT run_id, id, key, item, attempt, 'step.started', %(worker)s FROM claimed
)
SELECT id, run_id, key, item, iteration, kind, attempt, deliveries, value::text,
       extract(epoch FROM started_at - queued_at)
FROM claimed ORDER BY key, item
"""

# Everything a step needs to know of its run, once a claim.
RUN_OF = """
SELECT version_id, client_id, inputs::text, started_by_id, is_demo, deadline_at, budget_usd,
       created_at, workflow_name, priority, extract(epoch FROM deadline_at - now())::float8,
       coalesce(root_id, id)
FROM workflows_run WHERE id = %(run)s
"""

OUTPUTS = """
SELECT DISTINCT ON (key) key, state, output::text, error::text
FROM workflows_steprun
WHERE run_id = %(run)s AND key = ANY(%(keys)s) AND item = -1
ORDER BY key, iteration DESC
"""

_OUTCOME = """
WITH outcome AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(states)s::text[], %(outputs)s::jsonb[],
        %(errors)s::jsonb[], %(inputs)s::jsonb[], %(costs)s::numeric[], %(calls)s::uuid[])
        AS o(id, state, output, error, input, cost_usd, invocation_id)
), ended AS (
    UPDATE workflows_steprun s
    SET state = o.state, output = o.output, error = o.error,
        input = coalesce(o.input, s.input), cost_usd = s.cost_usd + o.cost_usd,
        invocation_id = coalesce(o.invocation_id, s.invocation_id),
        lease_until = NULL, wake_at = NULL, ended_at = clock_timestamp()
    FROM outcome o
    WHERE s.id = o.id AND {guard}
    RETURNING s.id, s.run_id, s.key, s.item, s.attempt, s.state, s.parent_id, s.error
), noted AS (
    INSERT INTO workflows_runevent (run_id, step_id, key, item, attempt, name, detail, actor)
    SELECT run_id, id, key, item, attempt, 'step.' || state,
           CASE WHEN error IS NOT NULL THEN jsonb_build_object('code', error->'code') END,
           %(worker)s
    FROM ended
)"""

MOVED = """s.id, s.run_id, s.key, s.item, s.iteration, s.kind, s.state, s.needs_left,
              s.needs_open, s.queue, s.is_light, s.attempt"""

_ENDED_ROWS = """
SELECT 'ended', id, run_id, key, item, 0, '', state, 0, 0, '', false, attempt, parent_id
FROM ended
UNION ALL
SELECT 'join', *, NULL::uuid FROM decremented
"""

# A join is decremented by all of its ended needs at once, in id order. One that is ready and
# plain is queued here, or, if it is light and there is room, taken on by this worker at once under
# its own token (`next_token`); others come back for `workflows.advance` to decide.
_STEPS = """, met AS (
    SELECT e.run_id, edge.key, count(*) AS ended, sum(edge.met) AS met
    FROM unnest(%(sources)s::uuid[], %(targets)s::text[], %(mets)s::int[]) AS edge(id, key, met)
    JOIN ended e ON e.id = edge.id
    GROUP BY e.run_id, edge.key
), locked AS (
    SELECT s.id, s.is_light AND s.is_plain AS is_light, met.ended, met.met
    FROM workflows_steprun s JOIN met ON met.run_id = s.run_id AND met.key = s.key
    WHERE s.item = -1 AND s.state = 'pending'
    ORDER BY s.id
    FOR UPDATE OF s
), joins AS (
    SELECT *, is_light AND row_number() OVER (PARTITION BY is_light ORDER BY id) <= %(room)s
              AS goes_on
    FROM locked
), decremented AS (
    UPDATE workflows_steprun s
    SET needs_left = s.needs_left - j.met, needs_open = s.needs_open - j.ended,
        state = CASE WHEN NOT s.is_plain OR s.needs_left > j.met THEN 'pending'
                     WHEN j.goes_on AND r.state = 'running' THEN 'running' ELSE 'queued' END,
        queued_at = CASE WHEN s.is_plain AND s.needs_left <= j.met THEN clock_timestamp() END,
        wake_at = CASE WHEN s.is_plain AND s.needs_left <= j.met
                        AND NOT (j.goes_on AND r.state = 'running') THEN now() + %(patience)s END,
        attempt = s.attempt + (s.is_plain AND s.needs_left <= j.met AND j.goes_on
                               AND r.state = 'running')::int,
        token = CASE WHEN s.is_plain AND s.needs_left <= j.met AND j.goes_on
                      AND r.state = 'running' THEN %(next_token)s::uuid END,
        lease_until = CASE WHEN s.is_plain AND s.needs_left <= j.met AND j.goes_on
                            AND r.state = 'running' THEN now() + %(lease)s END,
        started_at = CASE WHEN s.is_plain AND s.needs_left <= j.met AND j.goes_on
                           AND r.state = 'running' THEN clock_timestamp() END
    FROM joins j, workflows_run r
    WHERE s.id = j.id AND s.state = 'pending' AND r.id = s.run_id
    RETURNING {moved}
)"""

FINISH = (_OUTCOME + _STEPS + _ENDED_ROWS).format(
    guard="s.state = 'running' AND s.token = %(token)s", moved=MOVED
)

# The same for one step whose joins all wait for all of their needs and are plain: by far the most
# common case, at about two thirds of the database time, for want of arrays, counts and windows.
FINISH_ONE = f"""
WITH ended AS (
    UPDATE workflows_steprun s
    SET state = 'succeeded', output = %(output)s::jsonb, error = NULL,
        input = coalesce(%(input)s::jsonb, s.input), cost_usd = s.cost_usd + %(cost)s,
        invocation_id = coalesce(%(call)s, s.invocation_id),
        lease_until = NULL, wake_at = NULL, ended_at = clock_timestamp()
    WHERE s.id = %(id)s AND s.state = 'running' AND s.token = %(token)s
    RETURNING s.run_id, s.attempt
), noted AS (
    INSERT INTO workflows_runevent (run_id, step_id, key, item, attempt, name, actor)
    SELECT run_id, %(id)s, %(key)s, -1, attempt, 'step.succeeded', %(worker)s FROM ended
), locked AS (
    SELECT s.id, s.is_light AND %(goes_on)s AND r.state = 'running' AS goes_on
    FROM ended e JOIN workflows_run r ON r.id = e.run_id
    JOIN workflows_steprun s ON s.run_id = e.run_id AND s.key = ANY(%(targets)s) AND s.item = -1
    WHERE s.state = 'pending'
    ORDER BY s.id
    FOR UPDATE OF s
)
UPDATE workflows_steprun s
SET needs_left = s.needs_left - 1, needs_open = s.needs_open - 1,
    state = CASE WHEN s.needs_left > 1 THEN 'pending'
                 WHEN j.goes_on THEN 'running' ELSE 'queued' END,
    queued_at = CASE WHEN s.needs_left <= 1 THEN clock_timestamp() END,
    wake_at = CASE WHEN s.needs_left <= 1 AND NOT j.goes_on THEN now() + %(patience)s END,
    attempt = s.attempt + (s.needs_left <= 1 AND j.goes_on)::int,
    token = CASE WHEN s.needs_left <= 1 AND j.goes_on THEN %(next_token)s::uuid END,
    lease_until = CASE WHEN s.needs_left <= 1 AND j.goes_on THEN now() + %(lease)s END,
    started_at = CASE WHEN s.needs_left <= 1 AND j.goes_on THEN clock_timestamp() END
FROM locked j
WHERE s.id = j.id AND s.state = 'pending'
RETURNING 'join', {MOVED}, NULL::uuid
"""

# For steps that no worker holds: skipped, unreachable, answered, woken.
RESOLVE = (_OUTCOME + _STEPS + _ENDED_ROWS).format(
    guard="s.state IN ('pending', 'waiting', 'queued', 'dead')", moved=MOVED
)

# The join of a fan-out counts in its own row or in chunk rows. As many waiting items as ended are
# sent off, whoever's chunk they are in; SKIP LOCKED lets workers refill side by side.
FINISH_ITEMS = (
    _OUTCOME
    + """, counted AS (
    SELECT parent_id AS id, count(*) AS ended FROM ended GROUP BY parent_id
), parents AS (
    SELECT s.id, counted.ended FROM workflows_steprun s JOIN counted ON counted.id = s.id
    ORDER BY s.id FOR UPDATE OF s
), decremented AS (
    UPDATE workflows_steprun s
    SET needs_left = s.needs_left - parents.ended, needs_open = s.needs_open - parents.ended
    FROM parents WHERE s.id = parents.id
    RETURNING {moved}
), chosen AS (
    SELECT s.id, s.is_light AND row_number() OVER (ORDER BY s.item) <= %(room)s AS goes_on
    FROM (
        SELECT w.id, w.item, w.is_light FROM workflows_steprun w
        WHERE w.run_id = %(run)s AND w.key = %(key)s AND w.item >= 0 AND w.state = 'pending'
        ORDER BY w.item LIMIT least(%(refill)s, (SELECT count(*) FROM ended))
        FOR UPDATE SKIP LOCKED
    ) s
), sent AS (
    UPDATE workflows_steprun s
    SET state = CASE WHEN c.goes_on AND r.state = 'running' THEN 'running' ELSE 'queued' END,
        queued_at = clock_timestamp(),
        wake_at = CASE WHEN NOT (c.goes_on AND r.state = 'running') THEN now() + %(patience)s END,
        attempt = s.attempt + (c.goes_on AND r.state = 'running')::int,
        token = CASE WHEN c.goes_on AND r.state = 'running' THEN %(next_token)s::uuid END,
        lease_until = CASE WHEN c.goes_on AND r.state = 'running' THEN now() + %(lease)s END,
        started_at = CASE WHEN c.goes_on AND r.state = 'running' THEN clock_timestamp() END
    FROM chosen c, workflows_run r WHERE s.id = c.id AND r.id = s.run_id
    RETURNING {moved}, s.value
)
"""
    + _ENDED_ROWS.replace("*, NULL::uuid", "*, NULL::uuid, NULL::jsonb").replace(
        "parent_id\nFROM", "parent_id, NULL::jsonb\nFROM"
    )
    + """UNION ALL
SELECT 'item', id, run_id, key, item, iteration, kind, state, needs_left, needs_open, queue,
       is_light, attempt, NULL::uuid, value FROM sent
"""
).format(guard="s.state = 'running' AND s.token = %(token)s", moved=MOVED)

RETRY = """
WITH moved AS (
    UPDATE workflows_steprun s
    SET state = 'queued', lease_until = NULL, queued_at = now() + %(delay)s,
        wake_at = now() + %(delay)s + %(patience)s, error = %(error)s,
        cost_usd = cost_usd + %(cost)s
    WHERE s.id = %(id)s AND s.token = %(token)s AND s.state = 'running'
    RETURNING s.id, s.run_id, s.key, s.item, s.attempt, s.queue
), noted AS (
    INSERT INTO workflows_runevent (run_id, step_id, key, item, attempt, name, detail, actor)
    SELECT run_id, id, key, item, attempt, 'step.retried', %(error)s, %(worker)s FROM moved
)
SELECT id, queue FROM moved
"""

# One heartbeat a process renews all its claims.
RENEW = """
UPDATE workflows_steprun s SET lease_until = now() + %(lease)s
FROM unnest(%(ids)s::uuid[], %(tokens)s::uuid[]) AS held(id, token)
WHERE s.id = held.id AND s.token = held.token AND s.state = 'running'
RETURNING s.id
"""

# A worker that stops hands back what it has not finished; it counts as no delivery. The sweep sends
# what has no message on its way: ``wake_at`` is `workflows.lost.UNSENT`.
HAND_BACK = """
WITH moved AS (
    UPDATE workflows_steprun s
    SET state = 'queued', lease_until = NULL, wake_at = to_timestamp(0), queued_at = now()
    FROM unnest(%(ids)s::uuid[], %(tokens)s::uuid[]) AS held(id, token)
    WHERE s.id = held.id AND s.token = held.token AND s.state = 'running'
    RETURNING s.id, s.run_id, s.key, s.item, s.attempt
)
INSERT INTO workflows_runevent (run_id, step_id, key, item, attempt, name, actor)
SELECT run_id, id, key, item, attempt, 'step.handed_back', %(worker)s FROM moved
"""

# Leases that ran out: given out again, or put aside after too many. A step whose effect must not
# happen twice is put aside at once, because nobody knows whether it happened.
EXPIRE = """
WITH late AS (
    SELECT id, deliveries + 1 >= %(most)s OR NOT is_repeatable AS ends,
           CASE WHEN NOT is_repeatable THEN 'outcome_unknown' ELSE 'dead_letter' END AS code
    FROM workflows_steprun
    WHERE lease_until < now() ORDER BY lease_until LIMIT 500 FOR UPDATE SKIP LOCKED
), moved AS (
    UPDATE workflows_steprun s
    SET deliveries = s.deliveries + 1, lease_until = NULL,
        state = CASE WHEN late.ends THEN 'dead' ELSE 'queued' END,
        error = CASE WHEN late.ends THEN jsonb_build_object(
                    'code', late.code, 'retryable', false, 'message',
                    'its worker was lost; times given out: ' || (s.deliveries + 1)) END,
        queued_at = now(), wake_at = CASE WHEN NOT late.ends THEN to_timestamp(0) END
    FROM late WHERE s.id = late.id
    RETURNING s.id, s.run_id, s.key, s.item, s.attempt, s.state
), noted AS (
    INSERT INTO workflows_runevent (run_id, step_id, key, item, attempt, name, actor)
    SELECT run_id, id, key, item, attempt,
           CASE state WHEN 'dead' THEN 'step.dead' ELSE 'step.lost' END, 'sweep'
    FROM moved
)
SELECT id, run_id, key, state FROM moved
"""

WAKE_DUE = """
SELECT s.id FROM workflows_steprun s JOIN workflows_run r ON r.id = s.run_id
WHERE s.wake_at <= now() AND s.state IN ('waiting', 'pending') AND r.state = 'running'
ORDER BY s.wake_at LIMIT 500
"""

# A join that was ready while its run waited for a place: it is decided as if it were met now.
READY_JOIN = f"""
UPDATE workflows_steprun s SET wake_at = NULL
WHERE s.id = %(id)s AND s.state = 'pending' AND s.item = -1
  AND (s.needs_left <= 0 OR s.needs_left > s.needs_open)
RETURNING 'join', {MOVED}, NULL::uuid
"""
