"""The figures and plots about one key: an agent, a domain, a client, or everything."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from config import readable
from monitoring import addresses, charts, figures, queries
from monitoring.domain.metrics import SCOPES
from monitoring.figures import Figure
from monitoring.marking import marks
from monitoring.queries import Grid
from monitoring.sight import Sight
from monitoring.stretch import Stretch

CALLS = (
    "invocations", "invocation_errors", "invocations_blocked", "invocation_fallbacks",
    "cache_hits", "invocation_duration_seconds", "model_duration_seconds", "first_token_seconds",
    "input_tokens", "cached_tokens", "output_tokens", "cost_usd", "saved_usd", "accuracy_ratio",
    "satisfaction_score", "rework", "escalations", "feedback", "demo_invocations",
)  # fmt: skip
# Of these percentiles are shown, of the others sums and means.
RANKED = ("invocation_duration_seconds", "model_duration_seconds", "first_token_seconds")
# Of one agent also how long queued calls had waited; of everything it is that of steps, too.
WAITED = "queue_wait_seconds"
# Where failed calls are kept by what they failed of.
CODES = {"all": "code", "agent": "agent_code", "domain": "domain_code"}
ERRORS, SHOWN_CODES = "invocation_errors", 6
# What is compared with the stretch before.
COMPARED = ("invocations", "invocation_errors", "invocation_duration_seconds", "cost_usd",
            "accuracy_ratio", "satisfaction_score")  # fmt: skip
RUNS = ("runs", "run_errors", "run_duration_seconds", "run_cost_usd", "steps", "step_retries",
        "queue_wait_seconds", "rework", "approvals", "approvals_given", "automated_ratio",
        "runs_with_feedback", "demo_runs")  # fmt: skip
RANKED_OF_RUNS = ("run_duration_seconds", "queue_wait_seconds")


@dataclass(frozen=True, slots=True)
class Panel:
    """What is shown; ``is_empty`` if nothing was measured, ``demo_ratio`` if some was a demo's."""

    figures: list[Figure]
    plots: list[charts.Document]
    is_empty: bool
    demo_ratio: float | None
    codes: list[Figure] = field(default_factory=list)


def of_calls(
    sight: Sight, scope: str, key: str, when: Stretch, *, client: str = "", is_full: bool = True
) -> Panel:
    """About agent calls. ``is_full``: also tokens, quality and where the time went."""
    waited = (WAITED,) if scope == "agent" else ()
    grid = sight.grid((*CALLS, *waited), when, scope=scope, keys=[key], ranked=(*RANKED, *waited))
    past = sight.grid(COMPARED, when.before, scope=scope, keys=[key], ranked=RANKED[:1])
    rows = addresses.rows_of(scope, key, client=client)
    look = _Look(grid, past, key, when, rows, scope, client)
    calls = look.total("invocations")
    demo = look.total("demo_invocations").total
    seen = marks(scope=scope, key=key, since=when.since, until=when.until)
    return Panel(
        _main_figures(look) + (_more_figures(look) if is_full and calls.count else []),
        _call_plots(look, seen, is_full=is_full),
        calls.count == 0,
        demo / calls.total if demo and calls.total else None,
        _codes(sight, scope, key, look),
    )


def _codes(sight: Sight, scope: str, key: str, look: _Look) -> list[Figure]:
    """Failed calls by what they failed of, the commonest first; not kept for each client."""
    if scope not in CODES or sight.clients is not None:
        return []
    when, begins = look.when, f"{key}|" if key else None
    found = queries.totals([ERRORS], scope=CODES[scope], since=when.since, until=when.until,
                           prefix=begins)  # fmt: skip
    times = {name.rpartition("|")[2]: stats[ERRORS] for name, stats in found.items()
             if ERRORS in stats and stats[ERRORS].total}  # fmt: skip
    codes = sorted(times, key=lambda code: -times[code].total)[:SHOWN_CODES]
    return [
        figures.counted(code, times[code], href=look.traffic(state="failed", code=code))
        for code in codes
    ]


