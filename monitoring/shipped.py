"""The rules and objectives that every installation begins with.

The set-up keeps them up to date; what an operator set in one (``tuned``), and whether it is
active, stays as it is.
"""

from __future__ import annotations

from typing import Any

from monitoring.models import AlertRule, Objective

MINUTE, HOUR, DAY = 60, 3600, 86_400
ERRORS = {"metric": "invocation_errors", "denominator": "invocations", "statistic": "ratio"}
# What the burn of a promise looks at: calls that failed, and calls that took too long.
FAILED = {**ERRORS, "objective": "errors", "runbook": "errors.md",
          "advice": "See what fails: one code means one cause."}  # fmt: skip
SLOW = {"metric": "invocation_duration_seconds", "statistic": "p95", "objective": "latency",
        "event_limit": 2.0, "runbook": "slow-agent.md",
        "advice": "See which agents and endpoints are slow: so many calls take longer than "
                  "promised."}  # fmt: skip

RULES: tuple[dict[str, Any], ...] = (
    {"slug": "latency-over-baseline", "title": "Slower than usual", "kind": "baseline",
     "metric": "invocation_duration_seconds", "statistic": "p95", "scope": "agent",
     "limit": 1.5, "clear": 1.3, "critical": 3.0, "window_seconds": 15 * MINUTE, "min_count": 20,
     "severity": "medium", "runbook": "slow-agent.md",
     "advice": "Look at the endpoint's latency first, then at what the last version changed."},
    {"slug": "accuracy-under-baseline", "title": "Less accurate than usual", "kind": "baseline",
     "metric": "accuracy_ratio", "statistic": "mean", "scope": "agent", "above": False,
     "limit": 0.9, "clear": 0.95, "window_seconds": DAY, "baseline_seconds": 28 * DAY,
     "min_count": 20, "severity": "high", "runbook": "quality.md",
     "advice": "Compare the last version's feedback; roll back if it began with it."},
    {"slug": "cost-over-expected", "title": "Costs more than expected", "kind": "baseline",
     "metric": "cost_usd", "statistic": "total", "scope": "agent", "limit": 1.5, "clear": 1.2,
     "window_seconds": DAY, "min_count": 20, "severity": "medium", "runbook": "cost.md",
     "advice": "See which agents cost most and whether caching still hits."},
    {"slug": "error-rate", "title": "Too many failures", "kind": "threshold", **ERRORS,
     "scope": "agent", "limit": 0.05, "clear": 0.03, "critical": 0.10, "min_count": 20,
     "severity": "high", "runbook": "errors.md",
     "advice": "Read the last errors: one code means one cause."},
    # It only asks: a version goes back where it is rolled out and surely worse than its control.
    # Low, because the agent's own rule tells of an agent that fails.
    {"slug": "version-error-rate", "title": "A version fails", "kind": "threshold", **ERRORS,
     "scope": "version", "limit": 0.10, "window_seconds": HOUR, "min_count": 50,
     "severity": "low", "runbook": "errors.md", "responses": [{"kind": "roll_back_rollout"}],
     "advice": "If it was being rolled out, see whether it went back; then what it changed."},
    # Where a fallback is declared no call of a broken version is an error.
    {"slug": "version-fallback-rate", "title": "A version gives no answer", "kind": "threshold",
     "metric": "invocation_fallbacks", "denominator": "invocations", "statistic": "ratio",
     "scope": "version", "limit": 0.10, "window_seconds": HOUR, "min_count": 50,
     "severity": "low", "runbook": "errors.md", "responses": [{"kind": "roll_back_rollout"}],
     "advice": "If it was being rolled out, see whether it went back; then what it changed."},
    {"slug": "endpoint-error-rate", "title": "Endpoint fails", "kind": "threshold", **ERRORS,
     "scope": "endpoint", "limit": 0.10, "clear": 0.05, "critical": 0.5,
     "window_seconds": 10 * MINUTE, "min_count": 20, "severity": "high",
     "runbook": "endpoint-down.md", "responses": [{"kind": "trip_breaker"}],
     "advice": "Let the fallback answer; ask the provider."},
    # A declared fallback is no error, and an open breaker keeps calls from being one.
    {"slug": "endpoint-no-answer", "title": "Endpoint gives no answer", "kind": "threshold",
     "metric": "invocation_fallbacks", "denominator": "invocations", "statistic": "ratio",
     "scope": "endpoint", "limit": 0.10, "clear": 0.05, "critical": 0.5,
     "window_seconds": 10 * MINUTE, "min_count": 20, "severity": "high",
     "runbook": "endpoint-down.md",
     "advice": "Fallbacks answer in its place; ask the provider, or name another endpoint."},
    # A dead model is no error where a declared fallback answers, and people get no answer of it.
    {"slug": "fallback-rate", "title": "Only the fallback answers", "kind": "threshold",
     "metric": "invocation_fallbacks", "denominator": "invocations", "statistic": "ratio",
     "scope": "agent", "limit": 0.10, "clear": 0.05, "critical": 0.5,
     "window_seconds": 15 * MINUTE, "min_count": 20, "severity": "high",
     "runbook": "endpoint-down.md",
     "advice": "The model was not there for these calls: look at its endpoint and its breaker."},
    {"slug": "run-failures", "title": "Runs fail", "kind": "threshold", "metric": "run_errors",
     "denominator": "runs", "statistic": "ratio", "scope": "workflow", "limit": 0.10,
     "clear": 0.05, "critical": 0.5, "min_count": 5, "severity": "high", "runbook": "errors.md",
     "advice": "Look at the failed step of the last runs."},
    *(  # a limit is passed by what lies over it: a hair below, so that half is half
        {"slug": slug, "title": title, "kind": "threshold", "metric": "budget_used_ratio",
         "statistic": "maximum", "scope": "budget", "limit": share - 0.0001, "clear": share - 0.05,
         "window_seconds": 15 * MINUTE, "pending_seconds": 0, "severity": severity,
         "runbook": "cost.md", "advice": advice}
        for slug, title, share, severity, advice in (
            ("budget-half", "Half of a budget is used", 0.5, "low",
             "Compare with the part of its window that is over; see the forecast of the month."),
            ("budget-most", "Four fifths of a budget are used", 0.8, "medium",
             "Raise the budget, or let lighter models answer, before calls are refused."),
            ("budget-used", "A budget is used up", 1.0, "high",
             "Calls that count against it are refused until its window ends or it is raised."),
        )
    ),
    {"slug": "queue-depth", "title": "Work piles up", "kind": "threshold",
     "metric": "queue_depth", "statistic": "p50", "scope": "queue", "limit": 500.0,
     "clear": 200.0, "critical": 5000.0, "window_seconds": 5 * MINUTE, "severity": "high",
     "runbook": "backlog.md", "advice": "Add workers, or shed low priority."},
    {"slug": "queue-wait", "title": "Steps wait for a worker", "kind": "threshold",
     "metric": "queue_wait_seconds", "statistic": "p95", "scope": "queue", "limit": 60.0,
     "clear": 30.0, "critical": 600.0, "window_seconds": 15 * MINUTE, "min_count": 20,
     "severity": "medium", "runbook": "backlog.md", "advice": "Add workers, or shed low priority."},
    {"slug": "drift", "title": "Behaves differently than before", "kind": "threshold",
     "metric": "drift_score", "statistic": "maximum", "scope": "agent", "limit": 0.0,
     "window_seconds": DAY, "severity": "medium",
     "runbook": "quality.md", "advice": "Compare inputs of then and now; replay recorded cases."},
    {"slug": "security-events", "title": "Attacks or leaks stopped", "kind": "threshold",
     "metric": "security_events", "statistic": "total", "scope": "all", "limit": 20.0,
     "critical": 100.0, "severity": "high", "runbook": "security.md",
     "advice": "See who is behind it; revoke the key, suspend the user."},
    {"slug": "audit-broken", "title": "The audit log does not hold", "kind": "threshold",
     "metric": "security_events", "statistic": "total", "scope": "code", "key": "audit",
     "limit": 0.0, "window_seconds": DAY, "severity": "critical", "runbook": "audit.md",
     "advice": "Run verify_audit; keep the database and the checkpoint folder as they are."},
    {"slug": "availability-fast-burn", "title": "Error budget burns fast", "kind": "burn_rate",
     **ERRORS, "objective": "availability", "scope": "all",
     "limit": 14.4, "target": 0.999, "window_seconds": HOUR,
     "short_window_seconds": 5 * MINUTE, "min_count": 100, "severity": "critical",
     "runbook": "errors.md", "advice": "At this rate a month's budget is gone in two days."},
    {"slug": "availability-slow-burn", "title": "Error budget burns", "kind": "burn_rate",
     **ERRORS, "objective": "availability", "scope": "all",
     "limit": 6.0, "target": 0.999, "window_seconds": 6 * HOUR,
     "short_window_seconds": 30 * MINUTE, "min_count": 100, "severity": "high",
     "runbook": "errors.md", "advice": "At this rate a month's budget is gone in five days."},
    *(
        {"slug": f"{name}-burn-{speed}", "title": f"{title}: budget burns {speed}",
         "kind": "burn_rate", **of, "scope": scope, "limit": factor, "target": 0.95,
         "window_seconds": long, "short_window_seconds": short, "min_count": 100,
         "severity": severity, "every_seconds": MINUTE}
        for name, title, scope, of in (
            ("errors", "Error rate", "all", FAILED),
            ("domain", "A domain's error rate", "domain", FAILED),
            ("latency", "Latency", "all", SLOW),
            ("domain-latency", "A domain's latency", "domain", SLOW),
        )
        for speed, long, short, factor, severity in (
            ("fast", HOUR, 5 * MINUTE, 14.4, "critical"),
            ("soon", 6 * HOUR, 30 * MINUTE, 6.0, "high"),
            ("slow", DAY, 2 * HOUR, 3.0, "medium"),
            ("steadily", 3 * DAY, 6 * HOUR, 1.0, "low"),
        )
    ),
    {"slug": "availability-day-burn", "title": "Error budget burns for a day", "kind": "burn_rate",
     **ERRORS, "objective": "availability", "scope": "all",
     "limit": 3.0, "target": 0.999, "window_seconds": DAY,
     "short_window_seconds": 2 * HOUR, "min_count": 100, "severity": "medium",
     "every_seconds": MINUTE, "runbook": "errors.md",
     "advice": "At this rate a month's budget is gone in ten days."},
    {"slug": "availability-steady-burn", "title": "Error budget burns steadily",
     "kind": "burn_rate", **ERRORS, "objective": "availability", "scope": "all",
     "limit": 1.0, "target": 0.999,
     "window_seconds": 3 * DAY, "short_window_seconds": 6 * HOUR, "min_count": 100,
     "severity": "low", "every_seconds": MINUTE, "runbook": "errors.md",
     "advice": "At this rate a month's budget is just used up."},
    {"slug": "cost-anomaly", "title": "Unusual cost", "kind": "anomaly", "metric": "cost_usd",
     "statistic": "total", "scope": "all", "limit": 0.0, "severity": "low",
     "every_seconds": 5 * MINUTE, "runbook": "cost.md", "advice": "See which agents cost most."},
    {"slug": "unusual-together", "title": "Several figures are unusual at once",
     "kind": "together", "metric": "invocations", "statistic": "total", "scope": "all",
     "beside": [{**ERRORS}, {"metric": "invocation_duration_seconds", "statistic": "p95"},
                {"metric": "cost_usd", "statistic": "total"}],
     "limit": 0.0, "severity": "low", "every_seconds": 5 * MINUTE, "runbook": "errors.md",
     "advice": "See what changed then: a deployment, an experiment, a client, the hour."},
    {"slug": "latency-forecast", "title": "Will be slower than promised", "kind": "forecast",
     "metric": "invocation_duration_seconds", "statistic": "p95", "scope": "agent", "limit": 2.0,
     "severity": "low", "every_seconds": HOUR, "runbook": "slow-agent.md",
     "advice": "There is time: look at what grows with it."},
    {"slug": "errors-forecast", "title": "Will fail more than promised", "kind": "forecast",
     **ERRORS, "scope": "agent", "limit": 0.05, "min_count": 20, "severity": "low",
     "every_seconds": HOUR, "runbook": "errors.md",
     "advice": "There is time: see which code grows."},
    {"slug": "no-calls", "title": "No calls any more", "kind": "no_data", "metric": "invocations",
     "scope": "all", "limit": 0.0, "window_seconds": DAY, "severity": "low", "min_count": 0,
     "every_seconds": 5 * MINUTE, "runbook": "silence.md",
     "advice": "Is nobody there, or does nothing arrive?"},
    {"slug": "sweeps-stuck", "title": "A sweep or a queue stands still", "kind": "heartbeat",
     "limit": 0.0, "severity": "high", "pending_seconds": 0, "resolve_seconds": 30,
     "runbook": "stuck.md", "advice": "Look at /readyz; restart the worker that hangs."},
)  # fmt: skip

