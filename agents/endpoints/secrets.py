"""Keys of endpoints at rest: encrypted with a key derived from the installation's secret."""

from __future__ import annotations

import base64
import hashlib
import os
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

from config.errors import InvalidInput, Unavailable

# Variables that open the installation itself: they are sent to nobody, whoever asks for it.
_OWN = (
    "ARTIFACT_", "BROKER_", "CACHE_", "DATABASE_", "DJANGO_", "EMAIL_", "LAKE_", "METRICS_",
    "OTEL_", "PG", "RATCHET_", "REDIS_", "RESULT_", "SECRET_", "SENTRY_", "WORK_ITEM_",
)  # fmt: skip


def check_variable(field: str, name: str) -> None:
    """Raise InvalidInput if a credential is to come from a variable of the installation's own."""
    if name.startswith(_OWN):
        raise InvalidInput(field, name, "a variable for this credential, not the installation's")


def variable(name: str) -> str:
    """The credential in a variable, empty without one; never what opens the installation."""
    return "" if name.startswith(_OWN) else os.environ.get(name, "")


def seal_secret(plain: str) -> bytes:
    """``plain`` encrypted."""
    return _box(settings.SECRET_KEY).encrypt(plain.encode())


def open_secret(sealed: bytes) -> str:
    """What was sealed; raises Unavailable if SECRET_KEY has changed since."""
    try:
        return _box(settings.SECRET_KEY).decrypt(sealed).decode()
    except InvalidToken:
        why = "it was encrypted under another SECRET_KEY; enter it again"
        raise Unavailable("the endpoint's API key", why, 60) from None


@lru_cache(maxsize=2)
def _box(secret: str) -> Fernet:
    derived = hashlib.sha256(b"ratchet endpoint keys" + secret.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(derived))
