"""What leaves for watchers outside: errors and check-ins to Sentry, where a DSN is set."""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab
from django.conf import settings

from config.schedules import SCHEDULE

# Kept of each event; everything else that could hold a prompt, an answer or a name is not sent.
_REQUEST = ("method", "url")


def start(dsn: str, **more: Any) -> bool:
    """Send errors, and check-ins of periodic tasks, to Sentry; False without a DSN (``-``).

    No local variables, request bodies, cookies or people are sent: they hold clients' data.
    ``more`` overrides the client's options.
    """
    if dsn == "-":
        return False
    import sentry_sdk  # half a second that only those pay who use it
    from sentry_sdk.integrations.celery import CeleryIntegration
    from sentry_sdk.integrations.django import DjangoIntegration

    options: dict[str, Any] = {
        "integrations": [
            CeleryIntegration(monitor_beat_tasks=True, exclude_beat_tasks=_too_often()),
            DjangoIntegration(),
        ],
        "include_local_variables": False,
        "max_request_body_size": "never",
        "traces_sample_rate": 0.0,
        "server_name": settings.INSTALLATION,
        "before_send": _bare,
        "before_breadcrumb": lambda crumb, hint: None,
    }
    sentry_sdk.init(dsn=dsn, **{**options, **more})
    return True


def _too_often() -> list[str]:
    """Sentry watches what runs in whole minutes; sweeps that run more often tell `/readyz`."""
    seconds = {
        name: getattr(entry["schedule"], "total_seconds", lambda e=entry: e["schedule"])()
        for name, entry in SCHEDULE.items()
        if not isinstance(entry["schedule"], crontab)
    }
    return [f"^{name}$" for name, each in seconds.items() if each < 60 or each % 60]


def _bare(event: Any, hint: Any) -> Any:
    """The event without what it could carry out: extras, messages of errors, the query."""
    event.pop("extra", None)
    event.pop("user", None)
    request = event.get("request")
    if request:
        kept = {name: request[name] for name in _REQUEST if name in request}
        kept["url"] = str(kept.get("url", "")).partition("?")[0]
        event["request"] = kept
    # An error's text gives the offending value; its type and place are what is needed here.
    for value in (event.get("exception") or {}).get("values", []):
        value["value"] = ""
    return event
