"""What is too large for a row: it goes to a file, and the row keeps a reference in its place.

What a person or tool wrote like a reference becomes the content of a file: none is forged.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.conf import settings

from config.errors import InvalidInput, NotFound
from workflows import artifacts
from workflows.domain.documents import json_text

# A row holds this in place of a value that went to a file.
REFERENCE = "$artifact"
# Of one mapping so many values go to files of their own; if that is not enough, all to one.
MOST_FILES = 64


def shorten(value: Any, *, client_id: UUID, name: str, run_id: UUID) -> str | None:
    """``value`` as JSON text, or as that of a reference to a file of the run, if it is large.

    Raises InvalidInput for what is no JSON or larger than an artifact may be.
    """
    if value is None:
        return None
    text = json_text(value, field=name)
    if not _is_long(text) and not is_reference(value):
        return text
    return json.dumps(_filed(text, client_id=client_id, name=name, run_id=run_id))


def short(value: Any, *, client_id: UUID, name: str, run_id: UUID) -> Any:
    """``value`` itself if a row can hold it, or a reference to it. Raises as ``shorten``."""
    text = json_text(value, field=name)
    if not _is_long(text) and not is_reference(value):
        return value
    return _filed(text, client_id=client_id, name=name, run_id=run_id)


def short_each(
    values: Any, *, client_id: UUID, name: str, run_id: UUID, user_id: UUID | None = None
) -> Any:
    """``values`` as a row can hold them: of a mapping its largest values are references.

    What is no mapping, or has too many values to keep apart, is one reference if it is large. The
    files are known as given by ``user_id``. Raises as ``shorten``.
    """
    if values is None:
        return None
    of: dict[str, Any] = {"client_id": client_id, "run_id": run_id, "user_id": user_id}
    text = json_text(values, field=name)
    plain = json.loads(text)
    too_long = _is_long(text)
    if not isinstance(plain, dict) or is_reference(plain):
        return _filed(text, name=name, **of) if too_long or is_reference(plain) else plain
    moved = {key for key, value in plain.items() if is_reference(value)}
    if too_long:
        moved |= _largest(plain)
    if len(moved) > MOST_FILES:
        return _filed(text, name=name, **of)
    # In one order for all: others who store the same values must not wait for us and we for them.
    for key in sorted(moved):
        part = json.dumps(plain[key], ensure_ascii=False)
        plain[key] = _filed(part, name=f"{name}.{key}", **of)
    if moved and _is_long(json.dumps(plain, ensure_ascii=False)):  # the names are what is long
        return _filed(text, name=name, **of)
    return plain


def _is_long(text: str) -> bool:
    return len(text.encode()) > settings.MAX_INLINE_BYTES


def _largest(values: dict[str, Any]) -> set[str]:
    """The values without which the rest takes up half of what a row may hold."""
    sizes = {
        key: len(json.dumps(value, ensure_ascii=False).encode()) for key, value in values.items()
    }
    left, found = sum(map(len, values)) + sum(sizes.values()), set()
    for key in sorted(sizes, key=lambda key: -sizes[key]):
        if left <= settings.MAX_INLINE_BYTES // 2:
            break
        found.add(key)
        left -= sizes[key]
    return found


def _filed(
    text: str, *, client_id: UUID, name: str, run_id: UUID, user_id: UUID | None = None
) -> dict[str, Any]:
    """A reference to the file that holds ``text``; raises InvalidInput if it is too large."""
    content = text.encode()
    if len(content) > settings.MAX_ARTIFACT_BYTES:
        limit = f"at most {settings.MAX_ARTIFACT_BYTES} bytes"
        raise InvalidInput(name, f"{len(content)} bytes", limit)
    kept = artifacts.save(
        client_id=client_id, name=f"{name[:190]}.json", content=content,
        content_type="application/json", run_id=run_id, user_id=user_id,
    )  # fmt: skip
    return {REFERENCE: str(kept.pk), "size": kept.size}


def expand(value: Any, *, client_id: UUID, run_id: UUID) -> Any:
    """The whole value of a run behind a reference that a row holds; others pass through.

    Raises NotFound for a file that is gone, or was never the run's.
    """
    if not is_reference(value):
        return value
    try:
        return json.loads(artifacts.read(value[REFERENCE], client_id=client_id, run_id=run_id))
    except ValueError:
        raise NotFound("output", value[REFERENCE]) from None


def expand_each(values: Any, *, client_id: UUID, run_id: UUID) -> Any:
    """What ``short_each`` was given."""
    of: dict[str, Any] = {"client_id": client_id, "run_id": run_id}
    if not isinstance(values, dict) or is_reference(values):
        return expand(values, **of)
    return {key: expand(value, **of) for key, value in values.items()}


def expand_items(outputs: Any, *, depth: int, client_id: UUID, run_id: UUID) -> Any:
    """The outputs of a fan-out's items, each whole: in ``depth`` lists, one or, if nested, two.

    What lies deeper was said by a tool, and is no reference whatever it looks like.
    """
    of: dict[str, Any] = {"client_id": client_id, "run_id": run_id}
    if depth == 0 or not isinstance(outputs, list):
        return outputs
    if depth == 1:
        return [expand(one, **of) for one in outputs]
    return [expand_items(one, depth=depth - 1, **of) for one in outputs]


def short_list(items: list[Any], *, client_id: UUID, name: str, run_id: UUID) -> Any:
    """``items`` if a row can hold them, or a reference that also tells their ``length``."""
    kept = short(items, client_id=client_id, name=name, run_id=run_id)
    return items if kept is items else {**kept, "length": len(items)}


def expand_list(value: Any, *, client_id: UUID, run_id: UUID) -> list[Any]:
    """What ``short_list`` was given; nothing for what was erased."""
    if isinstance(value, dict):
        value = expand({REFERENCE: value[REFERENCE]}, client_id=client_id, run_id=run_id)
    return list(value or ())


def is_reference(value: Any) -> bool:
    return isinstance(value, dict) and REFERENCE in value and value.keys() <= {REFERENCE, "size"}


def references_in(values: Any) -> dict[str, dict[str, Any]]:
    """The references among the values of a mapping, by name; its own under the name ""."""
    if is_reference(values):
        return {"": values}
    pairs = values.items() if isinstance(values, dict) else ()
    return {key: value for key, value in pairs if is_reference(value)}
