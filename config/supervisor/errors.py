"""Why an instance can't be started, in one line each."""

from __future__ import annotations

from pathlib import Path

from config.errors import AppError


class PortInUse(AppError):
    """Another program listens where the web server should."""

    code, http_status = "port_in_use", 409

    def __init__(self, port: int, host: str) -> None:
        super().__init__(port, host)
        self.port, self.host = port, host

    def __str__(self) -> str:
        return f"port {self.port} on {self.host} is taken; choose another: make run PORT=8001"


class AlreadyRunning(AppError):
    """An instance already runs on this home folder."""

    code, http_status = "already_running", 409

    def __init__(self, pid: int, url: str, home: Path) -> None:
        super().__init__(pid, url, home)
        self.pid, self.url, self.home = pid, url, home

    def __str__(self) -> str:
        where = f" at {self.url}" if self.url else ""
        return f"process {self.pid} already runs {self.home}{where}; stop it with: kill {self.pid}"


class StartFailed(AppError):
    """A process of the instance ends again and again, or never becomes ready."""

    code, http_status = "start_failed", 503

    def __init__(self, process: str, why: str, log: Path | None = None) -> None:
        super().__init__(process, why, log)
        self.process, self.why, self.log = process, why, log

    def __str__(self) -> str:
        where = f" (log: {self.log})" if self.log else ""
        return f"{self.process} did not start: {self.why}{where}"