@dataclass(frozen=True, slots=True)
class _Look:
    grid: Grid
    past: Grid
    key: str
    when: Stretch
    rows: str
    scope: str = "all"
    client: str = ""

    def total(self, metric: str) -> Any:
        return self.grid.total(self.key, metric)

    def before(self, metric: str) -> Any:
        return self.past.total(self.key, metric)

    def values(self, metric: str) -> Any:
        return self.grid.values(self.key, metric)

    def since(self, **more: str) -> str:
        joint = "&" if "?" in self.rows else "?"
        words = "".join(f"&{name}={value}" for name, value in more.items())
        return f"{self.rows}{joint}range={self.when.name}{words}"

    def traffic(self, **more: str) -> str:
        """The same without replays of learning, which cost money and are no traffic."""
        return self.since(replays="no", **more)

    def failed(self) -> str:
        """Failed calls; of an endpoint those that failed by its fault."""
        is_blamed = addresses.BLAMED & set(SCOPES[self.scope])
        return self.traffic(state="failed", **({"blamed": "1"} if is_blamed else {}))

    def behind(self, metric: str) -> str:
        """The list of what a metric is made of: scores, feedback, steps, approvals."""
        return addresses.rows_behind(
            metric, self.scope, self.key, client=self.client, range=self.when.name
        )

    def change(self, now: float | None, before: float | None) -> str:
        return figures.change(now, before, self.when.words)


def _main_figures(look: _Look) -> list[Figure]:
    calls, errors = look.total("invocations"), look.total("invocation_errors")
    seconds, cost = look.total("invocation_duration_seconds"), look.total("cost_usd")
    past = look.before("invocation_duration_seconds")
    p95, p95_past = seconds.percentile(0.95), past.percentile(0.95)
    return [
        figures.counted(
            "Calls", calls, href=look.traffic(),
            note=look.change(calls.total, look.before("invocations").total),
        ),
        figures.shared(
            "Errors", errors, calls, href=look.failed(),
            tone="bad" if calls.total and errors.total / calls.total > 0.05 else "",
        ),
        figures.timed("Latency p50", seconds.percentile(0.50), href=look.traffic(sort="slowest")),
        figures.timed(
            "Latency p95", p95, note=look.change(p95, p95_past),
            href=look.traffic(sort="slowest"),
        ),
        figures.paid(
            "Cost", cost, note=look.change(cost.total, look.before("cost_usd").total),
            href=look.since(sort="dearest"),
        ),
        figures.shared("From the cache", look.total("cache_hits"), calls,
                       href=look.traffic(cached="1")),
    ]  # fmt: skip


def _more_figures(look: _Look) -> list[Figure]:
    calls, seconds = look.total("invocations"), look.total("invocation_duration_seconds")
    minutes = look.when.seconds / 60
    read, written = look.total("input_tokens"), look.total("output_tokens")
    cached = look.total("cached_tokens")
    tokens = read.total + written.total + cached.total
    accuracy = look.total("accuracy_ratio")
    past_accuracy = look.before("accuracy_ratio").mean
    busy = seconds.total / look.when.seconds
    return [
        _throughput(calls.total / minutes, look.traffic()),
        Figure("Concurrency", "< 0.01" if 0 < busy < 0.01 else readable.significant(busy),
               f"{busy:.6g}",
               "calls at once, mean", look.traffic()),
        *_waited(look),
        figures.timed("In models, p95", look.total("model_duration_seconds").percentile(0.95),
                      href=look.traffic(cached="0", sort="slowest")),
        figures.timed("First token, p95", look.total("first_token_seconds").percentile(0.95),
                      note="of streamed answers", href=look.traffic(streamed="1")),
        Figure("Tokens", readable.count(tokens) if tokens else "–", f"{tokens:,.0f}",
               f"{readable.count(written.total)} written", look.since()),
        figures.averaged("Accuracy", accuracy, readable.percent,
                         href=look.behind("accuracy_ratio"),
                         note=look.change(accuracy.mean, past_accuracy)),
        figures.averaged("Satisfaction", look.total("satisfaction_score"),
                         lambda value: f"{value:.2f} of 5",
                         href=look.behind("satisfaction_score")),
        figures.counted("Handed to a person", look.total("escalations"),
                        href=look.behind("escalations")),
        figures.shared("Done again", look.total("rework"), calls,
                       href=look.behind("rework")),
        figures.shared("With feedback", look.total("feedback"), calls,
                       href=look.behind("feedback")),
    ]  # fmt: skip


def _waited(look: _Look) -> list[Figure]:
    """How long queued calls had waited, where any were."""
    waits = look.total(WAITED) if look.scope == "agent" else queries.EMPTY
    if not waits.count:
        return []
    return [figures.timed("Waited in the queue, p95", waits.percentile(0.95),
                          note=f"of {readable.plural(waits.count, 'queued call')}",
                          href=look.traffic())]  # fmt: skip


def _throughput(per_minute: float, href: str) -> Figure:
    """Calls a minute, an hour or a day: whichever is a number above one."""
    for times, word in ((1, "minute"), (60, "hour"), (1440, "day")):
        if per_minute * times >= 1 or word == "day":
            break
    said = readable.significant(per_minute * times)
    return Figure("Throughput", said, f"{per_minute:.6g} a minute", f"calls per {word}, mean", href)


