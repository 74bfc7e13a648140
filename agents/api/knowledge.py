"""Documents, passages, search and marks."""

from __future__ import annotations

import base64
import binascii
from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.db.models import Prefetch
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents import doors
from agents.api.shared import KEY, PAGES, PROBLEM, checked, page, whole
from agents.knowledge import index, reading
from agents.knowledge.embedding import Payer
from agents.knowledge.index import Given
from agents.knowledge.marks import mark
from agents.knowledge.search import search, visible_documents
from agents.models import Document, Passage
from config import rest
from config.access import rights
from config.access.callers import Caller
from config.access.hiding import of_readers
from config.errors import Forbidden, InvalidInput, NotFound

Fields = serializers.Serializer[Any]


class DocumentSummary(serializers.ModelSerializer[Document]):
    """A document without its text."""

    state = serializers.CharField(read_only=True)
    access = serializers.SerializerMethodField(
        help_text="Roles and audiences that it is limited to; empty for all of its client."
    )

    def get_access(self, row: Document) -> list[str]:
        return rights.names_in(row.limited_to)

    class Meta:
        model = Document
        fields = ["id", "client_id", "title", "is_shared", "access", "state", "media_type",
                  "source", "digest", "characters", "as_of", "expires_at", "embedding_cost_usd",
                  "created_by", "created_at"]  # fmt: skip


class PassageDocument(serializers.ModelSerializer[Passage]):
    """One passage of a document."""

    class Meta:
        model = Passage
        fields = ["id", "number", "heading", "page", "text", "tokens", "embedding_model",
                  "helpful", "unhelpful"]  # fmt: skip


class DocumentDetail(DocumentSummary):
    """A document with its passages in reading order."""

    passages = PassageDocument(many=True)

    class Meta(DocumentSummary.Meta):
        fields = [*DocumentSummary.Meta.fields, "passages"]


class NewDocument(Fields):
    """A text, a file in base64, or an uploaded ``file``; the same title replaces what was."""

    title = serializers.CharField(max_length=200)
    text = serializers.CharField(required=False, max_length=reading.MAX_CHARACTERS)
    content_base64 = serializers.CharField(required=False)
    file = serializers.FileField(required=False)
    media_type = serializers.CharField(max_length=80, required=False, allow_blank=True)
    source = serializers.CharField(  # type: ignore[assignment]
        max_length=300, required=False, default="", allow_blank=True
    )
    as_of = serializers.DateField(required=False, allow_null=True)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)
    is_shared = serializers.BooleanField(default=False)
    access = serializers.ListField(
        child=serializers.CharField(max_length=100),
        required=False, max_length=20,
        help_text="Who may read it: one of the roles named here, if any, and one of the audiences "
        "(department:audit), if any. Without it as the document that this one replaces.",
    )  # fmt: skip
    client_id = serializers.UUIDField(required=False)


class SearchRequest(Fields):
    """What to look for; ``titles`` narrows to documents of these titles."""

    query = serializers.CharField(max_length=2000)
    titles = serializers.ListField(
        child=serializers.CharField(max_length=200), required=False, max_length=50
    )
    limit = serializers.IntegerField(min_value=1, max_value=50, default=8)
    max_tokens = serializers.IntegerField(min_value=1, max_value=50_000, default=4_000)
    client_id = serializers.UUIDField(required=False)


class FoundPassage(Fields):
    """A passage that was found; a higher score fits better."""

    passage_id = serializers.UUIDField()
    document_id = serializers.UUIDField()
    client_id = serializers.UUIDField()
    title = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    as_of = serializers.DateField(allow_null=True)
    number = serializers.IntegerField()
    heading = serializers.CharField()
    page = serializers.IntegerField(allow_null=True)
    text = serializers.CharField()
    tokens = serializers.IntegerField()
    score = serializers.FloatField()
    helpful = serializers.IntegerField()
    unhelpful = serializers.IntegerField()


class SearchAnswer(Fields):
    """Passages, best first."""

    results = FoundPassage(many=True)


class NewMark(Fields):
    """What you think of a passage."""

    helpful = serializers.BooleanField()
    invocation_id = serializers.UUIDField(required=False, allow_null=True)


