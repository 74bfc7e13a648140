"""Comments and complaints grouped by what they talk about.

Words, parts of words and concepts ("laggy" is slow) are weighed by rarity and compared by angle;
groups are joined as long as their members are alike on average. No model is needed, and spelling
mistakes do little harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from learning.domain import numeric
from learning.domain.clustering.concepts import concepts
from learning.domain.clustering.masking import mask

# Average similarity (0 to 1) from which two groups are one.
MIN_SIMILARITY = 0.15
# Pairs are compared, so the cost is quadratic: 2,000 comments take about a second.
MOST_COMMENTS = 2_000
LABEL_WORDS = 4
# Parts of words count this much beside whole words.
PARTS_WEIGHT = 0.5
# A shared concept counts this much beside a shared rare word.
CONCEPT_WEIGHT = 1.5


@dataclass(frozen=True, slots=True)
class Topic:
    """One group: its comments by index, the one nearest to its middle, and its telling words."""

    members: tuple[int, ...]
    example: int
    words: tuple[str, ...]


def group_comments(
    comments: Sequence[str], *, min_similarity: float = MIN_SIMILARITY
) -> list[Topic]:
    """Topics, biggest first; a comment like no other is a topic of its own.

    Raises ValueError with more than ``MOST_COMMENTS`` comments: sample before.
    """
    if len(comments) > MOST_COMMENTS:
        raise ValueError(f"need at most {MOST_COMMENTS} comments, got {len(comments)}")
    texts = [mask(c.lower()) for c in comments]
    if not texts or not any(any(ch.isalnum() for ch in t) for t in texts):
        return [Topic((i,), i, ()) for i in range(len(texts))]
    words = numeric.texts().TfidfVectorizer(
        stop_words=list(numeric.texts().ENGLISH_STOP_WORDS - {"not", "no", "never", "wrong"}),
        token_pattern=r"[a-z][a-z'-]+|<\w+>",  # noqa: S106  # a pattern of words, no secret
        sublinear_tf=True,
    )
    parts = numeric.texts().TfidfVectorizer(
        analyzer="char_wb", ngram_range=(4, 4), sublinear_tf=True
    )
    try:
        weights = words.fit_transform(texts)
    except ValueError:  # nothing but stop words
        return [Topic((i,), i, ()) for i in range(len(texts))]
    blocks = [weights, PARTS_WEIGHT * parts.fit_transform(texts)]
    meant = [concepts(c) for c in comments]
    if any(meant):
        themes = numeric.texts().TfidfVectorizer(analyzer=list)
        blocks.append(CONCEPT_WEIGHT * themes.fit_transform(meant))
    features = numeric.sparse().hstack(blocks).tocsr()
    labels = _labels(features, min_similarity)
    names = np.asarray(words.get_feature_names_out())
    topics = [
        _topic(np.flatnonzero(labels == label), features, weights, names)
        for label in range(int(labels.max()) + 1)
    ]
    return sorted(topics, key=lambda t: (-len(t.members), t.members[0]))


def _similarities(features: object) -> np.ndarray:
    rows = features.toarray()  # type: ignore[attr-defined]
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / np.maximum(lengths, 1e-12)
    return np.asarray(np.clip(unit @ unit.T, 0.0, 1.0))


def _labels(features: object, min_similarity: float) -> np.ndarray:
    similar = _similarities(features)
    if len(similar) == 1:
        return np.zeros(1, dtype=int)
    model = numeric.clusters().AgglomerativeClustering(
        n_clusters=None,
        metric="precomputed",
        linkage="average",
        distance_threshold=1 - min_similarity,
    )
    return np.asarray(model.fit_predict(1 - similar))


def _topic(members: np.ndarray, features: object, weights: object, names: np.ndarray) -> Topic:
    inside = features[members]  # type: ignore[index]
    example = int(members[int(np.argmax(_similarities(inside).sum(axis=1)))])
    strength = np.asarray(weights[members].sum(axis=0)).ravel()  # type: ignore[index]
    top = np.argsort(-strength, kind="stable")[:LABEL_WORDS]
    telling = tuple(str(names[i]) for i in top if strength[i] > 0)
    return Topic(tuple(int(i) for i in members), example, telling)
