"""A program: what beat does when two periodic tasks are due, and then nothing more."""

from __future__ import annotations

import django
import sentry_sdk
from celery.beat import ScheduleEntry, Scheduler
from celery.schedules import crontab

_DUE = (
    ("daily-good", "monitoring.canary", {}),
    ("daily-bad", "learning.run_cycle", {"cadence": "hourly"}),
)


def main() -> None:
    django.setup()
    from config.celery import app

    scheduler = Scheduler(app=app, lazy=True)
    for name, task, kwargs in _DUE:
        entry = ScheduleEntry(
            name=name, task=task, kwargs=kwargs, schedule=crontab(minute=0, hour=3), app=app,
            options={"queue": "control"},
        )  # fmt: skip
        scheduler.apply_entry(entry)
    sentry_sdk.flush(20)


if __name__ == "__main__":
    main()