def _call_plots(look: _Look, seen: Any, *, is_full: bool) -> list[charts.Document]:
    starts, rows = look.grid.starts, look.traffic()
    past = look.before("invocation_duration_seconds")
    plots = [
        charts.bars(
            f"Calls per {_step_words(look.when)}", starts,
            charts.totals_of(look.values("invocations")),
            bad=charts.totals_of(look.values("invocation_errors")), bad_words="failed",
            marks=seen, rows=rows,
        ),
        charts.band(
            "Latency, seconds", starts, look.values("invocation_duration_seconds"), unit="s",
            baseline=past.percentile(0.95), baseline_words=f"p95 of the {look.when.words} before",
            marks=seen, rows=rows,
        ),
        charts.bars(
            f"Cost per {_step_words(look.when)}, USD", starts,
            charts.totals_of(look.values("cost_usd")), unit="USD", marks=seen, rows=look.since(),
        ),
    ]  # fmt: skip
    if is_full:
        plots.append(charts.lines(
            "Accuracy and cache hits, share", starts,
            [("accuracy", charts.means_of(look.values("accuracy_ratio"))),
             ("from the cache",
              charts.shares_of(look.values("cache_hits"), look.values("invocations")))],
            unit="ratio", baseline=look.before("accuracy_ratio").mean,
            baseline_words="accuracy before", marks=seen, rows=rows,
        ))  # fmt: skip
    return [plot for plot in plots if charts.has_values(plot)]


def of_runs(sight: Sight, scope: str, key: str, when: Stretch, *, client: str = "") -> Panel:
    """About ended runs of a workflow, or of all of them."""
    grid = sight.grid(RUNS, when, scope=scope, keys=[key], ranked=RANKED_OF_RUNS)
    past = sight.grid(RUNS[:4], when.before, scope=scope, keys=[key], ranked=RANKED_OF_RUNS[:1])
    rows = addresses.rows_of(scope, key, client=client)
    look = _Look(grid, past, key, when, rows, scope, client)
    runs, errors = look.total("runs"), look.total("run_errors")
    seconds, cost = look.total("run_duration_seconds"), look.total("run_cost_usd")
    demo = look.total("demo_runs").total
    seen = marks(scope=scope, key=key, since=when.since, until=when.until)
    waits = look.total("queue_wait_seconds")
    shown = [
        figures.counted("Runs ended", runs, href=look.since(),
                        note=look.change(runs.total, look.before("runs").total)),
        figures.shared("Failed", errors, runs, href=look.since(state="failed"),
                       tone="bad" if runs.total and errors.total / runs.total > 0.1 else ""),
        figures.timed("Duration p50", seconds.percentile(0.50), href=look.since()),
        figures.timed("Duration p95", seconds.percentile(0.95), href=look.since()),
        figures.paid("Cost", cost, href=look.since(),
                     note=look.change(cost.total, look.before("run_cost_usd").total)),
        figures.timed("Wait for a worker, p95", waits.percentile(0.95),
                      href=look.behind("queue_wait_seconds")),
        figures.shared("Steps tried again", look.total("step_retries"), look.total("steps"),
                       href=look.behind("step_retries")),
        figures.shared("Approvals given", look.total("approvals_given"), look.total("approvals"),
                       href=look.behind("approvals_given")),
        figures.shared("Done again", look.total("rework"), look.total("steps"),
                       href=look.behind("rework")),
        figures.averaged("Without a hand", look.total("automated_ratio"), readable.percent,
                         note="share of steps", href=look.since(state="succeeded")),
    ]  # fmt: skip
    plots = [
        charts.bars(f"Runs ended per {_step_words(when)}", grid.starts,
                    charts.totals_of(look.values("runs")),
                    bad=charts.totals_of(look.values("run_errors")), bad_words="failed",
                    marks=seen, rows=look.since()),
        charts.band("Duration, seconds", grid.starts, look.values("run_duration_seconds"),
                    unit="s", baseline=look.before("run_duration_seconds").percentile(0.95),
                    baseline_words=f"p95 of the {when.words} before", marks=seen,
                    rows=look.since()),
    ]  # fmt: skip
    demo_ratio = demo / runs.total if demo and runs.total else None
    plots = [plot for plot in plots if charts.has_values(plot)]
    return Panel(shown, plots, runs.count == 0, demo_ratio)


def _step_words(when: Stretch) -> str:
    hours = when.step.total_seconds() / 3600
    return {1.0: "hour", 24.0: "day"}.get(hours, f"{hours:g} hours")
