"""Doors of trying changes on recorded and graded questions."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents import doors, interactive
from config import rest
from learning import optimizer, refereeing, replay
from learning import shapes_loop as shapes
from learning.api.shared import KEY, PAGES, PROBLEM, checked, page
from learning.models import Replay


class Replays(APIView):
    scopes = {"GET": "learning:read", "POST": "learning:decide"}

    @extend_schema(
        operation_id="replays_list", parameters=[OpenApiParameter("agent", str), *PAGES],
        responses=shapes.ReplayDocument(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Replays, newest first."""
        rows = Replay.objects.order_by("-id")
        if agent := request.query_params.get("agent"):
            rows = rows.filter(agent_slug=agent)
        return page(request, rows, shapes.ReplayDocument, replay.document)

    @extend_schema(
        parameters=[KEY], request=shapes.ReplayRequest,
        responses={202: shapes.ReplayDocument, 404: PROBLEM, 409: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Let a candidate and the baseline answer recorded questions; look at the result later."""
        data, caller = checked(shapes.ReplayRequest, request), rest.caller_of(request)
        made = replay.start(
            agent=data["agent"],
            candidate_id=data["candidate"],
            baseline_id=data.get("baseline"),
            most_recorded=data["most_recorded"],
            cap_usd=data["cap_usd"],
            client_id=doors.client_for(caller, None),
            asked_by=caller.name,
            judge=refereeing.chosen(data["judge"], data["judge_version"]),
        )
        response = Response(shapes.ReplayDocument(replay.document(made)).data, status=202)
        response["Location"] = f"/api/v1/replays/{made.pk}"
        return response


class OneReplay(APIView):
    scopes = {"GET": "learning:read"}

    @extend_schema(responses={200: shapes.ReplayDocument, 404: PROBLEM})
    def get(self, request: Request, replay_id: UUID) -> Response:
        """One replay with every case's scores and what was missing."""
        found = replay.document(replay.find(replay_id), caller=rest.caller_of(request))
        return Response(shapes.ReplayDocument(found).data)


class PromptVariations(APIView):
    scopes = {"POST": "learning:decide"}

    @extend_schema(
        operation_id="agents_prompt_variations",
        parameters=[KEY], request=shapes.VariationsRequest,
        responses={200: shapes.VariationsDocument, 404: PROBLEM, 422: PROBLEM, 429: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Bottlenecks, other wordings and their effect on graded cases, within a spending cap."""
        data, caller = checked(shapes.VariationsRequest, request), rest.caller_of(request)
        with interactive.place():
            body = optimizer.vary(
                agent=slug, client_id=caller.home_client_id, asked_by=caller.name, **data
            )
        return Response(shapes.VariationsDocument(body).data)
