"""What kind of issue a piece of feedback is about, by the words that people use for it."""

from __future__ import annotations

from enum import StrEnum

from learning.domain.category_model import kind_of
from learning.domain.clustering.concepts import concepts


class Category(StrEnum):
    """Kinds of issues, as reports count them."""

    PRIVACY = "privacy"
    ERROR = "error"
    ACCESS = "access"
    SOURCES = "sources"
    ACCURACY = "accuracy"
    COMPLETENESS = "completeness"
    RELEVANCE = "relevance"
    OUTDATED = "outdated"
    TONE = "tone"
    LANGUAGE = "language"
    LENGTH = "length"
    FORMAT = "format"
    SPEED = "speed"
    COST = "cost"
    SERVICE = "service"
    OTHER = "other"


def group_of(category: str) -> Category:
    """The kind of issue under which a category is counted: people may name one of their own."""
    return Category(category) if category in set(Category) else Category.OTHER


# Category → the concepts that speak for it. Of two with as many, the one that stands first: what
# harms others before what annoys.
_CONCEPTS: dict[Category, frozenset[str]] = {
    Category.PRIVACY: frozenset({"privacy"}),
    Category.ERROR: frozenset({"crash", "error"}),
    Category.ACCESS: frozenset({"login", "approval"}),
    Category.SOURCES: frozenset({"source", "invented"}),
    Category.COMPLETENESS: frozenset({"missing", "cut", "brief", "unread", "sample"}),
    Category.OUTDATED: frozenset({"outdated"}),
    Category.RELEVANCE: frozenset({"off_topic", "memory", "safety"}),
    Category.TONE: frozenset({"tone", "name"}),
    Category.LANGUAGE: frozenset({"language"}),
    Category.LENGTH: frozenset({"wordy"}),
    Category.FORMAT: frozenset({"layout", "interface", "file", "search"}),
    Category.SPEED: frozenset({"slow"}),
    Category.COST: frozenset({"price"}),
    Category.SERVICE: frozenset(
        {"support", "unanswered", "late", "delivery", "refund", "cancel", "notify"}
    ),
    # Figures are what most complaints of this trade are about, so they come last of all: a word
    # on tax is a subject, not yet an issue.
    Category.ACCURACY: frozenset(
        {"sum", "rate", "twice", "tax", "date", "currency", "contradiction", "account", "legal",
         "payroll", "period", "billing"}
    ),
}  # fmt: skip


def category_of(text: str) -> str:
    """The category that most of the text's concepts speak for, or else its words; else ``other``.

    What no list of words knows is asked of the model; empty where there is no text.
    """
    if not text.strip():
        return ""
    named = set(concepts(text))
    votes = {category: len(named & known) for category, known in _CONCEPTS.items()}
    best = max(votes, key=lambda category: votes[category])
    return best if votes[best] else kind_of(text) or Category.OTHER
