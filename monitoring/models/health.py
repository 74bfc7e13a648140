"""Signs of life."""

from __future__ import annotations

from django.db import models


class Heartbeat(models.Model):
    """When a queue was last consumed (``queue:…``), or a periodic task last succeeded (``task:…``).

    ``asked_at`` is when a canary was last sent to the queue.
    """

    name = models.CharField(primary_key=True, max_length=120)
    seen_at = models.DateTimeField(null=True)
    asked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name
