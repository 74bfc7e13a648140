from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "monitoring"

    def ready(self) -> None:
        # Signs of life come from Celery's own signals: no task has to think of them.
        from monitoring import signs

        signs.connect()
