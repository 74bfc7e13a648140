"""The verdict document as the API's schema describes it: what readers of its path rely on."""

from __future__ import annotations

from typing import Any

_NUMBER = {"type": "number"}
_END = {"type": ["number", "null"], "description": "null: without an end."}


def _object(properties: dict[str, Any], text: str = "", *, nullable: bool = False) -> Any:
    kind: Any = ["object", "null"] if nullable else "object"
    found: dict[str, Any] = {"type": kind, "properties": properties}
    return found | ({"description": text} if text else {})


_EFFECT = {"estimate": _NUMBER, "standard_error": _NUMBER, "lower": _END, "upper": _END}
_READ = _object(
    {
        "difference_type": {"type": "string", "enum": ["relative", "absolute"]},
        "estimate": _NUMBER, "lower": _END, "upper": _END,
        "level": {**_NUMBER, "description": "Its confidence, such as 0.95."},
        "margin": {
            "type": ["number", "null"],
            "description": "Of a guardrail metric the line that worse lies beyond, with its sign.",
        },
    },
    "The interval that the reading rests on; null where nothing can be told.", nullable=True,
)  # fmt: skip
_POINT = _object({
    "stage": {"type": "string", "description": "`all` of an experiment, the rollout's stage."},
    "period": {"type": "string", "description": "The day of the look, or `none`: nobody came."},
    "arm": {"type": "string"},
    "effect": _object(_EFFECT, "What is shown of the primary metric.", nullable=True),
    "read": _READ,
    "guardrails": {
        "type": "array",
        "description": "Each guardrail metric at that look, in the order of the metrics.",
        "items": _object({
            "metric": {"type": "string"},
            "effect": _object(_EFFECT, "What is shown.", nullable=True),
            "read": _READ,
        }),
    },
})  # fmt: skip
VERDICT = {
    **_object({
        "verdict": {"type": "string", "enum": ["ship", "rollback", "review", "inconclusive"]},
        "headline": {"type": "string"},
        "reasons": {"type": "array", "items": {"type": "string"}},
        "metrics": {"type": "array", "items": {"type": "object", "additionalProperties": True}},
        "path": {
            "type": "array", "items": _POINT,
            "description": "The effects after each day or stage, an entry a look and arm: of the "
                           "primary metric and of each guardrail metric.",
        },
        "notes": {"type": "array", "items": {"type": "string"}},
    }),
    "additionalProperties": True,
}  # fmt: skip
