"""Where a key of a scope has its page, and where the rows behind its numbers are listed."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from monitoring.domain.metrics import SCOPES, SEPARATOR
from monitoring.domain.otlp import PREFIX

PAGES = {
    "agent": "/dashboard/agents/{}",
    "workflow": "/dashboard/workflows/{}",
    "domain": "/dashboard/domains/{}",
    "client": "/dashboard?client={}",
}
CALLS, RUNS = "/dashboard/invocations", "/dashboard/runs"
TALKS, LEARNING, SECURITY = "/dashboard/conversations", "/dashboard/learning", "/dashboard/security"
FEEDBACK, SCORES = "/dashboard/feedback", "/dashboard/scores"
# Agents that run elsewhere have no calls here, but what was kept of their traces.
TRACES, TRACED = "/dashboard/traces", ("range", "since", "until", "state")
TRACED_BY = ("agent", "endpoint", "model", "client")
STEPS, APPROVALS = "/dashboard/steps", "/dashboard/approvals/answered"
AGAIN = "/dashboard/again"
# What was said and scored is kept by these labels.
SAID_BY = ("agent", "version", "domain", "client")
# Labels by which a list can be narrowed.
NARROWED = {
    STEPS: ("workflow", "step", "queue", "client"), APPROVALS: ("workflow", "client"),
    AGAIN: ("agent", "version", "domain", "workflow", "step", "client"),
    SCORES: SAID_BY, FEEDBACK: SAID_BY,
}  # fmt: skip
# Labels by which conversations are listed, and which of them a metric counts: others that began.
TALKED_OF = ("agent", "domain", "audience", "client", "intent", "channel")
WHICH_TALKS = {
    "conversation_turns": "asked",
    "escalations": "handed_over", "conversations_handed_over": "handed_over",
    "conversations_ended": "ended", "conversations_abandoned": "abandoned",
    "conversation_quality_ratio": "rated",
}  # fmt: skip
# Metrics by whose name begins so → where what they count is listed; the others count calls.
ELSEWHERE = (
    (("runs_with_feedback",), FEEDBACK),
    (("run", "automated", "demo_runs"), RUNS),
    (("step", "queue_wait"), STEPS),
    (("approval",), APPROVALS),
    (("rework",), AGAIN),
    (("conversation", "escalation"), TALKS),
    (("accuracy",), SCORES),
    (("satisfaction", "feedback"), FEEDBACK),
    (("improvements", "edge_case", "drift"), LEARNING),
    (("security",), SECURITY),
)
# Labels by which calls can be listed; runs only by workflow.
LISTED = frozenset(
    {"agent", "version", "domain", "audience", "endpoint", "model", "client", "user", "key",
     "code", "split"}
)  # fmt: skip
# Metrics that count some rows only → the filters that choose them.
SOME = {
    "invocation_errors": {"state": "failed"}, "invocations_blocked": {"state": "blocked"},
    "invocation_fallbacks": {"state": "fallback"}, "cache_hits": {"cached": "1"},
    "saved_usd": {"cached": "1"}, "model_duration_seconds": {"cached": "0"},
    "first_token_seconds": {"streamed": "1"},
    "run_errors": {"state": "failed"}, "automated_ratio": {"state": "succeeded"},
    "step_retries": {"tried": "again"}, "step_duration_seconds": {"sort": "slowest"},
    "queue_wait_seconds": {"sort": "waited"}, "approvals_given": {"state": "approved"},
    "satisfaction_score": {"rated": "1"}, "runs_with_feedback": {"subject": "run"},
}  # fmt: skip
# A call that failed after an endpoint's answer is counted as failed, but as none of theirs.
BLAMED = frozenset({"endpoint", "model", "provider"})
# How a list calls what a scope calls otherwise.
CALLED = {"experiment": "split"}


def page_of(scope: str, key: str) -> str:
    """The page about ``key``; empty if it has none."""
    if scope == "agent" and key.startswith(PREFIX):
        return f"{TRACES}?{urlencode({'agent': key})}"
    shape = PAGES.get(scope)
    return shape.format(quote(key, safe="")) if shape and key else ""


def rows_behind(metric: str, scope: str, key: str, *, client: str = "", **more: str) -> str:
    """The list of what a metric counts, of this key; empty where none can be narrowed so."""
    place = next((at for starts, at in ELSEWHERE if metric.startswith(starts)), CALLS)
    more = {**SOME.get(metric, {}), **more}
    if place == RUNS and scope in ("all", "client", "workflow", "step", "client_workflow"):
        labels = dict(zip(SCOPES[scope], key.split(SEPARATOR), strict=False)) if key else {}
        named = {name: labels[name] for name in ("workflow", "client") if labels.get(name)}
        asked = {**named, **({"client": client} if client else {}), "nested": "1", **more}
        return f"{RUNS}?{urlencode(asked)}"
    if place in NARROWED:
        return listed(place, NARROWED[place], scope, key, client=client, **more)
    if place == TALKS:
        return talks_of(metric, scope, key, client=client, **more)
    if place == SECURITY:
        kind = {"kind": key.rpartition(SEPARATOR)[2]} if scope.endswith("code") and key else {}
        asked = {**kind, **({"client": client} if client else {}), **more}
        return f"{place}?{urlencode(asked)}#events" if asked else place
    if place == LEARNING:
        return place
    if metric == "learning_cost_usd":
        more = {"replays": "only", **more}
    elif not any(word in metric for word in ("_usd", "tokens", "budget")):
        more = {"replays": "no", **more}
    if metric == "invocation_errors" and BLAMED & set(SCOPES.get(scope, ())):
        more = {"blamed": "1", **more}
    return rows_of(scope, key, client=client, **more)


def paid_by(key: str, more: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The labels of the calls that a budget (``scope:key:window``) pays, and since when it does."""
    scope, _, rest = key.partition(":")
    whom, _, window = rest.rpartition(":")
    more = {"sort": "dearest", **more}
    if since := more.get("since", ""):
        begins = {"day": since[:10], "month": f"{since[:7]}-01"}.get(window)
        more = {name: value for name, value in more.items() if name != "since"}
        more |= {"since": f"{begins}T00:00:00Z"} if begins else {}
    return {scope: whom} if scope != "all" else {}, more


