"""When a rollback drill counts as lost."""

from __future__ import annotations

from datetime import datetime, timedelta

# All workers may be at slow calls when a drill is asked for; longer than this nobody waits.
TAKEN_UP_WITHIN = timedelta(minutes=10)
# For the calls under way at the drill's end, and a busy machine.
ENDS_WITHIN = timedelta(minutes=1)


def lost(now: datetime, *, made: datetime, begun: datetime | None, lasts: timedelta) -> str:
    """Why nobody will end the drill any more; empty while somebody may.

    ``begun``: when a worker sent its first call; ``lasts``: for how long it sends them at most.
    """
    if begun is None:
        if now - made < TAKEN_UP_WITHIN:
            return ""
        return f"no worker took the drill up within {TAKEN_UP_WITHIN.total_seconds():g} s"
    if now - begun < lasts + ENDS_WITHIN:
        return ""
    return f"the drill's worker has not ended it {ENDS_WITHIN.total_seconds():g} s after its time"
