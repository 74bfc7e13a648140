# ruff: noqa: E501 (patterns and word lists read better whole)
"""Credentials in a text: provider keys, private keys, tokens, passwords in URLs and settings."""

from __future__ import annotations

import math
import re
from collections import Counter

from agents.domain.guardrails.findings import Span, longest_first

_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("PRIVATE_KEY", re.compile(
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:.{0,8000}?-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----|[A-Za-z0-9+/=\s]{0,8000})",
        re.DOTALL)),
    ("JWT", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}")),
    ("API_KEY", re.compile(
        r"(?<![\w-])(?:sk-(?:proj-|ant-|or-|live-)?[A-Za-z0-9_-]{20,200}|[sr]k_(?:live|test)_[A-Za-z0-9]{16,100}"
        r"|rk_[A-Za-z0-9_-]{24,100}|gh[pousr]_[A-Za-z0-9]{30,100}|github_pat_[A-Za-z0-9_]{40,100}"
        r"|glpat-[A-Za-z0-9_-]{20,60}|xox[abeoprs]-[A-Za-z0-9-]{10,120}|AIza[A-Za-z0-9_-]{35}"
        r"|ya29\.[A-Za-z0-9_-]{30,300}|SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{30,60}|hf_[A-Za-z0-9]{30,60}"
        r"|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,300}|dop_v1_[a-f0-9]{64}|key-[a-f0-9]{32}|AC[a-f0-9]{32}"
        r"|shpat_[a-fA-F0-9]{32}|sq0(?:atp|csp)-[A-Za-z0-9_-]{22,60}|lin_api_[A-Za-z0-9]{30,60}"
        r"|hvs\.[A-Za-z0-9_-]{24,120}|dckr_pat_[A-Za-z0-9_-]{20,60}|whsec_[A-Za-z0-9+/=]{24,80}|GOCSPX-[A-Za-z0-9_-]{20,40}|dapi[a-f0-9]{32}"
        r"|gl(?:sa|c)_[A-Za-z0-9_=+/-]{30,160}|sntry[su]_[A-Za-z0-9_=+/-]{30,200}|NRAK-[A-Z0-9]{27}|PMAK-[a-f0-9]{24}-[a-f0-9]{34}"
        r"|gsk_[A-Za-z0-9]{40,60}|xai-[A-Za-z0-9]{40,100}|r8_[A-Za-z0-9]{36,40}|pplx-[A-Za-z0-9]{40,60}|figd_[A-Za-z0-9_-]{30,60}"
        r"|ATATT3x[A-Za-z0-9_=-]{60,250}|pat[A-Za-z0-9]{14}\.[a-f0-9]{64}|ntn_[A-Za-z0-9]{40,60}|secret_[A-Za-z0-9]{43}|sbp_[a-f0-9]{40}"
        r"|nfp_[A-Za-z0-9]{36,40}|pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_=.-]{30,60}|dp\.(?:pt|st|ct)\.[A-Za-z0-9.]{40,60}|EAAA[A-Za-z0-9_-]{56,64}"
        r"|[a-zA-Z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70}|[0-9a-f]{32}-us\d{1,2}|\d{8,10}:AA[A-Za-z0-9_-]{33}|SK[a-f0-9]{32}"
        r"|AGE-SECRET-KEY-1[A-Z0-9]{58})(?![\w-])")),
    ("API_KEY", re.compile(
        r"https://hooks\.slack\.com/services/T[A-Z0-9]{6,12}/B[A-Z0-9]{6,12}/[A-Za-z0-9]{20,30}"
        r"|https://(?:\w+\.)?discord(?:app)?\.com/api/webhooks/\d{15,21}/[A-Za-z0-9_-]{50,80}"
        r"|(?<=[?&]sig=)[A-Za-z0-9%+/=]{40,80}")),
    ("AWS_KEY", re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA|AIDA|AROA)[A-Z0-9]{16}(?![A-Z0-9])")),
    ("CONNECTION_STRING", re.compile(
        r"\b(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|redis|rediss|amqps?|mssql|oracle|ftp|sftp|"
        r"smtp|ldaps?|https?|kafka|clickhouse)(?:\+\w+)?://[^\s:/@\"'<>]{0,120}:[^\s@\"'<>]{1,200}@[^\s\"'<>]{1,200}")),
    ("CONNECTION_STRING", re.compile(
        r"(?:AccountKey|SharedAccessKey|Password|Pwd)=(?![$<{*%⟦])[^;\s\"']{6,200}(?=;|\s|$|[\"'])", re.IGNORECASE)),
)  # fmt: skip
_ASSIGNED = re.compile(
    r"(?<![A-Za-z])((?:[\w-]{0,30}[_-])?(?:api[_-]?key|secret(?:[_-]?(?:key|access[_-]?key))?|access[_-]?token|"
    r"auth[_-]?token|refresh[_-]?token|bearer|client[_-]?secret|private[_-]?key|passw(?:or)?d|passwd|pwd|"
    r"passphrase|passwort|kennwort|mot de passe|contraseña|token|credential))[\"']?\s{0,3}(?:[:=]|\bis\b|=>)\s{0,3}"
    r"[\"'`]?([^\s\"'`,;<>{}()\[\]]{6,200})",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(?:Bearer|Basic|Token)\s+([A-Za-z0-9._~+/=-]{16,500})")
_PLACEHOLDER = re.compile(
    r"^(?:\$|\*+$|x{3,}$|\.{3,}|<|%|your|example|changeme|placeholder|redacted|none|null|true|false|"
    r"os\.|env|process\.|settings\.|config\.|self\.|required|optional|string|must|should|not|wrong|"
    r"correct|invalid|expired|incorrect|missing|stored|needed|hidden|secret$|password$|⟦)",
    re.IGNORECASE,
)


# Plain strings without which a pattern cannot match: most texts have none of them.
_NEEDS = {"PRIVATE_KEY": ("-----BEGIN",), "JWT": ("eyJ",), "CONNECTION_STRING": ("://", "=")}
_NAMES = ("key", "secret", "token", "pass", "pwd", "kennwort", "contrase", "credential", "bearer")


def find_secrets(text: str) -> tuple[Span, ...]:
    """Credentials in ``text``, without overlaps. A placeholder such as ``$TOKEN`` is none."""
    spans = [
        Span(kind, m.start(), m.end(), 0.95)
        for kind, pattern in _PATTERNS
        if kind not in _NEEDS or any(word in text for word in _NEEDS[kind])
        for m in pattern.finditer(text)
    ]
    lower = text.lower()
    named = any(word in lower for word in _NAMES)
    for m in _ASSIGNED.finditer(text) if named else ():
        value = m[2].rstrip(".!?:")
        if _looks_secret(value, named_password="pass" in m[1].lower()):
            spans.append(Span("PASSWORD", m.start(2), m.start(2) + len(value), 0.7))
    for m in _BEARER.finditer(text):
        if _looks_secret(m[1], named_password=False):
            spans.append(Span("TOKEN", m.start(1), m.end(1), 0.8))
    return longest_first(spans)


def _looks_secret(value: str, *, named_password: bool) -> bool:
    """Neither a placeholder nor a plain word: mixed kinds of characters or high entropy."""
    if len(value) < 6 or _PLACEHOLDER.match(value):
        return False
    kinds = sum(
        any(test(c) for c in value)
        for test in (str.islower, str.isupper, str.isdigit, lambda c: not c.isalnum())
    )
    if named_password:
        return kinds >= 2 and not re.fullmatch(r"[A-Z]?[a-z]+[.-]?[a-z]*", value)
    return kinds >= 2 and entropy_bits(value) >= 2.8 and any(c.isdigit() for c in value)


def entropy_bits(value: str) -> float:
    """Shannon entropy of the characters of ``value``, in bits per character."""
    counts = Counter(value)
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())
