"""Pages of the loop: its overview, one experiment, one rollout; words first, then the rest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from agents import services as agents
from config import readable
from config.access.callers import Caller
from config.errors import AppError, InvalidInput, NotFound
from config.pages import page
from learning import experiments, metric_rows, overview, plots, rollouts, saying, screening
from learning.domain.measures import stage_layout
from learning.models import Experiment, Improvement, Rollout, Tombstone, Variant
from learning.report_pages import first_sentence


@require_GET
@page("learning:read")
def learning(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/learning``: what is seen, proposed, tried and gained."""
    seen = overview.overview(caller, now=timezone.now())
    report = first_sentence(seen["cycle"].report) if seen["cycle"] else ""
    return render(
        request, "learning/learning.html", {**seen, "headline": _headline(seen), "report": report}
    )


def _headline(seen: dict[str, Any]) -> str:
    parts = []
    if seen["waiting"]:
        parts.append(f"{readable.plural(seen['waiting'], 'change waits', 'changes wait')} for a "
                     "decision")  # fmt: skip
    if seen["running"]:
        words = readable.plural(seen["running"], "experiment is open", "experiments are open")
        rest = f", {seen['paused']} of them paused" if seen["paused"] else ""
        parts.append(f"{words}{rest}")
    if seen["rolling"]:
        words = readable.plural(seen["rolling"], "rollout is", "rollouts are")
        held = f", {seen['held']} of them held" if seen["held"] else ""
        parts.append(f"{words} on the way{held}")
    said = "; ".join(parts) or "Nothing is on its way"
    gone = f"{seen['shipped']} shipped, {seen['went_back']} went back in 30 days"
    return f"{said[0].upper()}{said[1:]}. {gone}."


@require_http_methods(["GET", "POST"])
@page("learning:read")
def experiment(request: HttpRequest, caller: Caller, experiment_id: UUID) -> HttpResponse:
    """``/dashboard/experiments/{id}``: the verdict, its numbers, the effect over time."""
    row = experiments.find(experiment_id)
    if not caller.sees(row.client_id):
        raise NotFound("experiment", experiment_id)
    if request.method == "POST":
        gone = request.POST.get("action") == "discard"
        back = "/dashboard/learning" if gone else f"/dashboard/experiments/{row.pk}"
        return _act(request, caller, back, {
            "start": lambda reason: _start(request, caller, row, reason),
            "pause": lambda reason: experiments.pause(
                caller=caller, experiment_id=row.pk, reason=reason),
            "resume": lambda reason: experiments.resume(
                caller=caller, experiment_id=row.pk, reason=reason),
            "stop": lambda reason: experiments.stop(
                caller=caller, experiment_id=row.pk, reason=reason),
            "discard": lambda reason: experiments.discard(caller=caller, experiment_id=row.pk),
            "roll_out": lambda reason: experiments.roll_out(
                caller=caller, experiment_id=row.pk, strategy=request.POST.get("strategy", ""),
                reason=reason),
        }, lambda fault: render(
            request, "learning/experiment.html", _experiment(row, caller, fault),
            status=fault.http_status))  # fmt: skip
    piece = request.headers.get("HX-Request") == "true"
    template = "learning/_experiment.html" if piece else "learning/experiment.html"
    return render(request, template, _experiment(row, caller))


def _start(request: HttpRequest, caller: Caller, row: Experiment, reason: str) -> None:
    screening.check_experiment(
        caller, row, override=request.POST.get("override") == "on", reason=reason
    )
    experiments.start(caller=caller, experiment_id=row.pk)


def _experiment(row: Experiment, caller: Caller, fault: AppError | None = None) -> dict[str, Any]:
    found = row.analysis or experiments.read(row)
    look_at = experiments.next_look_at(row)
    return {
        "row": row, "found": found, "fault": fault, "variants": _arms(row, found),
        "is_held": isinstance(fault, screening.ReplayNeeded),
        "may_decide": caller.has("learning:decide"),
        "rollouts": list(row.rollouts.all()), "improvement": row.improvement,
        "batches": _batches(row), "next_look_at": look_at,
        "is_look_due": look_at is not None and look_at <= timezone.now(),
        "is_same": row.is_aa, "winner": experiments.candidate(row),
        "smallest": _smallest(row, found), "units": _units(row, found),
        "taken_out": experiments.taken_out(row, found), "lasted": _lasted(row),
        "barred": _barred(row),
        "warnings": [] if row.ended_at else experiments.overlaps(row),
        "incidents": _incidents(found), **_numbers(found, row),
    }  # fmt: skip


def _smallest(row: Experiment, found: dict[str, Any]) -> int:
    """Units of the smallest arm that is not taken out."""
    gone = experiments.stopped_arms(row)
    units = {arm: n for arm, n in found["progress"]["units"].items() if arm not in gone}
    return min(units.values(), default=0)


def _units(row: Experiment, found: dict[str, Any]) -> list[tuple[str, int]]:
    """Each arm's units, in the arms' own order."""
    units = found["progress"]["units"]
    return [(arm.key, units[arm.key]) for arm in row.variants.all() if arm.key in units]


