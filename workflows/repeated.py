"""A finish that is repeated, because nobody knew whether it had come through.

The connection may be lost while the commit is under way. Where the rows have ended under their
claim's own token the first one won: its worker goes on with what it took on, and sends the rest.
"""

from __future__ import annotations

from uuid import UUID

from workflows.advance import Moved, Outcome, moved
from workflows.contexts import RunFacts
from workflows.database import execute
from workflows.domain.definition import Plan
from workflows.statements import MOVED

# A message that is sent twice for a queued row finds it claimed.
_WON = f"""
SELECT CASE WHEN s.item < 0 THEN 'join' ELSE 'item' END, {MOVED}, NULL::uuid, s.value
FROM workflows_steprun s
WHERE s.run_id = %(run)s AND s.key = ANY(%(keys)s)
  AND (s.state = 'running' AND s.token = %(next_token)s OR s.state = 'queued' AND s.attempt = 0)
  AND EXISTS (SELECT 1 FROM workflows_steprun e
              WHERE e.id = ANY(%(ids)s) AND e.token = %(token)s AND e.ended_at IS NOT NULL)
"""  # noqa: S608  columns


def won(
    facts: RunFacts, plan: Plan, outcomes: list[Outcome], *, token: UUID, next_token: UUID
) -> list[Moved]:
    """What a finish made ready whose worker did not hear that it came through.

    Asked when a finish changed nothing: nothing either where the rows belong to another claim.
    """
    ended = {outcome.key for outcome in outcomes}
    behind = {key for one in ended for key, _ in plan.successors[one]}
    asked = {
        "run": facts.run_id, "keys": sorted(ended | behind), "token": token,
        "next_token": next_token, "ids": [outcome.step_id for outcome in outcomes],
    }  # fmt: skip
    return moved(execute(_WON, asked))
