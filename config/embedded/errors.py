"""What can go wrong with the embedded services, in one line each."""

from __future__ import annotations

from pathlib import Path

from config.errors import AppError


class ServiceFailed(AppError):
    """An embedded service can't be started or used; ``log`` says where it wrote why."""

    code, http_status = "service_failed", 503

    def __init__(self, service: str, why: str, log: Path | None = None) -> None:
        super().__init__(service, why, log)
        self.service, self.why, self.log = service, why, log

    def __str__(self) -> str:
        where = f" (log: {self.log})" if self.log else ""
        return f"embedded {self.service} failed: {self.why}{where}"


class PortTaken(ServiceFailed):
    """Another program took the chosen port before the service could bind it."""

    code = "port_taken"
