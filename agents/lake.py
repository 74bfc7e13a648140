"""What agents give to a data lake: calls and their requests as figures, without their texts."""

from __future__ import annotations

from monitoring.lake import BY_ID, FLAG, MONEY, REAL, TEXT, TIME, WHOLE, Dataset, plain

_TIMES = {
    **plain("started_at", kind=TIME),
    **plain("duration_seconds", kind=REAL),
}
_TOKENS = plain("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", kind=WHOLE)

DATASETS = (
    Dataset(
        "invocations",
        "agents_invocation",
        {
            **plain("id", "client_id", "version_id", "run_id", "step_id", "conversation_id",
                    "user_id", cast="::text"),
            "agent": ("agent_slug", TEXT),
            **plain("version_number", "bucket", "split_epoch", "attempt", kind=WHOLE),
            **plain("unit", "state", "error_code", "model", "endpoint", "cached", "trace_id"),
            **plain("is_simulated", "is_demo", kind=FLAG),
            **plain("cost_usd", "saved_usd", kind=MONEY),
            **_TOKENS,
            **plain("model_calls", "tool_calls", kind=WHOLE),
            **_TIMES,
            **plain("first_token_seconds", "waited_seconds", kind=REAL),
        },
        BY_ID,
    ),
    Dataset(
        "model_calls",
        "agents_modelcall",
        {
            **plain("id", "client_id", "invocation_id", cast="::text"),
            **plain("number", "http_status", kind=WHOLE),
            **plain("endpoint", "model", "state", "error_code", "finish_reason"),
            **plain("cost_usd", kind=MONEY),
            **_TOKENS,
            **_TIMES,
            **plain("first_token_seconds", kind=REAL),
        },
        BY_ID,
    ),
    Dataset(
        "tool_calls",
        "agents_toolcall",
        {
            **plain("id", "client_id", "invocation_id", "run_id", "step_id", cast="::text"),
            **plain("name", "state", "error_code", "fallback_of"),
            **plain("is_cached", kind=FLAG),
            **plain("result_bytes", "attempt", kind=WHOLE),
            **plain("cost_usd", kind=MONEY),
            **_TIMES,
        },
        BY_ID,
    ),
)  # fmt: skip
