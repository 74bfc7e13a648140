"""Signed statements of how far the chain reached: who truncates the log can't take them back.

The key pair follows from the installation's secret, which the database does not hold.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """After seal ``number`` the chain had ``sequence`` entries and this digest (hex)."""

    number: int
    sequence: int
    digest: str
    at: str


def key_of(secret: str) -> Ed25519PrivateKey:
    """The signing key of an installation."""
    seed = hashlib.sha256(b"ratchet audit checkpoint v1\0" + secret.encode()).digest()
    return Ed25519PrivateKey.from_private_bytes(seed)


def signed(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    """The checkpoint as a JSON document with its Ed25519 signature and public key (hex)."""
    return json.dumps(
        {
            **asdict(checkpoint),
            "public_key": key.public_key().public_bytes_raw().hex(),
            "signature": key.sign(_message(checkpoint)).hex(),
        },
        sort_keys=True,
    )


def read(text: str, public_key: Ed25519PublicKey) -> Checkpoint:
    """The checkpoint in ``text``. Raises ValueError unless ``public_key`` signed just that."""
    try:
        found = json.loads(text)
        if not isinstance(found, Mapping):
            raise TypeError("not an object")
        checkpoint = Checkpoint(
            number=int(found["number"]),
            sequence=int(found["sequence"]),
            digest=str(found["digest"]),
            at=str(found["at"]),
        )
        public_key.verify(bytes.fromhex(str(found["signature"])), _message(checkpoint))
    except InvalidSignature:
        raise ValueError("the signature does not fit") from None
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a checkpoint: {error}") from None
    return checkpoint


def read_by_its_own_key(text: str) -> Checkpoint:
    """A checkpoint that whatever key it names has signed: whole, but not known to be ours.

    Raises ValueError for one that was changed.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(json.loads(text)["public_key"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a checkpoint: {error}") from None
    return read(text, key)


def _message(checkpoint: Checkpoint) -> bytes:
    return json.dumps(asdict(checkpoint), sort_keys=True).encode()
