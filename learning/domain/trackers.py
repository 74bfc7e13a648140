"""What an issue tracker calls the item that it made, read from its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# As GitHub, GitLab, Jira, Linear, Azure and simple receivers name them; the first wins.
_IDS = ("key", "identifier", "iid", "number", "id")
_LINKS = ("html_url", "web_url", "permalink", "url", "link", "self")
# Where some trackers put the item in their answer.
_INSIDE = ("issue", "data", "item", "result")
LONGEST_ID, LONGEST_LINK = 100, 1000


def reference(answer: Any, location: str = "") -> dict[str, str]:
    """``{"id", "url"}`` of what was made; each empty where the answer does not say it.

    A link is one that a browser may follow (http or https); ``location`` is the answer's header.
    """
    found = {"id": "", "url": _link(location)}
    if not isinstance(answer, Mapping):
        return found
    places = [answer, *(answer[k] for k in _INSIDE if isinstance(answer.get(k), Mapping))]
    for place in places:
        found["id"] = found["id"] or next(filter(None, (_id(place.get(k)) for k in _IDS)), "")
        found["url"] = found["url"] or next(filter(None, (_link(place.get(k)) for k in _LINKS)), "")
    return found


def _id(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value).strip()[:LONGEST_ID]


def _link(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_LINK:
        return ""
    return value if value.startswith(("https://", "http://")) else ""
