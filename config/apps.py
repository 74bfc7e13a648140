from django.apps import AppConfig
from django.conf import settings


class ConfigConfig(AppConfig):
    """The ground: settings, checks and the commands that start and keep the whole."""

    name = "config"
    verbose_name = "Configuration"

    def ready(self) -> None:
        # The checks register themselves; the Celery application becomes the current one,
        # which is what binds every shared_task.
        from config import celery, checks, telemetry  # noqa: F401

        telemetry.start(settings.SENTRY_DSN)
