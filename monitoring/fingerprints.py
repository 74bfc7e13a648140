"""In what way an alert's agent fails: what tells alerts alike where no endpoint explains them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from monitoring.inhibiting import GONE
from monitoring.models import Alert


def usual_code(firing: Iterable[Alert]) -> str:
    """What most of them fail of: in a storm not every alert has its own errors beside it."""
    counted = Counter(code for alert in firing for code in _codes(alert))
    return counted.most_common(1)[0][0] if counted else ""


def of(alert: Alert, usual: str) -> str:
    """The commonest code of the errors beside it, or the rule where it is not about errors."""
    if alert.rule.metric not in GONE:
        return str(alert.rule.slug)
    codes = _codes(alert)
    return (codes.most_common(1)[0][0] if codes else usual) or str(alert.rule.slug)


def _codes(alert: Alert) -> Counter[str]:
    return Counter(str(one["code"]) for one in alert.detail.get("errors", ()) if one.get("code"))
