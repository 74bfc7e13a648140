"""Keys of endpoints at rest: encrypted with a key derived from the installation's secret."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

from config.errors import Unavailable


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