def _lasted(row: Experiment) -> str:
    """How long one that has ended ran, its pauses left out; empty while it is open."""
    if row.ended_at is None or row.started_at is None:
        return ""
    seconds = (row.ended_at - row.started_at).total_seconds() - row.paused_seconds
    return readable.duration(max(0.0, seconds))


def _barred(row: Experiment) -> list[tuple[Variant, Tombstone]]:
    """Its arms whose version a tombstone bars, with that."""
    arms = {arm.version_id: arm for arm in row.variants.all() if not arm.is_control}
    rows = Tombstone.objects.filter(version_id__in=arms, lifted_at=None)
    return [(arms[stone.version_id], stone) for stone in rows]


def _arms(row: Experiment, found: dict[str, Any]) -> list[Variant]:
    """Its variants; those of a bandit with their chance to be the best, where it can be told."""
    chances = (found.get("bandit") or {}).get("chance_to_be_best") or {}
    variants, stopped = list(row.variants.all()), experiments.stopped_arms(row)
    for one in variants:
        one.chance = chances.get(one.key)  # type: ignore[attr-defined]
        one.is_stopped = one.key in stopped  # type: ignore[attr-defined]
        one.agents = _agents_of(one)  # type: ignore[attr-defined]
    return variants


def _agents_of(arm: Variant) -> list[tuple[str, int | None]]:
    """The agents that an arm of a workflow names, each with its version's number."""
    found: list[tuple[str, int | None]] = []
    for slug, version in sorted(arm.agent_versions.items()):
        try:
            found.append((slug, int(agents.version_values(slug, version)["number"])))
        except NotFound:
            found.append((slug, None))
    return found


def _batches(row: Experiment) -> list[dict[str, Any]]:
    """A bandit's batches, the latest first, each with its arms' shares in the variants' order."""
    if row.test.get("kind") != "bandit" or row.started_at is None:
        return []
    began = [row.started_at, *(datetime.fromisoformat(one["began_at"]) for one in row.batches)]
    return [
        {"began_at": at, "shares": list(batch.weights.values())}
        for at, batch in zip(began, experiments.batches_of(row), strict=True)
    ][::-1]


def _incidents(found: dict[str, Any]) -> list[dict[str, Any]]:
    """What was left out, with times that a page can say; ``seconds`` None while it lasts."""
    shown = []
    for one in found.get("incidents", ()):
        since = datetime.fromisoformat(one["since"])
        until = datetime.fromisoformat(one["until"]) if one["until"] else None
        seconds = (until - since).total_seconds() if until else None
        shown.append({**one, "since": since, "seconds": seconds})
    return shown


@require_http_methods(["GET", "POST"])
@page("learning:read")
def rollout(request: HttpRequest, caller: Caller, rollout_id: UUID) -> HttpResponse:
    """``/dashboard/rollouts/{id}``: its stages, what they showed, and how fast it went back."""
    row = rollouts.find(rollout_id)
    if not caller.sees(row.client_id):
        raise NotFound("rollout", rollout_id)
    if request.method == "POST":
        return _act(request, caller, f"/dashboard/rollouts/{row.pk}", {
            "advance": lambda reason: rollouts.advance(
                caller=caller, rollout_id=row.pk, reason=reason),
            "pause": lambda reason: rollouts.pause(
                caller=caller, rollout_id=row.pk, reason=reason),
            "resume": lambda reason: rollouts.resume(
                caller=caller, rollout_id=row.pk, reason=reason),
            "rollback": lambda reason: rollouts.rollback(
                caller=caller, rollout_id=row.pk, reason=_given(reason)),
        }, lambda fault: render(
            request, "learning/rollout.html", _rollout(row, caller, fault),
            status=fault.http_status))  # fmt: skip
    piece = request.headers.get("HX-Request") == "true"
    template = "learning/_rollout.html" if piece else "learning/rollout.html"
    return render(request, template, _rollout(row, caller))


def _rollout(row: Rollout, caller: Caller, fault: AppError | None = None) -> dict[str, Any]:
    found = row.analysis or rollouts.read(row)
    return {
        "row": row, "found": found, "fault": fault, "may_decide": caller.has("learning:decide"),
        "stages": [_stage(row, index) for index in range(len(row.stages))],
        "reach": _reach(row), "is_unmet": row.state_reason.startswith(rollouts.UNMET),
        "said": saying.of_rollout(row, timezone.now()),
        "improvement": row.improvement, "is_open": row.state in rollouts.OPEN,
        "incidents": _incidents(found), "barred": Tombstone.objects.filter(
            agent_slug=row.agent_slug, version_id=row.to_version_id, lifted_at=None
        ).first(),
        "from_number": agents.version_values(row.agent_slug, row.from_version_id)["number"],
        "to_number": agents.version_values(row.agent_slug, row.to_version_id)["number"],
        **_numbers(found, row),
    }  # fmt: skip