def listed(
    place: str, names: tuple[str, ...], scope: str, key: str, *, client: str = "", **more: str
) -> str:
    """A list that can be narrowed by the labels ``names``, of this key; empty for other labels."""
    labels = dict(zip(SCOPES.get(scope, ()), key.split(SEPARATOR), strict=False)) if key else {}
    if client:
        labels["client"] = client
    if labels.keys() - set(names):  # by what it can't be narrowed: the whole list is no answer
        return ""
    asked = {name: labels[name] for name in names if labels.get(name)} | more
    return place + (f"?{urlencode(asked)}" if asked else "")


def talks_of(metric: str, scope: str, key: str, *, client: str = "", **more: str) -> str:
    """The conversations that a number of this key counts: below the figures of their page."""
    labels = dict(zip(SCOPES.get(scope, ()), key.split(SEPARATOR), strict=False)) if key else {}
    if client:
        labels["client"] = client
    asked = {name: labels[name] for name in TALKED_OF if labels.get(name)}
    words = urlencode({"talks": WHICH_TALKS.get(metric, "begun"), **asked, **more})
    return f"{TALKS}?{words}#talks"


def rows_of(scope: str, key: str, *, client: str = "", **more: str) -> str:
    """The list of calls, runs or traces that a number of this key counts; empty if none."""
    labels = dict(zip(SCOPES.get(scope, ()), key.split(SEPARATOR), strict=False)) if key else {}
    if client:
        labels["client"] = client
    if "workflow" in labels:
        asked = {name: labels[name] for name in ("workflow", "client") if labels.get(name)}
        return f"{RUNS}?{urlencode({**asked, 'nested': '1', **more})}"
    if any(value.startswith(PREFIX) for value in labels.values()):
        known = {name: labels[name] for name in TRACED_BY if labels.get(name)}
        asked = {name: more[name] for name in TRACED if more.get(name)}
        if asked.get("state", "failed") != "failed":  # which of them elsewhere, nobody can say
            return ""
        return f"{TRACES}?{urlencode({**known, **asked})}"
    if scope == "budget":
        labels, more = paid_by(key, more)
    named = {CALLED.get(name, name): value for name, value in labels.items()}
    if named.keys() - LISTED - {"provider"}:  # by what no call is listed: all of them are no answer
        return ""
    asked = {name: value for name, value in named.items() if name in LISTED} | more
    return CALLS + (f"?{urlencode(asked)}" if asked else "")
