"""Saying something in a conversation, and giving it back or ending it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents import conversations, interactive, talking
from agents.api.calls import answer_document
from agents.api.conversations import ConversationDocument
from agents.api.shared import KEY, PROBLEM, checked
from agents.models import Conversation, Turn
from agents.serializers import AnswerDocument
from config import rest
from config.errors import Forbidden

Fields = serializers.Serializer[Any]


class NewTurn(Fields):
    """What is said."""

    text = serializers.CharField(max_length=talking.MAX_TEXT)


class TurnAnswer(Fields):
    """The agent's answer; or, while a person is in charge, the turn that was kept."""

    answer = AnswerDocument(allow_null=True)
    turn = serializers.IntegerField(allow_null=True)


class ConversationState(Fields):
    """``open`` gives it back to the agent, ``closed`` ends it."""

    state = serializers.CharField(max_length=12)


class Turns(APIView):
    scopes = {"POST": "agents:invoke"}

    @extend_schema(
        parameters=[KEY], request=NewTurn,
        responses={200: TurnAnswer, 201: TurnAnswer, 404: PROBLEM, 409: PROBLEM, 422: PROBLEM,
                   429: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, talk_id: UUID) -> Response:
        """Ask the agent with the history in mind; after a hand-over, speak to the other side."""
        caller = rest.caller_of(request)
        data = checked(NewTurn, request)
        talk = conversations.find(caller, talk_id)
        if talk.state == Conversation.State.HANDED_OVER:
            asker = talking.is_outsider(caller) or caller.user_id == talk.user_id
            role = Turn.Role.USER if asker else Turn.Role.PERSON
            turn = talking.say(talk, role, data["text"])
            return Response({"answer": None, "turn": turn.number}, status=201)
        with interactive.place():
            answer = talking.ask(talk, data["text"], user_id=caller.user_id, key_id=caller.key_id)
        return Response({"answer": answer_document(answer), "turn": None})


class State(APIView):
    scopes = {"PUT": "agents:invoke"}

    @extend_schema(
        request=ConversationState,
        responses={200: ConversationDocument, 403: PROBLEM, 404: PROBLEM},
    )
    def put(self, request: Request, talk_id: UUID) -> Response:
        """Give a conversation back to its agent, or close it."""
        caller = rest.caller_of(request)
        data = checked(ConversationState, request)
        talk = conversations.find(caller, talk_id)
        if data["state"] == Conversation.State.OPEN and talking.is_outsider(caller):
            raise Forbidden("give a conversation back to its agent", "somebody of the firm")
        return Response(ConversationDocument(talking.move(talk, data["state"])).data)
