"""Exports of a person's data, kept for a day where artifacts lie, for whoever asked to fetch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from config.access.ids import uuid7
from config.errors import NotFound
from config.partitions import time_of
from config.privacy import Export, Subject

FOLDER = "exports"


@dataclass(frozen=True, slots=True)
class Kept:
    """One export that waits. ``name`` is its file in the storage."""

    id: UUID
    name: str
    made_at: datetime

    @property
    def expires_at(self) -> datetime:
        return self.made_at + settings.EXPORT_KEPT


def keep(subject: Subject, export: Export) -> dict[str, Any]:
    """Store an export; returns the document that tells where it is and what is in it."""
    forget_expired()
    kept_id = uuid7()
    name = default_storage.save(f"{FOLDER}/{subject.id}/{kept_id}.zip", ContentFile(export.content))
    kept = Kept(kept_id, name, time_of(kept_id))
    return {
        "id": str(kept_id),
        "subject_id": str(subject.id),
        "bytes": len(export.content),
        "sha256": hashlib.sha256(export.content).hexdigest(),
        "expires_at": kept.expires_at.isoformat(),
        "href": f"/api/v1/privacy/exports/{kept_id}",
        "manifest": export.manifest,
    }


def find(export_id: UUID) -> Kept:
    """The export with this id. Raises NotFound when it has expired or never was."""
    for kept in _all():
        if kept.id == export_id and kept.expires_at > timezone.now():
            return kept
    raise NotFound("export", export_id)


def subject_id_of(kept: Kept) -> UUID:
    """Whom it is about."""
    return UUID(kept.name.split("/")[-2])


def forget_expired() -> int:
    """Remove what nobody may fetch any more; returns how many."""
    gone = [kept for kept in _all() if kept.expires_at <= timezone.now()]
    for kept in gone:
        default_storage.delete(kept.name)
    return len(gone)


def forget_subject(subject: Subject) -> int:
    """Remove every export about this person."""
    gone = [kept for kept in _all() if subject_id_of(kept) == subject.id]
    for kept in gone:
        default_storage.delete(kept.name)
    return len(gone)


def _all() -> list[Kept]:
    try:
        folders, _ = default_storage.listdir(FOLDER)
    except FileNotFoundError:
        return []
    found = []
    for folder in folders:
        for file in default_storage.listdir(f"{FOLDER}/{folder}")[1]:
            key = UUID(file.removesuffix(".zip"))
            found.append(Kept(key, f"{FOLDER}/{folder}/{file}", time_of(key)))
    return found
