"""What must be unique for good, kept outside the partitioned tables."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from pgvector.django import VectorField

from agents.domain.retrieval import DIMENSIONS
from config.access.ids import uuid7


class EffectAnswer(models.Model):
    """Which invocation answered one attempt of an effect; a repeat gets that answer."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    effect_id = models.CharField(max_length=200)
    attempt = models.PositiveIntegerField()
    invocation_id = models.UUIDField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["effect_id", "attempt"], name="effectanswer_once")
        ]

    def __str__(self) -> str:
        return f"{self.effect_id} attempt {self.attempt}"


class IdempotentToolResult(models.Model):
    """The outcome of one side effect. The row is there before the effect is tried.

    A row that is ``started`` and stays so means that nobody knows whether the effect happened:
    it is looked into, never tried again.
    """

    class State(models.TextChoices):
        STARTED = "started"
        DONE = "done"
        FAILED = "failed", "known not to have happened"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    effect_id = models.CharField(max_length=200)
    tool = models.CharField(max_length=120)
    state = models.CharField(max_length=8, choices=State.choices, default=State.STARTED)
    result = models.JSONField(null=True)
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["effect_id", "tool"], name="toolresult_effect_once"),
            models.CheckConstraint(
                condition=Q(state="started", ended_at=None)
                | (~Q(state="started") & Q(ended_at__isnull=False)),
                name="toolresult_ended_iff_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tool} {self.effect_id}"


class CachedAnswer(models.Model):
    """The slowest and longest-lived tier of the answer cache."""

    key = models.CharField(max_length=64, primary_key=True)
    client_id = models.UUIDField()
    agent_id = models.UUIDField()
    version_id = models.UUIDField()
    answer = models.JSONField()
    cost_usd = models.DecimalField(max_digits=20, decimal_places=9)
    hits = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["expires_at"], name="cachedanswer_expiry"),
            models.Index(fields=["version_id"], name="cachedanswer_version"),
        ]

    def __str__(self) -> str:
        return self.key


class CachedQuestion(models.Model):
    """What the semantic tier knows of a question: where it points, never what it says."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    version_id = models.UUIDField()
    answer = models.ForeignKey(CachedAnswer, on_delete=models.CASCADE, related_name="questions")
    context = models.CharField(max_length=64, help_text="Digest of what stands before it.")
    telling = models.CharField(max_length=64, help_text="Digest of what must be equal in it.")
    embedding = VectorField(dimensions=DIMENSIONS)
    embedding_model = models.CharField(max_length=160)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["answer"], name="cachedquestion_one_an_answer")
        ]
        indexes = [
            models.Index(
                fields=["client_id", "version_id", "context", "telling"],
                name="cachedquestion_partition",
            )
        ]

    def __str__(self) -> str:
        return str(self.answer_id)
