"""Where the services keep their data, and as whom they run.

An ordinary user's services run as that user, below the home folder. PostgreSQL refuses root, so
root's run as ``nobody`` (or as whoever owns the data already): below the home folder where that
account may go, else below ``/var/lib/ratchet``, with a pointer file in the home folder. Nothing
that exists gets wider permissions.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from config.embedded.errors import ServiceFailed
from config.processes import Account, run

_UNPRIVILEGED = "nobody"
_ELSEWHERE = Path("/var/lib/ratchet")
_POINTER = "data-location"
_SHELL = "/bin/sh"


@dataclass(frozen=True, slots=True)
class Place:
    """``home`` holds state and logs; ``data`` holds the services' folders, of ``account``."""

    home: Path
    data: Path
    account: Account | None  # None: as ourselves

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    def folder(self, name: str) -> Path:
        """A service's folder, ours; its data in it is the account's. Raises ServiceFailed.

        Root never writes into a folder of the account: a link put there would lead it astray.
        """
        folder = self.data / name
        try:
            folder.mkdir(mode=0o711 if self.account else 0o700, exist_ok=True)
        except OSError as error:
            raise ServiceFailed("storage", f"cannot make {folder}: {error.strerror}") from error
        return folder

    def make_data(self, folder: Path) -> None:
        """An empty folder (0700) that belongs to the services' account. Raises OSError."""
        folder.mkdir(mode=0o700)
        self.give(folder)

    def give(self, path: Path) -> None:
        """Make our own file or folder the services' account's. Raises OSError."""
        if self.account:
            os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)

    def check_owner(self, data: Path) -> None:
        """Raise ServiceFailed if existing data belongs to another user than it is run as."""
        uid = data.stat().st_uid
        ours = self.account.uid if self.account else os.geteuid()
        if uid != ours:
            raise ServiceFailed(
                "storage", f"{data} belongs to user {uid}, and the services run as {ours}"
            )

    def may_run(self, program: Path) -> bool:
        """Whether the services' account can execute this program."""
        return self.account is None or _as_account(self.account, '[ -x "$1" ]', program)


def settle(home: Path) -> Place:
    """Make the home folder and decide where data goes. Raises ServiceFailed, one line.

    A second call with the same home gives the same place.
    """
    home = home.absolute()
    try:
        # Only the search bit for others, so that the services' account can pass through.
        home.mkdir(parents=True, exist_ok=True, mode=0o711 if os.geteuid() == 0 else 0o700)
        (home / "logs").mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise ServiceFailed("storage", f"cannot make {home}: {error.strerror}") from error
    if not os.access(home, os.W_OK | os.X_OK):
        raise ServiceFailed("storage", f"cannot write to {home}: permission denied")
    pointer = home / _POINTER
    data = Path(pointer.read_text().strip()) if pointer.exists() else home
    if os.geteuid() != 0:
        return Place(home, data, None)
    account = _owner_of_data(data) or _nobody()
    if data == home and not _as_account(account, 'cd "$1"', home):
        data = _elsewhere(home)
        pointer.write_text(f"{data}\n")
    return Place(home, data, account)


def _owner_of_data(data: Path) -> Account | None:
    """Who already owns a service's folder here, unless that is root."""
    for folder in sorted(data.glob("postgres-*/data")) + sorted(data.glob("redis/data")):
        stat = folder.stat()
        if stat.st_uid != 0:
            return Account(stat.st_uid, stat.st_gid)
    return None


def _nobody() -> Account:
    try:
        return Account.of_name(_UNPRIVILEGED)
    except KeyError as error:
        why = f"as root it needs the user {_UNPRIVILEGED!r}, which this machine has not"
        raise ServiceFailed("PostgreSQL", why) from error


def _elsewhere(home: Path) -> Path:
    data = _ELSEWHERE / hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o711)
    except OSError as error:
        raise ServiceFailed("storage", f"cannot make {data}: {error.strerror}") from error
    return data


def _as_account(account: Account, script: str, path: Path) -> bool:
    """Whether a shell line succeeds for this account: the kernel judges, ACLs included."""
    return run([_SHELL, "-c", script, "sh", path], account=account).returncode == 0
