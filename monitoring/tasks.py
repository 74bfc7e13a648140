"""Celery's doors to monitoring. Names are wire format; a task decides nothing."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from config.access import exports
from monitoring import (
    audit,
    calling,
    health,
    intents,
    notify,
    pulse,
    pushing,
    rollups,
    sla,
    traces,
    unusual,
    watching,
)


@shared_task(name="monitoring.canary", ignore_result=True)
def canary() -> None:
    """Do nothing: that it was started at all is what ``monitoring.signs`` writes down."""


@shared_task(name="monitoring.send_canaries", ignore_result=True)
def send_canaries() -> None:
    """Ask the queues that nobody heard of lately."""
    health.send_canaries()


@shared_task(name="monitoring.watch", ignore_result=True)
def watch() -> None:
    """Fold what was measured, judge it by the rules, and group what is wrong."""
    watching.watch()


@shared_task(name="monitoring.look_for_unusual", ignore_result=True)
def look_for_unusual() -> None:
    """Write down whose last hour is unlike their week."""
    unusual.look(now=timezone.now())


@shared_task(name="monitoring.deliver", ignore_result=True)
def deliver() -> None:
    """Send the notifications that are due, and call the web hooks that incidents ask for."""
    notify.deliver()
    calling.respond()


@shared_task(name="monitoring.pulse", ignore_result=True)
def send_pulse() -> None:
    """Tell somebody outside that every vital sweep is on time, where one is named."""
    pulse.send()


@shared_task(name="monitoring.push_metrics", ignore_result=True)
def push_metrics() -> None:
    """Send the numbers of ``/metrics`` to the collector, where one is named."""
    pushing.push()


@shared_task(name="monitoring.seal_audit", ignore_result=True)
def seal_audit() -> None:
    """Chain what was added to the audit log, and what a crash kept from being added."""
    intents.complete(now=timezone.now())
    audit.seal()


@shared_task(name="monitoring.verify_audit", ignore_result=True)
def verify_audit() -> None:
    """Prove the audit log, and raise an alarm if it does not hold."""
    watching.verify_audit()


@shared_task(name="monitoring.tidy", ignore_result=True)
def tidy() -> None:
    """Prepare the coming months and drop what is past its time."""
    rollups.keep_tidy(now=timezone.now())
    traces.forget(now=timezone.now())
    exports.forget_expired()


@shared_task(name="monitoring.keep_sla_reports", ignore_result=True)
def keep_sla_reports() -> None:
    """Keep last month's reports, for everything, each domain and each client."""
    sla.keep_month(now=timezone.now())


@shared_task(name="monitoring.export_telemetry", ignore_result=True)
def export_telemetry() -> None:
    """Write the days that are over and not yet in the lake."""
    from monitoring import export  # it loads pyarrow, which no other task needs

    export.keep_up(now=timezone.now())
