"""Comments grouped so that last week's topics are found again.

Telling words shift from week to week, so ids are not made from them: the comment that stood for
a topic last time is grouped along with the new ones, and whoever joins it joins its topic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from learning.domain.clustering.comments import MOST_COMMENTS, group_comments
from learning.domain.clustering.identity import fingerprint


@dataclass(frozen=True, slots=True)
class NamedTopic:
    """One topic with its lasting id; ``members`` and ``example`` are places in the comments."""

    key: str
    words: tuple[str, ...]
    members: tuple[int, ...]
    example: int
    is_new: bool


def named_topics(comments: Sequence[str], known: Mapping[str, str]) -> list[NamedTopic]:
    """Topics of ``comments``, biggest first. ``known`` maps ids to the text that stood for each.

    A group that holds several known texts takes the id of the first of them. Raises ValueError
    when comments and known texts together are more than MOST_COMMENTS.
    """
    if len(comments) + len(known) > MOST_COMMENTS:
        raise ValueError(
            f"need at most {MOST_COMMENTS} comments and known topics, "
            f"got {len(comments) + len(known)}"
        )
    keys = list(known)
    found = []
    taken = set(known)
    for topic in group_comments([*(known[key] for key in keys), *comments]):
        members = tuple(m - len(keys) for m in topic.members if m >= len(keys))
        if not members:
            continue
        old = sorted(m for m in topic.members if m < len(keys))
        example = topic.example - len(keys) if topic.example >= len(keys) else members[0]
        key = keys[old[0]] if old else _fresh(comments[example], taken)
        taken.add(key)
        found.append(NamedTopic(key, topic.words, members, example, not old))
    return sorted(found, key=lambda t: (-len(t.members), t.members[0]))


def _fresh(text: str, taken: set[str]) -> str:
    words = text.lower().split()
    key, salt = fingerprint(words), 0
    while key in taken:
        salt += 1
        key = fingerprint([*words, str(salt)])
    return key
