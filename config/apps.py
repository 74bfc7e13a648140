from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """The ground: settings, checks and the commands that start and keep the whole."""

    name = "config"
    verbose_name = "Configuration"

    def ready(self) -> None:
        # The checks register themselves; the Celery application becomes the current one,
        # which is what binds every shared_task.
        from config import celery, checks  # noqa: F401
