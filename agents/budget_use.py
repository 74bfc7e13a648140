"""How far budgets are used, as a measurement: rules tell at 50, 80 and 100 percent.

The sweep measures all of them. A call that settles across a threshold, or that is refused, measures
its budgets at once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from config.statements import execute
from monitoring import services as monitoring
from monitoring.services import Measurement

# Less is no news; the rule's own limit lies above.
FROM_RATIO = 0.5
MOST = 200

# A window that has just begun is told for a while, as nearly empty: else its alert would see its
# figures vanish instead of being well again. A run's own budget ends with the run.
_USED = """
WITH used AS (
    SELECT scope, key, "window", client_id, (spent_usd + held_usd) / cap_usd AS ratio,
        "window" <> 'total' AND window_started_at < date_trunc("window", now(), 'UTC') AS is_over,
        "window" <> 'total' AND window_started_at > now() - interval '2 hours' AS is_new
    FROM agents_budget WHERE is_active AND cap_usd > 0 AND scope <> 'run' AND key <> '*'
)
SELECT scope, key, "window", client_id, CASE WHEN is_over THEN 0 ELSE ratio END
FROM used WHERE ratio >= %(from)s OR is_new ORDER BY ratio DESC LIMIT %(most)s
"""

# What a refused call found. A cap is never met to the cent: with less left than a twentieth, or
# than nearly any call may need, it is used up.
_REFUSING = """
SELECT scope, key, "window", client_id, 1.0 FROM agents_budget
WHERE is_active AND cap_usd > 0 AND scope <> 'run' AND scope || ':' || key = ANY(%(names)s)
    AND cap_usd - spent_usd - held_usd < least(%(needed)s, cap_usd / 20)
"""
# Many calls are refused by one budget; so often is it told by one process.
TOLD_SECONDS = 10.0
_told: dict[str, float] = {}


def measure_refusal(names: Sequence[str], needed_usd: Decimal) -> None:
    """Tell that budgets (``scope:key`` each) had less left than a call may need."""
    now = time.monotonic()
    fresh = [name for name in names if _told.get(name, 0.0) <= now]
    if not fresh:
        return
    if len(_told) > MOST:
        _told.clear()
    _told.update(dict.fromkeys(fresh, now + TOLD_SECONDS))
    rows = execute(_REFUSING, {"names": fresh, "needed": needed_usd})
    monitoring.record([_measured(*row) for row in rows])


def measure_settled(rows: Sequence[tuple[str, str, str, Any, Decimal, Decimal]]) -> None:
    """Tell of budgets (scope, key, window, client, cap, spent) that passed a threshold."""
    monitoring.record(
        [
            _measured(scope, key, window, client_id, float(spent / cap))
            for scope, key, window, client_id, cap, spent in rows
            if scope != "run" and cap
        ]
    )


def _measured(scope: str, key: str, window: str, client_id: Any, ratio: float) -> Measurement:
    return Measurement(
        {"budget_used_ratio": float(ratio)},
        {"budget": f"{scope}:{key}:{window}", "client": str(client_id or "")},
    )


def measure_budgets() -> int:
    """Record every budget that is at least half used, or has just begun anew; how many."""
    rows = execute(_USED, {"from": FROM_RATIO, "most": MOST})
    monitoring.record([_measured(*row) for row in rows])
    return len(rows)
