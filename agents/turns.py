"""Reading and writing a conversation in few statements, for what every turn of it pays for."""

# ruff: noqa: S608 (statements are put together from constants of this module only)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from agents.domain.context import estimate_tokens
from agents.domain.talks import Said
from agents.models import Conversation, Turn
from config import statements
from config.access.ids import uuid7
from config.errors import NotFound

# Turns that a history or a score looks at.
LATEST_TURNS = 200

_FIELDS = [field.attname for field in Conversation._meta.concrete_fields]
_TALK = ", ".join(f"c.{name}" for name in _FIELDS)

# Whoever comes second in a race finds neither row: the first one's is not yet to be seen.
_OPEN = f"""
WITH agent AS (SELECT id, slug FROM agents_agent WHERE slug = %(agent)s), made AS (
    INSERT INTO agents_conversation AS c (id, client_id, agent_id, agent_slug, user_id, channel,
        external_id, title, summary, state, hand_over_reason, intent)
    SELECT %(id)s, %(client)s, agent.id, agent.slug, %(user)s, %(channel)s, %(name)s,
        '', '', 'open', '', ''
    FROM agent
    ON CONFLICT (client_id, channel, external_id) WHERE NOT (external_id = '') DO NOTHING
    RETURNING {_TALK}
)
SELECT * FROM made
UNION ALL
SELECT {_TALK} FROM agents_conversation c, agent
WHERE c.client_id = %(client)s AND c.channel = %(channel)s AND c.external_id = %(name)s
"""

_TOUCH = f"""
UPDATE agents_conversation c
SET last_turn_at = now(), title = CASE c.title WHEN '' THEN %(title)s ELSE c.title END
WHERE c.id = %(talk)s RETURNING {_TALK}
"""

# How a call ended is looked up one by one: a join could be planned as a read of all calls. In one
# look with the limits: a turn that is seen has its own among them.
_LATEST = """
SELECT t.number, t.role, t.text, coalesce(
    (SELECT i.state FROM agents_invocation i WHERE i.id = t.invocation_id), 'succeeded'),
    (SELECT c.limited_to FROM agents_conversation c WHERE c.id = %(talk)s)
FROM agents_turn t WHERE t.conversation_id = %(talk)s ORDER BY t.number DESC LIMIT %(most)s
"""

_ADD = """
WITH added AS (
    INSERT INTO agents_turn
        (id, client_id, conversation_id, number, role, text, invocation_id, tokens)
    SELECT id, client_id, conversation_id, number, role, text, invocation_id, tokens
    FROM jsonb_populate_recordset(NULL::agents_turn, %(turns)s::jsonb)
)
UPDATE agents_conversation SET quality_ratio = %(ratio)s WHERE id = %(talk)s
"""

_JUDGE = "UPDATE agents_conversation SET quality_ratio = %(ratio)s WHERE id = %(talk)s"


@dataclass(frozen=True, slots=True)
class History:
    """The latest turns in order, with how the calls behind the answers ended, and how many; and
    what their reader must hold, None where there are no turns that would tell."""

    said: list[Said]
    last_number: int
    limited_to: tuple[str, ...] | None = None


def open_named(
    *, agent: str, client_id: UUID, channel: str, external_id: str, user_id: UUID | None
) -> Conversation | None:
    """The client's conversation of this name, made if there was none; None: no such agent."""
    given = {
        "agent": agent, "client": client_id, "channel": channel, "name": external_id,
        "user": user_id, "id": uuid7(),
    }  # fmt: skip
    rows = statements.execute(_OPEN, given) or statements.execute(_OPEN, given)
    return _talk(rows[0]) if rows else None


def touch(talk_id: UUID, *, title: str) -> Conversation:
    """Lock the conversation for this transaction, say that it goes on, and read it.

    ``title`` is its name unless it has one. Raises NotFound.
    """
    rows = statements.execute(_TOUCH, {"talk": talk_id, "title": title})
    if not rows:
        raise NotFound("conversation", talk_id)
    return _talk(rows[0])


def latest(talk_id: UUID) -> History:
    """The latest turns of a conversation."""
    rows = statements.execute(_LATEST, {"talk": talk_id, "most": LATEST_TURNS})
    if not rows:
        return History([], 0)
    said = [Said(role, text, went) for _, role, text, went, _ in reversed(rows)]
    return History(said, rows[0][0], tuple(rows[0][4] or ()))


def add(
    talk: Conversation,
    before: History,
    *,
    asked: str,
    answered: Said,
    invocation_id: UUID,
    quality: Callable[[list[Said]], float | None],
) -> None:
    """Add a question and its answer to a conversation that is locked, and how well it has gone by
    ``quality`` of all that was said."""
    pair = ((Turn.Role.USER, asked, None), (answered.role, answered.text, invocation_id))
    rows = [
        Turn(
            client_id=talk.client_id,
            conversation_id=talk.pk,
            number=before.last_number + place,
            role=role,
            text=text,
            tokens=estimate_tokens(text),
            invocation_id=behind,
        )
        for place, (role, text, behind) in enumerate(pair, start=1)
    ]
    after = [*before.said, Said(Turn.Role.USER, asked), answered][-LATEST_TURNS:]
    talk.quality_ratio = quality(after)
    given = {"turns": statements.rows_of(rows), "ratio": talk.quality_ratio, "talk": talk.pk}
    statements.execute(_ADD, given)


def keep_quality(talk: Conversation, ratio: float | None) -> None:
    """Keep how well the conversation has gone so far."""
    statements.execute(_JUDGE, {"ratio": ratio, "talk": talk.pk})
    talk.quality_ratio = ratio


def _talk(row: tuple[Any, ...]) -> Conversation:
    return Conversation.from_db("default", _FIELDS, row)
