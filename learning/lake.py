"""What learning gives to a data lake: ratings and scores, without words."""

from __future__ import annotations

from monitoring.lake import BY_ID, REAL, TEXT, TIME, WHOLE, Dataset, plain

_ABOUT = {
    **plain("id", "client_id", "subject_id", "version_id", cast="::text"),
    **plain("subject_kind", "unit", "source"),
    "agent": ("agent_slug", TEXT),
    **plain("split_epoch", kind=WHOLE),
    **plain("created_at", kind=TIME),
}

DATASETS = (
    Dataset(
        "feedback",
        "learning_feedback",
        {**_ABOUT, **plain("kind", "category"), **plain("rating", kind=WHOLE)},
        BY_ID,
    ),
    Dataset(
        "scores",
        "learning_score",
        {**_ABOUT, **plain("name", "source_version"), **plain("value", kind=REAL)},
        BY_ID,
    ),
)
