"""The Celery application: queues, schedules, and the names of tasks as wire format."""

from __future__ import annotations

import logging
import os
from typing import Any

from celery import Celery, signals
from django.db import connections
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# high, default and low are lanes of I/O-bound work; analysis may hold the GIL for seconds;
# control carries sweeps and timers, so that recovery never waits behind work.
QUEUES = ("high", "default", "low", "analysis", "control")
# Those that steps travel on.
LANES = QUEUES[:4]

app = Celery("ratchet")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.task_queues = [Queue(name) for name in QUEUES]
# Beat and Flower know tasks by name only; their code would cost each of them seconds and memory.
# I/O workers run steps, calls, deliveries, and what of learning calls models; the rest of learning
# needs libraries for analyses, and is routed away from them (settings.CELERY_TASK_ROUTES).
_PROCESS = os.environ.get("RATCHET_PROCESS", "")
if _PROCESS.startswith("ratchet-io"):
    app.autodiscover_tasks(["agents", "monitoring", "scaling", "workflows"])
    app.autodiscover_tasks(["learning"], related_name="calling_tasks")
elif _PROCESS not in ("ratchet-beat", "ratchet-flower"):
    app.autodiscover_tasks()


@app.on_after_finalize.connect
def load_schedule(sender: Celery, **kwargs: Any) -> None:
    """Hand beat the code's table; it wins over the database's at every start of beat."""
    from config.schedules import SCHEDULE

    sender.conf.beat_schedule = SCHEDULE


@signals.task_postrun.connect(weak=False)
def drop_lost_connections(**kwargs: Any) -> None:
    """Close what a crash of the database has broken.

    Workers keep their connections from task to task (CELERY_DB_REUSE_MAX): a dead one would fail
    every task of its thread from then on.
    """
    for one in connections.all(initialized_only=True):
        if one.errors_occurred:
            one.close_if_unusable_or_obsolete()


@signals.setup_logging.connect
def keep_our_logging(**kwargs: Any) -> None:
    """Django's LOGGING stands; Celery would replace the root logger's handlers."""
    logging.captureWarnings(True)
