"""How far budgets are used, as a measurement: its rule tells before a call is refused."""

from __future__ import annotations

from monitoring import services as monitoring
from monitoring.services import Measurement
from monitoring.writing import execute

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


def measure_budgets() -> int:
    """Record every budget that is at least half used, or has just begun anew; how many."""
    rows = execute(_USED, {"from": FROM_RATIO, "most": MOST})
    monitoring.record(
        [
            Measurement(
                {"budget_used_ratio": float(ratio)},
                {"budget": f"{scope}:{key}:{window}", "client": str(client_id or "")},
            )
            for scope, key, window, client_id, ratio in rows
        ]
    )
    return len(rows)
