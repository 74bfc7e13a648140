"""The processes of an instance: what each runs, and when a stop reaches it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

from config.supervisor.child import Program

# A stop goes from those who bring work, over those who do it, to those they lean on.
_DOORS, _WORKERS, _SUPPORT = range(3)
# Long enough for a model's reply that is under way; a step that is cut off anyway hands its
# lease back, or is found by the sweep.
WORKER_GRACE_SECONDS = 20.0
# From the most urgent down: a strict worker takes from the first that has anything.
_IO_LANES = "high,default,low"
# What a worker has fetched ahead, nothing can overtake: one message a thread, and no more.
_NOTHING_AHEAD = ("--prefetch-multiplier", "1")
# glibc gives every thread an arena of its own; with many threads that is memory, not speed.
_FEW_ARENAS = {"MALLOC_ARENA_MAX": "2"}
# Threads share connections (measured: 826 tasks a second with a pool, 168 without).
_POOL = {"DATABASE_POOL": "1"}
# Nothing here asks workers about each other. Five seconds instead of two between signs of life:
# each is a message; Flower counts a worker as gone after twice that.
_QUIET = ("--without-gossip", "--without-mingle", "--heartbeat-interval", "5")
IO_THREADS = 4
# What most programs load and what reads no settings. The analysis worker's own libraries stay out:
# every copy would bear them. Celery's worker too: Sentry replaces what it imports by name.
LOADED_ONCE = (
    "agents.domain.catalogue",
    "agents.domain.guardrails.languages",
    "agents.domain.guardrails.output",
    "agents.domain.guardrails.pii.persons",
    "agents.domain.guardrails.signals",
    "agents.domain.retrieval",
    "celery.bin.celery",
    "cryptography.fernet",
    "django.core.handlers.asgi",
    "django.db.backends.postgresql.base",
    "django.db.migrations.executor",
    "django.template.loader",
    "django.views.generic",
    "httpx",
    "jinja2.sandbox",
    "kombu.transport.redis",
    "learning.domain.decisions",
    "limits",
    "monitoring.domain.rules",
    "openai",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk.metrics",
    "opentelemetry.sdk.trace",
    "prometheus_client",
    "psycopg_pool",
    "redis.asyncio",
    "sentry_sdk",
    "uvicorn.main",
    "workflows.domain.expressions",
)


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the instance's servers listen."""

    web: int
    flower: int
    offline_model: int  # 0: not run, an endpoint is configured


def programs(ports: Ports, *, host: str, flower_auth: str, flower: bool = True) -> list[Program]:
    """Every process of the instance. ``flower_auth`` is ``user:password``."""
    chosen = [
        _web(ports.web, host),
        _celery("beat", "beat", "--pidfile=", stage=_DOORS, grace_seconds=5.0),
        _io_worker("io1", order="strict"),
        _io_worker("io2", order="fair"),
        _analysis_worker(),
        _control_worker(),
    ]
    if ports.offline_model:
        chosen.append(_offline_model(ports.offline_model))
    if flower:
        chosen.append(_flower(ports.flower, flower_auth))
    return chosen


def _web(port: int, host: str) -> Program:
    options = ("--host", host, "--port", str(port), "--no-access-log", "--log-level", "warning")
    # Event streams never end by themselves: close them after a moment.
    stopping = ("--timeout-graceful-shutdown", "3")
    return Program(
        name="web",
        argv=(sys.executable, "-m", "uvicorn", "config.asgi:application", *options, *stopping),
        env={**_named("web"), **_POOL, **_FEW_ARENAS},
        stage=_DOORS,
        grace_seconds=8.0,
    )


def _io_worker(name: str, *, order: str) -> Program:
    """One lets urgent work pass all other, the next one sees to it that the rest gets its turn."""
    pool = ("-P", "threads", "-c", str(IO_THREADS), "-E", "-Q", _IO_LANES, *_NOTHING_AHEAD)
    return _celery(
        name, "worker", *pool, "-n", f"{name}@%h", *_QUIET, env={**_POOL, "LANE_ORDER": order},
        stage=_WORKERS, grace_seconds=WORKER_GRACE_SECONDS,
    )  # fmt: skip


def _analysis_worker() -> Program:
    pool = ("-P", "prefork", "-c", "1", "-E", "-Q", "analysis")
    return _celery(
        "analysis", "worker", *pool, "-n", "analysis@%h", *_QUIET, stage=_WORKERS,
        grace_seconds=WORKER_GRACE_SECONDS,
    )  # fmt: skip


def _control_worker() -> Program:
    """Sweeps and timers only: recovery within 30 s must not wait behind slow calls."""
    pool = ("-P", "threads", "-c", "2", "-E", "-Q", "control")
    return _celery(
        "control", "worker", *pool, "-n", "control@%h", *_QUIET, env=_POOL, stage=_WORKERS,
        grace_seconds=WORKER_GRACE_SECONDS,
    )  # fmt: skip


def _flower(port: int, auth: str) -> Program:
    """Flower, which changes nothing: anyone who may see tasks could otherwise stop workers."""
    options = (f"--port={port}", "--address=127.0.0.1", "--read_only=True")
    # As a variable: a command line would show the password to every user of the machine.
    # Who only watches gives way to those who work, at the start most of all.
    watcher = _celery(
        "flower", "flower", *options, env={"FLOWER_BASIC_AUTH": auth}, stage=_SUPPORT,
        grace_seconds=5.0,
    )  # fmt: skip
    return replace(watcher, niceness=10)


def _offline_model(port: int) -> Program:
    options = ("--host", "127.0.0.1", "--port", str(port))
    return Program(
        name="offline-model",
        argv=(sys.executable, "-m", "agents.offline_model", *options),
        env=_named("offline-model"),
        stage=_SUPPORT,
        grace_seconds=5.0,
    )


def _celery(
    name: str,
    command: str,
    *options: str,
    stage: int,
    grace_seconds: float,
    env: dict[str, str] | None = None,
) -> Program:
    return Program(
        name=name,
        argv=(sys.executable, "-m", "celery", "-A", "config", command, *options),
        # The web process and `make check` run the system checks; they load every page.
        env={**_named(name), **_FEW_ARENAS, "CELERY_SKIP_CHECKS": "1", **(env or {})},
        stage=stage,
        grace_seconds=grace_seconds,
    )


def _named(name: str) -> dict[str, str]:
    """The process's name as its database sessions and logs show it."""
    return {"RATCHET_PROCESS": f"ratchet-{name}"}
