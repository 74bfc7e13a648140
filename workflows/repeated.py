"""A finish that is repeated, because nobody knew whether it had come through.

The connection may be lost while the commit is under way. Where the rows have ended under their
claim's own token the first one won: its worker goes on with what it took on, and sends the rest.
"""

from __future__ import annotations

from uuid import UUID

from workflows.advance import Moved, Outcome, moved
from workflows.contexts import RunFacts
from workflows.database import execute
from workflows.statements import MOVED

# What was queued since is sent; a message that is sent twice for a row finds it claimed. A fan-out
# or a chunk of it that has no items left to count comes, too: it ends later than its items.
_WON = f"""
WITH won AS (
    SELECT id, parent_id, ended_at FROM workflows_steprun
    WHERE id = ANY(%(ids)s) AND token = %(token)s AND ended_at IS NOT NULL
)
SELECT CASE WHEN s.ended_at IS NOT NULL THEN 'ended' WHEN s.item >= 0 THEN 'item' ELSE 'join' END,
       {MOVED}, NULL::uuid, s.value
FROM workflows_steprun s
WHERE s.run_id = %(run)s AND EXISTS (SELECT FROM won)
  AND (s.id IN (SELECT id FROM won)
       OR s.state = 'running' AND s.token = %(next_token)s
       OR s.state = 'queued' AND s.attempt = 0
          AND s.queued_at >= (SELECT min(ended_at) FROM won)
       OR s.state = 'waiting' AND s.needs_left <= 0 AND s.id IN (SELECT parent_id FROM won))
"""  # noqa: S608  columns


def won(facts: RunFacts, outcomes: list[Outcome], *, token: UUID, next_token: UUID) -> list[Moved]:
    """What a finish ended and made ready whose worker did not hear that it came through.

    Asked when a finish changed nothing: nothing either where the rows belong to another claim.
    """
    asked = {
        "run": facts.run_id, "token": token, "next_token": next_token,
        "ids": [outcome.step_id for outcome in outcomes],
    }  # fmt: skip
    return moved(execute(_WON, asked))
