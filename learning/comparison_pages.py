"""The lists of all experiments and of all rollouts, and what came of each in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_GET

from agents import queries as agents
from config import readable
from config.access.callers import Caller
from config.errors import InvalidInput
from config.pages import page
from learning import rollouts, saying
from learning.domain.decisions import KINDS
from learning.models import Experiment, Rollout
from monitoring.asked import filters_of, identifier
from monitoring.lists import Listing

EXPERIMENTS, ROLLOUTS = "/dashboard/experiments", "/dashboard/rollouts"
NAMES = ("state", "verdict", "agent", "workflow", "client")
OF_ROLLOUTS = ("state", "agent", "client")
# Filters of an address → the columns that they are about.
FIELDS = {"state": "state", "verdict": "verdict", "agent": "agent_slug",
          "workflow": "workflow_name", "client": "client_id"}  # fmt: skip
OPEN = ("running", "paused")
UNDER_WAY = "open"
SAID = {("state", UNDER_WAY): "under way"}
# What a row is read of: of the analysis, which holds the whole path, only what is told.
_EXPERIMENT = ("id", "name", "agent_slug", "workflow_name", "unit", "state", "state_by",
               "state_reason", "verdict", "headline", "started_at", "ended_at", "paused_at",
               "paused_seconds", "created_at", "improvement__title")  # fmt: skip
_ROLLOUT = ("id", "agent_slug", "from_version_id", "to_version_id", "strategy", "stages", "stage",
            "unit", "state", "state_by", "state_reason", "headline", "postcheck", "is_drill",
            "breached_at", "stage_started_at", "created_at", "ended_at", "improvement__title",
            "experiment__name")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A comparison with what came of it; ``units`` are those of all arms, ``seconds`` its age.

    Either is None where there is none yet; ``arms`` says each arm's units.
    """

    of: Any
    said: str
    seconds: float | None
    units: int | None
    arms: str
    versions: str = ""


