"""Spans to an OTLP collector, where the standard variables name one; next to nothing otherwise.

``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``…_TRACES_ENDPOINT``) turns it on. Without it no library is
loaded, ``span`` is one comparison, and nothing leaves. W3C trace context comes in with requests
and messages and goes out with messages and model calls, so that one trace has them all. Spans
carry names, numbers and identifiers, never a text that somebody wrote.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

Kind = Literal["internal", "server", "client", "producer", "consumer"]

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
# What comes by the thousand and says nothing; and the collector's own door, which may be ours.
_QUIET = ("/healthz", "/readyz", "/metrics", "/v1/traces", "/static/")
_NOTHING: AbstractContextManager[None] = nullcontext()
# A collector that is away costs a stop this long at the most.
FLUSH_MILLISECONDS = 3_000

_tracer: Any = None
_provider: Any = None


def start(*, service: str, **resource: str) -> bool:
    """Send spans to the collector that the environment names; False where it names none."""
    global _tracer, _provider
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        return False
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = {"service.name": os.environ.get("OTEL_SERVICE_NAME", service), **resource}
    _provider = TracerProvider(resource=Resource.create(named))
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = _provider.get_tracer("ratchet")
    _follow_messages()
    return True


def stop() -> None:
    """Send what is still here and trace no more."""
    global _tracer, _provider
    provider, _tracer, _provider = _provider, None, None
    if provider is not None:
        provider.force_flush(FLUSH_MILLISECONDS)
        provider.shutdown()


def is_on() -> bool:
    """Whether anybody listens."""
    return _tracer is not None


def span(
    name: str,
    attributes: Mapping[str, Any] | None = None,
    *,
    kind: Kind = "internal",
    context: Any = None,
) -> AbstractContextManager[Any]:
    """A span around the block, child of the one at hand; gives it, or None while tracing is off.

    An error that leaves the block is noted by its code (``error.type``), never by its text.
    """
    if _tracer is None:
        return _NOTHING
    return _span(name, attributes or {}, kind, context)


@contextmanager
def _span(name: str, attributes: Mapping[str, Any], kind: Kind, context: Any) -> Iterator[Any]:
    from opentelemetry.trace import SpanKind, Status, StatusCode

    known = {key: value for key, value in attributes.items() if value not in (None, "")}
    with _tracer.start_as_current_span(
        name,
        context=context,
        kind=SpanKind[kind.upper()],
        attributes=known,
        record_exception=False,
        set_status_on_exception=False,
    ) as one:
        try:
            yield one
        except BaseException as error:
            one.set_attribute("error.type", getattr(error, "code", "") or type(error).__name__)
            one.set_status(Status(StatusCode.ERROR))
            raise


def trace_id() -> str:
    """The trace at hand as 32 hex digits; empty while there is none."""
    if _tracer is None:
        return ""
    from opentelemetry.trace import format_trace_id, get_current_span

    found = get_current_span().get_span_context()
    return format_trace_id(found.trace_id) if found.is_valid else ""


def outgoing() -> dict[str, str]:
    """Headers that carry the trace at hand on: ``traceparent``, ``tracestate``."""
    carrier: dict[str, str] = {}
    if _tracer is not None:
        _propagator().inject(carrier)
    return carrier


def incoming(carrier: Mapping[str, Any]) -> Any:
    """The context that a request's or message's headers brought; None while tracing is off."""
    if _tracer is None:
        return None
    found = {key.lower(): str(value) for key, value in carrier.items() if value}
    return _propagator().extract(found)


def _propagator() -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator()


# ---------------------------------------------------------------- requests


@contextmanager
def request_span(request: Any) -> Iterator[Callable[[Any], Any]]:
    """A server span around a request; pass the response through what it gives."""
    if _tracer is None or request.path.startswith(_QUIET):
        yield lambda response: response
        return
    told = {"http.request.method": request.method, "url.path": request.path}
    with span(request.method, told, kind="server", context=incoming(request.headers)) as one:

        def answered(response: Any) -> Any:
            match = request.resolver_match
            route = f"/{match.route}" if match is not None and match.route else ""
            one.set_attribute("http.response.status_code", response.status_code)
            if route:
                one.set_attribute("http.route", route)
                one.update_name(f"{request.method} {route}")
            if response.status_code >= 500:
                one.set_attribute("error.type", str(response.status_code))
            return response

        yield answered


# ---------------------------------------------------------------- messages

_open: dict[str, tuple[AbstractContextManager[Any], Any]] = {}


def _follow_messages() -> None:
    """Let Celery's messages carry the trace, and their tasks go on with it."""
    from celery import signals

    signals.before_task_publish.connect(_publishing, weak=False)
    signals.task_prerun.connect(_running, weak=False)
    signals.task_postrun.connect(_ran, weak=False)
    signals.worker_process_shutdown.connect(lambda **_: stop(), weak=False)
    signals.worker_shutdown.connect(lambda **_: stop(), weak=False)


def _publishing(headers: dict[str, Any] | None = None, **_: Any) -> None:
    if headers is not None:
        headers.update(outgoing())


def _running(task_id: str = "", task: Any = None, **_: Any) -> None:
    if _tracer is None or task is None:
        return
    carrier = {name: getattr(task.request, name, None) for name in ("traceparent", "tracestate")}
    if not carrier["traceparent"]:
        return  # sweeps begin nothing that anybody asked for
    told = {
        "messaging.system": "celery",
        "messaging.operation.type": "process",
        "messaging.destination.name": (task.request.delivery_info or {}).get("routing_key"),
        "messaging.message.id": task_id,
    }
    one = span(f"process {task.name}", told, kind="consumer", context=incoming(carrier))
    _open[task_id] = one, one.__enter__()


def _ran(task_id: str = "", state: str = "", **_: Any) -> None:
    found = _open.pop(task_id, None)
    if found is None:
        return
    one, inner = found
    if state not in ("SUCCESS", "IGNORED"):
        inner.set_attribute("error.type", str(state))
    one.__exit__(None, None, None)