OBJECTIVES: tuple[dict[str, Any], ...] = (
    {"slug": "latency", "title": "p95 latency under 2 s", "above": False, "target": 2.0,
     "metric": "invocation_duration_seconds", "statistic": "p95", "is_budgeted": True,
     "definition": "95 of 100 calls of an agent are answered within the target."},
    {"slug": "accuracy", "title": "Accuracy over 95 %", "above": True, "target": 0.95,
     "metric": "accuracy_ratio", "statistic": "mean",
     "definition": "Mean of all accuracy scores, whoever gave them."},
    {"slug": "availability", "title": "Availability 99.9 %", "above": True, "target": 0.999,
     "metric": "invocation_errors", "denominator": "invocations", "statistic": "good_ratio",
     "is_budgeted": True, "definition": "Share of calls that did not fail."},
    {"slug": "satisfaction", "title": "Satisfaction over 4.5", "above": True, "target": 4.5,
     "metric": "satisfaction_score", "statistic": "mean",
     "definition": "Mean of people's scores from 1 to 5."},
    {"slug": "errors", "title": "Error rate under 5 %", "above": False, "target": 0.05,
     "metric": "invocation_errors", "denominator": "invocations", "statistic": "ratio",
     "is_budgeted": True, "definition": "Share of calls that failed."},
    {"slug": "cache", "title": "Cache hits over 60 %", "above": True, "target": 0.6,
     "metric": "cache_hits", "denominator": "invocations", "statistic": "ratio",
     "definition": "Share of calls answered from the cache."},
    {"slug": "rework", "title": "Rework under 5 %", "above": False, "target": 0.05,
     "metric": "rework", "denominator": "steps", "statistic": "ratio",
     "definition": "Results done again or corrected, for each step that ended."},
    {"slug": "approvals", "title": "Approval rate over 95 %", "above": True, "target": 0.95,
     "metric": "approvals_given", "denominator": "approvals", "statistic": "ratio",
     "definition": "Share of answered approvals that were given."},
    {"slug": "escalations", "title": "Escalation under 3 %", "above": False, "target": 0.03,
     "metric": "escalations", "denominator": "invocations", "statistic": "ratio",
     "definition": "Share of calls handed over to a person."},
    {"slug": "feedback", "title": "Feedback rate over 80 %", "above": True, "target": 0.8,
     "metric": "runs_with_feedback", "denominator": "runs", "statistic": "ratio",
     "definition": "Share of runs that somebody gave feedback on."},
    {"slug": "improvements", "title": "An improvement deployed a week", "above": True,
     "target": 1.0, "metric": "improvements_deployed", "statistic": "weekly",
     "definition": "Improvements deployed in a week, mean over the window."},
    {"slug": "learning", "title": "Accuracy up 2 % a month", "above": True, "target": 0.02,
     "metric": "accuracy_ratio", "statistic": "growth",
     "definition": "Relative growth of mean accuracy against the window before."},
    {"slug": "coverage", "title": "Edge-case coverage rising", "above": True, "target": 0.0,
     "metric": "edge_case_coverage_ratio", "statistic": "growth",
     "definition": "Graded cases and approved corrections that an evaluation asked in 28 days, "
                   "mean over agents and days, against the window before."},
    {"slug": "automation", "title": "90 % of processes automated", "above": True, "target": 0.9,
     "metric": "automated_ratio", "statistic": "mean",
     "definition": "Share of a run's steps that need no person's hand, mean over runs."},
)  # fmt: skip


def load() -> tuple[int, int]:
    """Bring rules and objectives up to date; returns how many of each. Harmless to repeat."""
    for entry in RULES:
        _bring(AlertRule, {**entry, "is_shipped": True})
    for entry in OBJECTIVES:
        _bring(Objective, entry)
    return len(RULES), len(OBJECTIVES)


def _bring(model: type[AlertRule] | type[Objective], entry: dict[str, Any]) -> None:
    tuned = model.objects.filter(slug=entry["slug"]).values_list("tuned", flat=True).first() or ()
    kept = {name: value for name, value in entry.items() if name not in tuned}
    model.objects.update_or_create(slug=entry["slug"], defaults=kept, create_defaults=entry)
