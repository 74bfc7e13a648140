"""System checks for settings that are each fine and together impossible."""

from __future__ import annotations

import importlib.util
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

# Somebody's work must go on within this after a worker died.
RECOVERY_LIMIT = timedelta(seconds=30)


@register(Tags.compatibility)
def related_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """All faults of all pairs, each with both values and what to change."""
    return list(
        filter(
            None,
            [
                _less("STEP_HEARTBEAT", settings.STEP_HEARTBEAT * 3, "STEP_LEASE", "config.E001",
                      "a lease must outlive three heartbeats; raise STEP_LEASE_SECONDS or lower "
                      "STEP_HEARTBEAT_SECONDS"),
                _recovery(),
                _less("MODEL_TIMEOUT", settings.MODEL_TIMEOUT, "STEP_TIMEOUT", "config.E003",
                      "one reply must fit into a step; raise STEP_TIMEOUT_SECONDS"),
                _less("STEP_TIMEOUT", settings.STEP_TIMEOUT, "VISIBILITY_TIMEOUT", "config.E004",
                      "Redis would give a running step out again; raise "
                      "VISIBILITY_TIMEOUT_SECONDS"),
                _less("MODEL_CONNECT_TIMEOUT", settings.MODEL_CONNECT_TIMEOUT, "MODEL_TIMEOUT",
                      "config.E005", "connecting is part of a reply; lower "
                      "MODEL_CONNECT_TIMEOUT_SECONDS"),
                _first_token(),
                _upload(),
                _threads(),
                _mail(),
                _name_model(),
            ],
        )
    )  # fmt: skip


def _less(
    name: str, value: timedelta, other: str, check_id: str, advice: str
) -> CheckMessage | None:
    limit: timedelta = getattr(settings, other)
    if value < limit:
        return None
    return Error(
        f"{name} ({value.total_seconds():g} s counted) is not less than {other} "
        f"({limit.total_seconds():g} s): {advice}.",
        id=check_id,
    )


def _recovery() -> CheckMessage | None:
    total = settings.STEP_LEASE + settings.SWEEP_INTERVAL
    if total <= RECOVERY_LIMIT:
        return None
    return Error(
        f"STEP_LEASE + SWEEP_INTERVAL is {total.total_seconds():g} s: a dead worker's steps "
        f"must go on within {RECOVERY_LIMIT.total_seconds():g} s; lower one of them.",
        id="config.E002",
    )


def _first_token() -> CheckMessage | None:
    if settings.MODEL_FIRST_TOKEN_TIMEOUT <= settings.MODEL_TIMEOUT:
        return None
    return Error(
        f"MODEL_FIRST_TOKEN_TIMEOUT ({settings.MODEL_FIRST_TOKEN_TIMEOUT.total_seconds():g} s) is "
        f"more than MODEL_TIMEOUT ({settings.MODEL_TIMEOUT.total_seconds():g} s): the first token "
        "is part of a reply; lower MODEL_FIRST_TOKEN_TIMEOUT_SECONDS.",
        id="config.E009",
    )


def _upload() -> CheckMessage | None:
    if settings.MAX_ARTIFACT_BYTES < settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        return None
    return Error(
        f"MAX_ARTIFACT_BYTES ({settings.MAX_ARTIFACT_BYTES}) is not less than "
        f"DATA_UPLOAD_MAX_MEMORY_SIZE ({settings.DATA_UPLOAD_MAX_MEMORY_SIZE}).",
        id="config.E006",
    )


def _threads() -> CheckMessage | None:
    if settings.INTERACTIVE_CALLS < settings.WEB_THREADS:
        return None
    return Error(
        f"INTERACTIVE_CALLS ({settings.INTERACTIVE_CALLS}) is not less than WEB_THREADS "
        f"({settings.WEB_THREADS}): calls would wait where a 429 is promised, and hold up pages; "
        "raise WEB_THREADS.",
        id="config.E007",
    )


def _mail() -> CheckMessage | None:
    if not (settings.EMAIL_USE_TLS and settings.EMAIL_USE_SSL):
        return None
    return Error(
        f"EMAIL_USE_TLS and EMAIL_USE_SSL are both on for port {settings.EMAIL_PORT}: a connection "
        "is either upgraded (587) or encrypted from its first byte (465); switch one off.",
        id="config.E008",
    )


def _name_model() -> CheckMessage | None:
    name = settings.NAME_MODEL
    is_package = name.isidentifier() and importlib.util.find_spec(name) is not None
    if name == "-" or is_package or Path(name).is_dir():
        return None
    return Error(
        f"NAME_MODEL ({name}) is neither an installed package nor a folder: calls of agents that "
        "look for names would fail; install the pipeline, or set it to -.",
        id="config.E010",
    )
