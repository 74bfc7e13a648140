"""Notices of confidentiality, which stand below letters and mails whatever these say."""

from __future__ import annotations

import re

# Only of these words may a notice be made: no order can be spelled with them.
_WORDS = (
    "a|above|addressed|addressee|addressees|alone|an|and|any|are|as|attached|attachment|attachments|be|by|"
    "communication|confidence|confidential|contain|contained|contains|content|contents|document|"
    "e-mail|email|enclosed|entity|exclusively|file|files|for|has|have|in|individual|information|"
    "intended|intends|is|it|its|legally|letter|mail|material|may|meant|message|named|of|on|only|or|"
    "organisation|organization|person|personal|persons|private|privilege|privileged|protected|"
    "receiver|recipient|recipients|sensitive|sent|solely|statement|strictly|that|the|their|they|"
    "this|to|transmission|transmitted|use|was|were|which|who|whom|with"
)
_NOTICE = re.compile(
    r"(?<!\S)(?:confidentiality notice: )?(?:the|this|these|private|strictly|confidential|for|only)"
    rf"(?:,? (?:{_WORDS})\b){{2,40}}(?:[.!]|$)"
)
_SAYS = ("confidential", "privileged", "intended", "addressee")


def without_notices(plain: str) -> str:
    """A plain reading without its notices: they read a little like demands for secrets."""
    if not any(word in plain for word in _SAYS):
        return plain
    return _NOTICE.sub(_left, plain).strip()


def _left(match: re.Match[str]) -> str:
    return "" if any(word in match[0] for word in _SAYS) else match[0]
