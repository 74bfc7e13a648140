"""Statistics that are given, experiments, and rollouts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents import services as agents
from config import rest
from config.access.callers import Caller
from config.errors import InvalidInput, NotFound
from learning import analysis, experiments, reviewing, rollouts, screening
from learning import serializers as shapes
from learning.api.shared import ANY, KEY, PAGES, PROBLEM, checked, choice_of, page
from learning.models import Experiment, Improvement, Rollout
from learning.rollouts import drilling
from learning.verdict_shape import VERDICT

OBJECT = OpenApiTypes.OBJECT


class AnalyseStatistics(APIView):
    scopes = {"GET": "learning:read", "POST": "learning:read"}

    @extend_schema(operation_id="experiments_analysis_schema", responses={200: ANY})
    def get(self, request: Request) -> Response:
        """JSON Schema of the statistics document."""
        return Response(analysis.input_schema())

    @extend_schema(
        operation_id="experiments_analysis_given", request=OBJECT,
        responses={200: VERDICT, 422: PROBLEM},
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """Analyse statistics that are given; nothing is stored."""
        return Response(analysis.analyse(request.data))


class PlanExperiment(APIView):
    scopes = {"POST": "learning:read"}

    @extend_schema(
        operation_id="experiments_plan", request=OBJECT, responses={200: ANY, 422: PROBLEM}
    )
    def post(self, request: Request) -> Response:
        """Units and days that a question needs, with the test that will be used."""
        return Response(analysis.plan(request.data))


class Experiments(APIView):
    scopes = {"GET": "learning:read", "POST": "learning:decide"}

    @extend_schema(
        operation_id="experiments_list",
        parameters=[
            *PAGES, OpenApiParameter("agent", str), OpenApiParameter("workflow", str),
            OpenApiParameter("state", str, enum=Experiment.State.values),
        ],
        responses=shapes.ExperimentDocument(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Experiments, newest first."""
        return page(request, _asked(request, Experiment), shapes.ExperimentDocument)

    @extend_schema(
        operation_id="experiments_create", parameters=[KEY], request=shapes.NewExperiment,
        responses={201: shapes.ExperimentDocument, 409: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Draft an experiment; start it with POST …/start."""
        data, caller = checked(shapes.NewExperiment, request), rest.caller_of(request)
        data["agent_slug"] = data.pop("agent")
        _improvement(caller, data["improvement_id"], data["agent_slug"])
        row = experiments.create(caller=caller, **data)
        row.refresh_from_db()
        return Response(shapes.ExperimentDocument(row).data, status=201)


class OneExperiment(APIView):
    scopes = {"GET": "learning:read", "DELETE": "learning:decide"}

    @extend_schema(responses={200: shapes.ExperimentDocument, 404: PROBLEM})
    def get(self, request: Request, experiment_id: UUID) -> Response:
        """One experiment with its arms and the latest headline."""
        return Response(shapes.ExperimentDocument(_experiment(request, experiment_id)).data)

    @extend_schema(
        operation_id="experiments_discard", responses={204: None, 404: PROBLEM, 409: PROBLEM}
    )
    def delete(self, request: Request, experiment_id: UUID) -> Response:
        """Discard a draft; what was started is stopped instead and stays on record."""
        row = _experiment(request, experiment_id)
        experiments.discard(caller=rest.caller_of(request), experiment_id=row.pk)
        return Response(status=204)


class ExperimentAnalysis(APIView):
    scopes = {"GET": "learning:read"}

    @extend_schema(operation_id="experiments_analysis", responses={200: VERDICT, 404: PROBLEM})
    def get(self, request: Request, experiment_id: UUID) -> Response:
        """The verdict document of what is stored now; it may be read on any day."""
        row = _experiment(request, experiment_id)
        return Response(experiments.read(row))


class MoveExperiment(APIView):
    scopes = {"POST": "learning:decide"}

    @extend_schema(
        operation_id="experiments_move", parameters=[KEY], request=shapes.Approval,
        responses={200: shapes.ExperimentDocument, 404: PROBLEM, 409: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, experiment_id: UUID, action: str) -> Response:
        """Start, pause, resume or stop an experiment.

        What a replay found worse, and an improvement's candidate that none found no worse, is not
        started (409 `replay_needed`), but with `override` and a reason.
        """
        data = checked(shapes.Approval, request)
        reason, row = data["reason"], _experiment(request, experiment_id)
        given: dict[str, Any] = {
            "caller": rest.caller_of(request), "experiment_id": experiment_id,
        }  # fmt: skip
        if action == "start" and row.state == Experiment.State.DRAFT:
            screening.check_experiment(given["caller"], row, **data)
        if action != "start":
            given["reason"] = reason
        moves: dict[str, Any] = {
            "start": experiments.start, "pause": experiments.pause,
            "resume": experiments.resume, "stop": experiments.stop,
        }  # fmt: skip
        return Response(shapes.ExperimentDocument(moves[action](**given)).data)


class RollOutExperiment(APIView):
    scopes = {"POST": "learning:decide"}

    @extend_schema(
        operation_id="experiments_roll_out", parameters=[KEY], request=shapes.WinnerRollout,
        responses={200: shapes.ExperimentDocument, 404: PROBLEM, 409: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, experiment_id: UUID) -> Response:
        """Bring the arm that was found better to everybody; an open experiment ends with it.

        A workflow's version is current at once; what its arm names of agents goes out in stages.
        """
        data = checked(shapes.WinnerRollout, request)
        row = _experiment(request, experiment_id)
        done = experiments.roll_out(
            caller=rest.caller_of(request), experiment_id=row.pk, **data
        )  # fmt: skip
        return Response(shapes.ExperimentDocument(done).data)


class Rollouts(APIView):
    scopes = {"GET": "learning:read", "POST": "learning:decide"}

    @extend_schema(
        operation_id="rollouts_list",
        parameters=[
            *PAGES, OpenApiParameter("agent", str),
            OpenApiParameter("state", str, enum=Rollout.State.values),
        ],
        responses=shapes.RolloutDocument(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Rollouts, newest first."""
        return page(request, _asked(request, Rollout), shapes.RolloutDocument)

    @extend_schema(
        operation_id="rollouts_create", parameters=[KEY], request=shapes.NewRollout,
        responses={201: shapes.RolloutDocument, 409: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Begin a rollout at its first stage.

        What a replay found worse, and an improvement's candidate that none found no worse, is not
        begun (409 `replay_needed`), but with `override` and a reason.
        """
        data = checked(shapes.NewRollout, request)
        caller = rest.caller_of(request)
        target = agents.version_values(data["agent"], data["version"])["id"]
        screening.check_by_hand(
            caller, {data["agent"]: {target}},
            _improvement(caller, data["improvement_id"], data["agent"]),
            override=data.pop("override"), reason=data.pop("reason"),
        )  # fmt: skip
        row = rollouts.begin(
            client_id=caller.home_client_id, agent_slug=data.pop("agent"),
            to_version=data.pop("version"), by=caller.name, **data,
        )  # fmt: skip
        row.refresh_from_db()
        return Response(shapes.RolloutDocument(row).data, status=201)


class RollbackDrills(APIView):
    scopes = {"POST": "learning:decide"}

    @extend_schema(
        operation_id="rollouts_drill", parameters=[KEY], request=shapes.NewDrill,
        responses={202: shapes.RolloutDocument, 409: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Begin a rollback drill; its rollout says how long it reached callers once it is over."""
        seconds = checked(shapes.NewDrill, request)["seconds"]
        row = drilling.begin_drill(caller=rest.caller_of(request), seconds=seconds)
        headers = {"Location": f"/api/v1/rollouts/{row.pk}"}
        return Response(shapes.RolloutDocument(row).data, status=202, headers=headers)


class OneRollout(APIView):
    scopes = {"GET": "learning:read"}

    @extend_schema(responses={200: shapes.RolloutDocument, 404: PROBLEM})
    def get(self, request: Request, rollout_id: UUID) -> Response:
        """One rollout with its stages and the latest analysis."""
        return Response(shapes.RolloutDocument(_rollout(request, rollout_id)).data)


class MoveRollout(APIView):
    scopes = {"POST": "learning:decide"}

    @extend_schema(
        operation_id="rollouts_move", parameters=[KEY], request=shapes.Decision,
        responses={200: shapes.RolloutDocument, 404: PROBLEM, 409: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, rollout_id: UUID, action: str) -> Response:
        """Open the next stage, hold, go on, or take it back."""
        reason = checked(shapes.Decision, request)["reason"]
        _rollout(request, rollout_id)
        given: dict[str, Any] = {"caller": rest.caller_of(request), "rollout_id": rollout_id}
        if action == "rollback" and not reason.strip():
            raise InvalidInput("reason", reason, "why it is taken back")
        given["reason"] = reason
        moves: dict[str, Any] = {
            "advance": rollouts.advance, "pause": rollouts.pause,
            "resume": rollouts.resume, "rollback": rollouts.rollback,
        }  # fmt: skip
        return Response(shapes.RolloutDocument(moves[action](**given)).data)


def _asked(request: Request, model: Any) -> Any:
    rows = rest.caller_of(request).only_visible(model.objects.all())
    choice_of(request, "state", model.State.values)
    fields = {"agent": "agent_slug", "state": "state"}
    if model is Experiment:
        fields["workflow"] = "workflow_name"
        rows = rows.prefetch_related("variants", "rollouts")
    for name, field in fields.items():
        if request.query_params.get(name):
            rows = rows.filter(**{field: request.query_params[name]})
    return rows


def _improvement(
    caller: Caller, improvement_id: UUID | None, agent: str = ""
) -> Improvement | None:
    """The improvement that is tried, if one is named; of ``agent``, if one is compared."""
    row = reviewing.find(caller, improvement_id) if improvement_id else None
    if row is not None and agent and row.agent_slug != agent:
        raise InvalidInput("improvement_id", str(row.pk), f"one of {agent}, not {row.agent_slug}")
    return row


def _experiment(request: Request, experiment_id: UUID) -> Experiment:
    row = experiments.find(experiment_id)
    if not rest.caller_of(request).sees(row.client_id):
        raise NotFound("experiment", experiment_id)
    return row


def _rollout(request: Request, rollout_id: UUID) -> Rollout:
    row = rollouts.find(rollout_id)
    if not rest.caller_of(request).sees(row.client_id):
        raise NotFound("rollout", rollout_id)
    return row
