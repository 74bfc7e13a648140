import os

from django.apps import AppConfig
from django.conf import settings


class ConfigConfig(AppConfig):
    """The ground: settings, checks and the commands that start and keep the whole."""

    name = "config"
    verbose_name = "Configuration"

    def ready(self) -> None:
        # The checks register themselves; the Celery application becomes the current one,
        # which is what binds every shared_task.
        from config import celery, checks, log_export, telemetry, tracing  # noqa: F401

        telemetry.start(settings.SENTRY_DSN)
        process = os.environ.get("RATCHET_PROCESS", "ratchet")
        resource = {"service.namespace": settings.INSTALLATION, "ratchet.process": process}
        tracing.start(service="ratchet", **resource)
        log_export.start(service="ratchet", **resource)
