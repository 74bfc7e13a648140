"""Settings that are each fine and together impossible are refused at the start."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("STEP_HEARTBEAT", timedelta(seconds=20), "config.E001"),
        ("SWEEP_INTERVAL", timedelta(seconds=60), "config.E002"),
        ("MODEL_TIMEOUT", timedelta(days=2), "config.E003"),
        ("STEP_TIMEOUT", timedelta(days=30), "config.E004"),
        ("MODEL_CONNECT_TIMEOUT", timedelta(hours=1), "config.E005"),
        ("MAX_ARTIFACT_BYTES", 2**40, "config.E006"),
        ("INTERACTIVE_CALLS", 1000, "config.E007"),
        ("NAME_MODEL", "no_such_pipeline", "config.E010"),
        ("MODEL_FIRST_TOKEN_TIMEOUT", timedelta(hours=1), "config.E009"),
    ],
)
def test_values_that_cannot_go_together_are_named_with_what_to_do(
    settings: Any, name: str, value: Any, fault: str
) -> None:
    setattr(settings, name, value)
    with pytest.raises(SystemCheckError) as refused:
        call_command("check")
    assert fault in str(refused.value)
    assert name in str(refused.value)


def test_the_shipped_settings_go_together() -> None:
    call_command("check")


def test_a_stream_may_begin_as_late_as_a_whole_reply_may_end(settings: Any) -> None:
    assert settings.MODEL_FIRST_TOKEN_TIMEOUT == settings.MODEL_TIMEOUT


def test_a_mail_server_is_spoken_to_in_one_way(settings: Any) -> None:
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = True
    with pytest.raises(SystemCheckError, match=r"config\.E008") as refused:
        call_command("check")
    assert "EMAIL_USE_SSL" in str(refused.value)
