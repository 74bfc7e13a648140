"""A schedule's entry at beat: a crontab in its time zone that sends one message a tick.

Beat only reminds; which ticks there are and what comes of them is decided by ``schedules``.
"""

from __future__ import annotations

import json

from celery.schedules import ParseException, crontab
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from workflows.models import Schedule

_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")


def fields_of(schedule: Schedule) -> dict[str, str]:
    """The five fields of its cron expression by beat's names; raises ValueError."""
    parts = schedule.cron.split()
    if len(parts) != len(_FIELDS):
        raise ValueError(f"{schedule.cron!r} has {len(parts)} fields; write five")
    fields = dict(zip(_FIELDS, parts, strict=True))
    try:
        crontab(**fields)
    except (ParseException, ValueError) as error:
        raise ValueError(f"{schedule.cron!r}: {error}") from None
    return fields


def keep(schedule: Schedule) -> None:
    """Write or change the entry, in the transaction at hand."""
    crontab_row, _ = CrontabSchedule.objects.get_or_create(
        **fields_of(schedule), timezone=schedule.time_zone
    )
    task = schedule.beat_task or PeriodicTask(name=f"schedule {schedule.pk}")
    task.task = "workflows.run_schedule"
    task.args = json.dumps([str(schedule.pk)])
    task.crontab = crontab_row
    task.queue = "control"
    # A reminder that comes late is worth nothing: the sweep has seen to the tick.
    task.expire_seconds = 60
    task.enabled = not schedule.is_paused
    task.description = f"{schedule.name}: starts {schedule.workflow_name}"
    task.save()
    if schedule.beat_task_id != task.pk:
        schedule.beat_task = task
        schedule.save(update_fields=["beat_task"])


def forget(schedule: Schedule) -> None:
    """Take the entry away."""
    if schedule.beat_task is not None:
        schedule.beat_task.delete()
        schedule.beat_task = None