def _stage(row: Rollout, index: int) -> dict[str, Any]:
    stage = row.stages[index]
    sizes = {
        arm: sum(end - start for start, end in pairs) / 10_000
        for arm, pairs in stage_layout(stage["share"]).items()
    }
    state = "pending"
    if index < row.stage or row.state == Rollout.State.DONE:
        state = "succeeded"
    elif index == row.stage:
        state = row.state
    return {**stage, "number": index + 1, "state": state, "treated": sizes["treatment"],
            "control": sizes["control"]}  # fmt: skip


def _reach(row: Rollout) -> dict[str, Any] | None:
    """How long the version still answered after the harm first showed, and after the decision."""
    if row.breached_at is None or row.ended_at is None:
        return None

    def after(start: datetime, end: datetime | None) -> float | None:
        return None if end is None else max(0.0, (end - start).total_seconds())

    return {
        "breached_at": row.breached_at, "decided_at": row.ended_at,
        "last_exposure_at": row.last_exposure_at,
        "seconds": after(row.breached_at, row.last_exposure_at),
        "seconds_to_decision": after(row.breached_at, row.ended_at),
        "seconds_after_decision": after(row.ended_at, row.last_exposure_at),
    }  # fmt: skip


def _numbers(found: dict[str, Any], row: Experiment | Rollout) -> dict[str, Any]:
    """The metrics as rows, the primary one first, and the plot."""
    primary = next(m for m in found["metrics"] if m["role"] == "primary")
    measures = {str(m["key"]): str(m.get("measure") or m["key"]) for m in row.metrics}
    shown = next((c["difference_type"] for c in primary["comparisons"]), "absolute")
    is_read = plots.is_read(found)
    factor, unit = metric_rows.scale_of(
        measures.get(primary["key"], primary["key"]), "absolute" if is_read else shown
    )
    rows = metric_rows.rows_of(found, row.metrics, is_new=row.state == "draft")
    kind = found["test"]["kind"]
    guards = [one for one in rows if one["read"] and one["read"]["strip"]]
    return {
        "metrics": rows, "plot": plots.effect_path(found, factor, unit), "is_read": is_read,
        "plot_title": _plot_title(rows[0], measures, unit, is_read=is_read),
        "guards": guards, **_guards_over_time(found, guards),
        "interval_words": metric_rows.INTERVALS[kind], "is_bayesian": kind == "bayesian",
    }  # fmt: skip


def _plot_title(
    first: dict[str, Any], measures: dict[str, str], unit: str, *, is_read: bool
) -> str:  # fmt: skip
    """What the plot draws and in what, which the metric's own name may say: ``cost USD``."""
    if not is_read:
        return f"{first['words']}, {unit} {first['against']}"
    said = metric_rows.unit_in_words(measures.get(first["key"], first["key"]))
    return first["words"] if said in first["words"].split() else f"{first['words']}, {said}"


def _guards_over_time(
    found: dict[str, Any], guards: Sequence[dict[str, Any]]
) -> dict[str, Any]:  # fmt: skip
    """A plot a guardrail metric, and the table of what they draw; nothing of one look."""
    drawn = []
    for key in dict.fromkeys(one["key"] for one in guards):
        own = [one for one in guards if one["key"] == key]
        plot = plots.guard_path(found, key, own[0]["read"]["factor"], own[0]["read"]["unit"])
        if plot:
            title = _with_unit(own[0]["name"], own[0]["read"])
            drawn.append({**own[0], "title": title, "rows": own, "plot": plot})
    looks = plots.guard_looks(found, [one["key"] for one in drawn]) if drawn else []
    for look in looks:
        look["read"] = [
            read and metric_rows.scaled(read, one["read"]["factor"])
            for read, one in zip(look["read"], drawn, strict=True)
        ]
    return {"guard_plots": drawn, "guard_looks": looks}


def _with_unit(name: str, read: dict[str, Any]) -> str:
    """A metric as the title of what is drawn in a unit: ``P95, % on the control``, ``Cost USD``."""
    unit = " ".join(word for word in (read["unit"].strip(), read["of"]) if word)
    return name if not unit or name.endswith(unit) else f"{name}, {unit}"


def _given(reason: str) -> str:
    if not reason.strip():
        raise InvalidInput("reason", reason, "why it is taken back")
    return reason


def _act(
    request: HttpRequest, caller: Caller, back: str, moves: dict[str, Any], refused: Any
) -> HttpResponse:
    """Do what the form asks, then show the page again; a refusal is said on it."""
    try:
        caller.require("learning:decide", "decide about this")
        action = request.POST.get("action", "")
        if action not in moves:
            raise InvalidInput("action", action, " or ".join(moves))
        moves[action](request.POST.get("reason", "").strip())
    except AppError as fault:
        shown: HttpResponse = refused(fault)
        return shown
    return redirect(back)


def shown_states() -> frozenset[str]:
    """States that pages show, for the test that each has a word of its own."""
    return frozenset({*Experiment.State.values, *Rollout.State.values, *Improvement.State.values})
