"""Documents that agents may quote, in passages that can be found and marked."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from pgvector.django import HnswIndex, VectorField

from agents.domain.retrieval import DIMENSIONS
from agents.models.records import MONEY
from config.access.ids import uuid7


class Document(models.Model):
    """A text of one client, or of the firm for everybody. A newer one replaces its title."""

    class State(models.TextChoices):
        CURRENT = "current"
        REPLACED = "replaced", "replaced by a newer one of the same title"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    title = models.CharField(max_length=200)
    is_shared = models.BooleanField(default=False, help_text="The firm's, for every client.")
    limited_to = ArrayField(
        models.TextField(), default=list, db_default=[], blank=True,
        help_text="What a reader must hold: one name of each line. Empty: everybody may read it.",
    )  # fmt: skip
    state = models.CharField(max_length=8, choices=State.choices, default=State.CURRENT)
    media_type = models.CharField(max_length=80)
    source = models.CharField(max_length=300, blank=True, default="", help_text="Where it is from.")
    digest = models.CharField(max_length=64)
    characters = models.PositiveIntegerField(default=0)
    as_of = models.DateField(null=True, blank=True, help_text="The day its content speaks for.")
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Not found after that.")
    embedding_cost_usd = models.DecimalField(**MONEY, default=0)
    created_by = models.CharField(max_length=80, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["client_id", "-id"], name="document_client")]
        constraints = [
            models.UniqueConstraint(
                fields=["client_id", "title"],
                condition=Q(state="current"),
                name="document_one_current",
            )
        ]

    def __str__(self) -> str:
        return self.title


class Passage(models.Model):
    """One piece of a document. Without an embedding yet, full text alone finds it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="passages")
    cut = models.CharField(
        max_length=12, blank=True, default="", db_default="",
        help_text="Empty: the standard one. Else tokens/overlap, for versions that ask for it.",
    )  # fmt: skip
    number = models.PositiveIntegerField(help_text="From 1, in reading order.")
    heading = models.CharField(max_length=300, blank=True, default="")
    page = models.PositiveIntegerField(null=True, blank=True)
    text = models.TextField()
    tokens = models.PositiveIntegerField()
    embedding = VectorField(dimensions=DIMENSIONS, null=True)
    embedding_model = models.CharField(max_length=160, blank=True, default="")
    words = models.GeneratedField(
        expression=SearchVector("heading", "text", config="english"),
        output_field=SearchVectorField(),
        db_persist=True,
    )
    helpful = models.PositiveIntegerField(default=0)
    unhelpful = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["document", "cut", "number"]
        indexes = [
            GinIndex(fields=["words"], name="passage_words"),
            HnswIndex(
                fields=["embedding"], name="passage_nearest", opclasses=["vector_cosine_ops"]
            ),
            models.Index(fields=["embedding_model"], name="passage_embedded_by"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["document", "cut", "number"], name="passage_in_cut_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.document_id} {self.number}"


class PassageMark(models.Model):
    """What one caller thought of one passage in one answer, or in none; the last word counts."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    passage = models.ForeignKey(Passage, on_delete=models.CASCADE, related_name="marks")
    principal = models.CharField(max_length=64, help_text="The user, or the key.")
    is_helpful = models.BooleanField()
    invocation_id = models.UUIDField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["passage", "principal", "invocation_id"],
                name="passagemark_once_an_answer",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.principal}: {'helpful' if self.is_helpful else 'unhelpful'}"