@require_GET
@page("learning:read")
def all_experiments(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """``/dashboard/experiments``; ``?state= verdict= agent= workflow= client= before=``."""
    return LIST_OF_EXPERIMENTS.page(
        request, caller, states=Experiment.State.values, verdicts=KINDS, agents=_agents(request)
    )


@require_GET
@page("learning:read")
def experiments_csv(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """``/dashboard/experiments.csv``: the newest that match, exact."""
    return LIST_OF_EXPERIMENTS.file(request, caller)


@require_GET
@page("learning:read")
def all_rollouts(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """``/dashboard/rollouts``; ``?state= agent= client= before=``."""
    return LIST_OF_ROLLOUTS.page(
        request, caller, states=Rollout.State.values, agents=_agents(request)
    )


@require_GET
@page("learning:read")
def rollouts_csv(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """``/dashboard/rollouts.csv``: the newest that match, exact."""
    return LIST_OF_ROLLOUTS.file(request, caller)


def _agents(request: HttpRequest) -> list[str]:
    """Whom the filter offers: every agent, and a retired one that is asked for."""
    asked = request.GET.get("agent", "")
    return sorted({*agents.known_agents(), *([asked] if asked else [])})


def _chosen(
    request: HttpRequest, caller: Caller, model: Any, names: Sequence[str], before: str
) -> QuerySet[Any]:
    """The rows that match behind a place, the newest first: ids tell when they were made."""
    given = filters_of(request, names)
    rows: QuerySet[Any] = caller.only_visible(model.objects.all())
    if given.get("state") == UNDER_WAY:
        rows = rows.filter(state__in=OPEN)
        del given["state"]
    _check("state", given, (*model.State.values, UNDER_WAY))
    _check("verdict", given, KINDS)
    if client := given.get("client"):
        given["client"] = str(identifier("client", client))
    rows = rows.filter(**{FIELDS[name]: value for name, value in given.items()})
    if before:
        rows = rows.filter(id__lt=identifier("before", before))
    return rows.order_by("-id")


def _check(name: str, given: Mapping[str, str], known: Sequence[str]) -> None:
    if given.get(name) and given[name] not in known:
        raise InvalidInput(name, given[name], f"one of {', '.join(known)}")


def _read_experiments(request: HttpRequest, caller: Caller, limit: int, before: str) -> list[Row]:
    rows = _chosen(request, caller, Experiment, NAMES, before).select_related("improvement")
    rows = rows.only(*_EXPERIMENT).annotate(
        counted=F("analysis__progress__units"), passed=F("analysis__frozen")
    )
    now = timezone.now()
    return [
        Row(
            one,
            one.said_without(one.passed or ""),
            _lasted(one, now),
            *_units(one.counted if one.started_at else None),
        )
        for one in rows[:limit]
    ]


def _lasted(row: Experiment, now: datetime) -> float | None:
    """How long it ran or runs, its pauses left out; None for a draft."""
    if row.started_at is None:
        return None
    until = row.ended_at or row.paused_at or now
    return max(0.0, (until - row.started_at).total_seconds() - row.paused_seconds)


def _units(counted: Mapping[str, int] | None) -> tuple[int | None, str]:
    if not counted:
        return None, ""
    return sum(counted.values()), ", ".join(f"{arm} {units}" for arm, units in counted.items())


def _read_rollouts(request: HttpRequest, caller: Caller, limit: int, before: str) -> list[Row]:
    rows = _chosen(request, caller, Rollout, OF_ROLLOUTS, before)
    rows = rows.select_related("improvement", "experiment").only(*_ROLLOUT)
    found = list(rows.annotate(counted=F("analysis__progress__units"))[:limit])
    numbers = agents.numbers_of_versions(
        {version for one in found for version in (one.from_version_id, one.to_version_id)}
    )
    now = timezone.now()
    return [
        Row(
            one, saying.in_list(one, now),
            ((one.ended_at or now) - one.created_at).total_seconds(), *_units(one.counted),
            versions=" → ".join(
                f"v{numbers[version]}" if version in numbers else "–"
                for version in (one.from_version_id, one.to_version_id)
            ),
        )
        for one in found
    ]  # fmt: skip


def _tell(one: str, many: str, open_: Sequence[str] = OPEN) -> Any:
    """The first line: how many are shown, and how many of them are under way."""

    def tell(rows: list[Row], more: bool) -> str:
        if not rows:
            return f"No {one} matches."
        under_way = sum(row.of.state in open_ for row in rows)
        said = f"The newest {len(rows)} {many}" if more else readable.plural(len(rows), one, many)
        return f"{said}; {under_way or 'none'} of them under way."

    return tell


def _place_of(row: Row) -> str:
    return str(row.of.pk)


COLUMNS = ("id", "name", "agent", "workflow", "state", "verdict", "said", "unit", "units",
           "started_at", "ended_at", "running_seconds", "state_by", "improvement_id")  # fmt: skip
OF_ROLLOUTS_COLUMNS = (
    "id", "agent", "from_version_id", "to_version_id", "strategy", "stage", "stages", "state",
    "said", "unit", "units", "created_at", "ended_at", "seconds", "state_by", "is_drill",
    "experiment_id", "improvement_id",
)  # fmt: skip


def _cells_of_experiment(row: Row) -> Sequence[object]:
    one = row.of
    return (one.pk, one.name, one.agent_slug, one.workflow_name, one.state, one.verdict, row.said,
            one.unit, row.units, one.started_at, one.ended_at, row.seconds, one.state_by,
            one.improvement_id)  # fmt: skip


def _cells_of_rollout(row: Row) -> Sequence[object]:
    one = row.of
    return (one.pk, one.agent_slug, one.from_version_id, one.to_version_id, one.strategy,
            one.stage + 1, len(one.stages), one.state, row.said, one.unit, row.units,
            one.created_at, one.ended_at, row.seconds, one.state_by, one.is_drill,
            one.experiment_id, one.improvement_id)  # fmt: skip


LIST_OF_EXPERIMENTS: Listing[Row] = Listing(
    place=EXPERIMENTS, template="learning/experiments.html", names=NAMES, columns=COLUMNS,
    one="experiment", many="experiments", read=_read_experiments, place_of=_place_of,
    cells=_cells_of_experiment, said=SAID, tell=_tell("experiment", "experiments"),
)  # fmt: skip
LIST_OF_ROLLOUTS: Listing[Row] = Listing(
    place=ROLLOUTS, template="learning/rollouts.html", names=OF_ROLLOUTS,
    columns=OF_ROLLOUTS_COLUMNS, one="rollout", many="rollouts", read=_read_rollouts,
    place_of=_place_of, cells=_cells_of_rollout, said=SAID,
    tell=_tell("rollout", "rollouts", rollouts.OPEN),
)  # fmt: skip
