"""Secrets of one installation, made once and kept beside its data, readable by its owner only."""

from __future__ import annotations

import os
import secrets
from importlib.util import find_spec
from pathlib import Path


def secret_key(home: Path) -> str:
    """The installation's secret: ``<home>/secret_key``, made (mode 0600) at the first call."""
    path = home / "secret_key"
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    home.mkdir(parents=True, exist_ok=True)
    # Written whole under another name, then linked: whoever looks meanwhile never sees a part.
    partial = home / f".secret_key-{os.getpid()}"
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(48))
    try:
        os.link(partial, path)
    except FileExistsError:
        pass  # another process of the same start was quicker; its secret is the one
    finally:
        partial.unlink()
    return path.read_text().strip()


def package_folder(name: str) -> Path:
    """Where the installed package ``name`` lies, without importing it."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(name)
    return Path(spec.origin).parent
