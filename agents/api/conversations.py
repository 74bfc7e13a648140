"""Conversations that you may see, and handing one over."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents import conversations
from agents.api.shared import KEY, PAGES, PROBLEM, checked, page
from agents.models import Turn
from config import rest


class TurnDocument(serializers.ModelSerializer[Turn]):
    """One message, redacted."""

    class Meta:
        model = Turn
        fields = ["number", "role", "text", "invocation_id", "created_at"]
        extra_kwargs = {"role": {"read_only": True}}


class ConversationDocument(serializers.Serializer[Any]):
    """A conversation and how it stands."""

    id = serializers.UUIDField()
    client_id = serializers.UUIDField()
    agent = serializers.CharField(source="agent_slug")
    user_id = serializers.UUIDField(allow_null=True)
    channel = serializers.CharField()
    external_id = serializers.CharField()
    title = serializers.CharField()
    state = serializers.CharField()
    hand_over_reason = serializers.CharField()
    handed_over_at = serializers.DateTimeField(allow_null=True)
    quality_ratio = serializers.FloatField(allow_null=True)
    created_at = serializers.DateTimeField()
    last_turn_at = serializers.DateTimeField()


class ConversationWithTurns(ConversationDocument):
    """A conversation with its turns."""

    turns = TurnDocument(many=True)


class HandOver(serializers.Serializer[Any]):
    """Why a person should take over."""

    reason = serializers.CharField(max_length=300, default="", allow_blank=True)


class Conversations(APIView):
    scopes = {"GET": "agents:read"}

    @extend_schema(
        operation_id="conversations_list",
        parameters=PAGES,
        responses=ConversationDocument(many=True),
    )
    def get(self, request: Request) -> Response:
        """Conversations that you may see, newest first."""
        rows = conversations.visible(rest.caller_of(request))
        return page(request, rows, lambda found: ConversationDocument(found, many=True).data)


class OneConversation(APIView):
    scopes = {"GET": "agents:read"}

    @extend_schema(responses={200: ConversationWithTurns, 404: PROBLEM})
    def get(self, request: Request, talk_id: UUID) -> Response:
        """One conversation with its turns."""
        talk = conversations.find(rest.caller_of(request), talk_id)
        return Response(ConversationWithTurns(talk).data)


class HandOvers(APIView):
    scopes = {"POST": "agents:invoke"}

    @extend_schema(
        parameters=[KEY], request=HandOver, responses={200: ConversationDocument, 409: PROBLEM}
    )
    @rest.idempotent
    def post(self, request: Request, talk_id: UUID) -> Response:
        """Give a conversation to a person; the agent answers no more."""
        data = checked(HandOver, request)
        talk = conversations.hand_over(
            caller=rest.caller_of(request), talk_id=talk_id, reason=data["reason"]
        )
        return Response(ConversationDocument(talk).data)
