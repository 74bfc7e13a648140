"""What is known of a person, given out as a file or erased: one list of those who know something.

A provider is a module with ``export_subject(subject)`` (name → JSON-ready value),
``erase_subject(subject, keep_records)`` (name → how many), and, where it stores files,
``files_of(subject)``. Erasing is one transaction: it happens whole or not at all.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import models, transaction
from django.utils.module_loading import import_string

from config import logs
from config.access.models import User
from config.errors import InvalidInput, NotFound

logger = logging.getLogger(__name__)

# Whoever depends on others comes first: it finds its rows by theirs, which are blank afterwards.
PROVIDERS = (
    "learning.privacy",
    "workflows.privacy",
    "agents.privacy",
    "monitoring.privacy",
    "config.access.privacy",
)
ERASED = "erased"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Subject:
    """A person. Only the id is certain: the account may be gone, and nobody has to have names."""

    id: UUID
    username: str = ""
    name: str = ""
    email: str = ""

    @property
    def principal(self) -> str:
        """As ``Caller.principal`` writes a signed-in person."""
        return f"user:{self.id}"


@dataclass(frozen=True, slots=True)
class Export:
    """A zip of JSON documents and files, with a manifest that names and digests each."""

    content: bytes
    manifest: dict[str, Any]


def subject_of(given: UUID | str) -> Subject:
    """The person with this id. Raises InvalidInput for what is no UUID."""
    try:
        key = given if isinstance(given, UUID) else UUID(given)
    except ValueError:
        raise InvalidInput("subject_id", given, "the UUID of a user (see /admin)") from None
    user = User.objects.filter(pk=key).first()
    if user is None:
        return Subject(key)
    return Subject(key, user.username, str(user), user.email)


def export_subject(given: UUID | str, *, actor: str) -> Export:
    """Everything known of a person. Raises NotFound if nobody knows anything of such an id."""
    subject = subject_of(given)
    entries: dict[str, bytes] = {}
    counts: dict[str, int] = {}
    with transaction.atomic():
        for provider in PROVIDERS:
            module, area = import_module(provider), _area(provider)
            for name, rows in module.export_subject(subject).items():
                counts[f"{area}/{name}"] = len(rows)
                if rows:
                    entries[f"{area}/{name}.json"] = _as_json(rows)
            if hasattr(module, "files_of"):
                entries.update({f"{area}/{n}": content for n, content in module.files_of(subject)})
        if not entries:
            raise NotFound("person", subject.id)
        _audit(actor=actor, action="privacy.subject.exported", target=f"user:{subject.id}",
               after={"counts": counts})  # fmt: skip
    manifest = {
        "format": FORMAT,
        "subject_id": str(subject.id),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "installation": settings.INSTALLATION,
        "counts": counts,
        "files": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in sorted(entries.items())
        },
    }
    return Export(_zipped({"manifest.json": _as_json(manifest), **entries}), manifest)


def erase_subject(given: UUID | str, *, actor: str, keep_records: bool = False) -> dict[str, int]:
    """Erase a person; returns how much of each. Harmless to repeat.

    The account stays as an empty shell, so that what others did with the person's work can still
    be read. ``keep_records`` leaves runs and files that are their client's records and takes only
    the person's name off them. Raises NotFound for an id that nobody knows, Conflict while runs
    of the person are under way, or for the last administrator.
    """
    subject = subject_of(given)
    done: dict[str, int] = {}
    with transaction.atomic():
        for provider in PROVIDERS:
            counts = import_module(provider).erase_subject(subject, keep_records=keep_records)
            done |= {f"{_area(provider)}.{name}": count for name, count in counts.items() if count}
        if not done and not subject.username:
            raise NotFound("person", subject.id)
        _audit(actor=actor, action="privacy.subject.erased", target=f"user:{subject.id}",
               after={"keep_records": keep_records, "counts": done})  # fmt: skip
    logs.event(logger, "privacy.subject.erased", subject=str(subject.id), rows=sum(done.values()))
    return done


def names_of(subject: Subject) -> list[str]:
    """What a record may call the person by."""
    return [word for word in (subject.name, subject.username, subject.principal) if word]


def take_name_off(subject: Subject, places: Iterable[tuple[type[models.Model], str]]) -> int:
    """Write ``ERASED`` where a text column holds just the person's name, username or principal."""
    known = names_of(subject)
    return sum(
        model._base_manager.filter(**{f"{field}__in": known}).update(**{field: ERASED})
        for model, field in places
    )


def another_name(subject_id: UUID) -> str:
    """What stands for the person where something is counted by person."""
    return f"{ERASED}-{hashlib.sha256(subject_id.bytes).hexdigest()[:32]}"


def as_rows(rows: models.QuerySet[Any]) -> list[dict[str, Any]]:
    """All columns of all rows, ready for JSON."""
    return list(rows.values().iterator())


def _area(provider: str) -> str:
    return provider.removesuffix(".privacy").rpartition(".")[2]


def _as_json(value: Any) -> bytes:
    return json.dumps(value, default=str, ensure_ascii=False, indent=1).encode()


def _zipped(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _audit(**entry: Any) -> None:
    # The ground imports no app; the log's writer is named in settings.
    import_string(settings.AUDIT_WRITER)(**entry)
