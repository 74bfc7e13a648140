"""Log lines to an OTLP collector, where the standard variables name one; nothing otherwise.

``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``…_LOGS_ENDPOINT``) turns it on. What leaves is what the log
has: an event's name, its identifiers and numbers; of an exception its type alone, because its text
gives the offending value. A line that is written inside a span carries its trace.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from config import logs

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
# Their own complaints about a collector that is away would be sent to it.
_OWN = ("opentelemetry", "urllib3", "requests")
FLUSH_MILLISECONDS = 3_000
_provider: Any = None
_handler: logging.Handler | None = None


def start(*, service: str, **resource: str) -> bool:
    """Send log lines to the collector that the environment names; False where it names none."""
    global _provider, _handler
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        return False
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.resources import Resource

    named = {"service.name": os.environ.get("OTEL_SERVICE_NAME", service), **resource}
    _provider = LoggerProvider(resource=Resource.create(named))
    _provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    _handler = _Handler(_provider)
    logging.getLogger().addHandler(_handler)
    return True


def stop() -> None:
    """Send what is still here and no more."""
    global _provider, _handler
    provider, handler, _provider, _handler = _provider, _handler, None, None
    if handler is not None:
        logging.getLogger().removeHandler(handler)
    if provider is not None:
        provider.force_flush(FLUSH_MILLISECONDS)
        provider.shutdown()


class _Handler(logging.Handler):
    """Each record as an OpenTelemetry log record of the same name and fields."""

    def __init__(self, provider: Any) -> None:
        super().__init__()
        self._logger = provider.get_logger("ratchet")

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(_OWN):
            return
        from opentelemetry._logs import LogRecord, SeverityNumber

        fields = {**(logs.context.get() or {}), **getattr(record, "fields", {})}
        attributes = {name: _plain(value) for name, value in fields.items() if value is not None}
        if record.exc_info and record.exc_info[0] is not None:
            attributes["exception.type"] = record.exc_info[0].__name__
        try:
            self._logger.emit(
                LogRecord(
                    timestamp=int(record.created * 1e9),
                    severity_text=record.levelname,
                    severity_number=SeverityNumber(min(21, max(1, record.levelno // 10 * 4 + 1))),
                    body=record.getMessage(),
                    attributes={"logger": record.name, **attributes},
                )
            )
        except Exception:
            self.handleError(record)


def _plain(value: Any) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else str(value)