class Knowledge(APIView):
    scopes = {"GET": "agents:read", "POST": "knowledge:write"}

    @extend_schema(
        operation_id="knowledge_list",
        parameters=[OpenApiParameter("title", str), *PAGES],
        responses=DocumentSummary(many=True),
    )
    def get(self, request: Request) -> Response:
        """Documents that you may see: those of your clients, and the firm's shared ones."""
        rows = visible_documents(rest.caller_of(request))
        if title := request.query_params.get("title"):
            rows = rows.filter(title=title)
        return page(request, rows, lambda found: DocumentSummary(found, many=True).data)

    @extend_schema(
        parameters=[KEY],
        request=NewDocument,
        responses={201: DocumentSummary, 200: DocumentSummary, 403: PROBLEM, 422: PROBLEM},
    )
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Add a document. Other content under the same title replaces it; the same changes none."""
        caller = rest.caller_of(request)
        data = checked(NewDocument, request)
        client_id = doors.client_for(caller, data.get("client_id"))
        if data["is_shared"] and caller.client_ids is not None:
            raise Forbidden("share a document with every client", "a caller who sees all clients")
        document, created = index.add(
            _given(data), client_id=client_id, created_by=caller.name, caller=caller
        )
        return Response(DocumentSummary(document).data, status=201 if created else 200)


class OneDocument(APIView):
    scopes = {"GET": "agents:read", "DELETE": "knowledge:write"}

    @extend_schema(responses={200: DocumentDetail, 404: PROBLEM})
    def get(self, request: Request, document_id: UUID) -> Response:
        """A document with its passages."""
        rows = visible_documents(rest.caller_of(request))
        standard = Prefetch("passages", Passage.objects.filter(cut=""))
        document = rows.prefetch_related(standard).filter(pk=document_id).first()
        if document is None:
            raise NotFound("document", document_id)
        return Response(DocumentDetail(document).data)

    @extend_schema(responses={204: None, 404: PROBLEM})
    def delete(self, request: Request, document_id: UUID) -> Response:
        """Remove a document, its passages, and kept answers that quote it."""
        index.delete(_own(rest.caller_of(request), document_id))
        return Response(status=204)


class Search(APIView):
    scopes = {"POST": "agents:read"}

    @extend_schema(request=SearchRequest, responses={200: SearchAnswer, 422: PROBLEM})
    def post(self, request: Request) -> Response:
        """Passages that fit a question, by words and by meaning together."""
        caller = rest.caller_of(request)
        data = checked(SearchRequest, request)
        clients, payer = caller.client_ids, caller.home_client_id
        if data.get("client_id"):
            payer = doors.client_for(caller, data["client_id"])
            clients = frozenset({payer})
        users = [("user", str(caller.user_id))] if caller.user_id else []
        found = search(
            data["query"],
            client_ids=clients,
            titles=data.get("titles", ()),
            limit=data["limit"],
            max_tokens=data["max_tokens"],
            payer=Payer.of(payer, *users),
            held=rights.of_caller(caller),
        )
        return whole([asdict(one) for one in found])


class Marks(APIView):
    scopes = {"POST": "feedback:write"}

    @extend_schema(request=NewMark, responses={200: PassageDocument, 404: PROBLEM, 422: PROBLEM})
    def post(self, request: Request, passage_id: UUID) -> Response:
        """Say whether a passage helped; your last word counts, and moves it in later searches.

        `invocation_id` names the answer that had the passage before it.
        """
        data = checked(NewMark, request)
        passage = mark(
            caller=rest.caller_of(request),
            passage_id=passage_id,
            is_helpful=data["helpful"],
            invocation_id=data.get("invocation_id"),
        )
        return Response(PassageDocument(passage).data)


def _own(caller: Caller, document_id: UUID) -> Document:
    rows: Any = of_readers(caller, caller.only_visible(Document.objects.filter(pk=document_id)))
    document: Document | None = rows.first()
    if document is None:
        raise NotFound("document", document_id)
    return document


def _given(data: dict[str, Any]) -> Given:
    if (access := data.get("access")) is not None:
        rights.check_names(access, "access")
    ways = [name for name in ("text", "content_base64", "file") if data.get(name)]
    if len(ways) != 1:
        raise InvalidInput("text", ways, "exactly one of text, content_base64, file")
    given, name = data[ways[0]], ""
    if ways == ["text"]:
        content = str(given).encode()
        kind = data.get("media_type") or reading.MARKDOWN
    elif ways == ["file"]:
        content, name = given.read(), str(given.name)
        kind = data.get("media_type") or given.content_type or ""
    else:
        kind = data.get("media_type") or ""
        try:
            content = base64.b64decode(given, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidInput("content_base64", str(given)[:40], f"base64 ({error})") from None
    return Given(
        title=data["title"],
        content=content,
        media_type=reading.media_type_of(name, kind),
        source=data["source"],
        as_of=data.get("as_of"),
        expires_at=data.get("expires_at"),
        is_shared=data["is_shared"],
        limited_to=None if access is None else rights.lines(access),
    )
