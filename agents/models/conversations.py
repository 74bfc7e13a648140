"""Conversations with an agent, turn by turn."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from config.access.ids import uuid7


class Conversation(models.Model):
    """One talk between a person and an agent, or a person who took over."""

    class State(models.TextChoices):
        OPEN = "open"
        HANDED_OVER = "handed_over", "handed over to a person"
        CLOSED = "closed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField(db_index=True)
    agent_id = models.UUIDField()
    agent_slug = models.CharField(max_length=64)
    user_id = models.UUIDField(null=True, blank=True)
    channel = models.CharField(max_length=24, default="api")
    external_id = models.CharField(max_length=200, blank=True, default="")
    title = models.CharField(max_length=200, blank=True, default="")
    summary = models.TextField(blank=True, default="")
    state = models.CharField(max_length=12, choices=State.choices, default=State.OPEN)
    hand_over_reason = models.CharField(max_length=300, blank=True, default="")
    handed_over_at = models.DateTimeField(null=True, blank=True)
    quality_ratio = models.FloatField(null=True, blank=True)
    intent = models.CharField(
        max_length=80, blank=True, default="", help_text="What it is about, as the channel says."
    )
    measured_at = models.DateTimeField(null=True, blank=True, help_text="Told as ended then.")
    limited_to = ArrayField(
        models.TextField(), null=True, blank=True,
        help_text="What its reader must hold, where an answer in it quoted documents that are "
        "limited. Kept longer than the calls.",
    )  # fmt: skip
    is_abandoned = models.BooleanField(
        null=True, help_text="Whether the person left without what they came for, when it ended."
    )
    created_at = models.DateTimeField(db_default=Now())
    last_turn_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["client_id", "-last_turn_at"], name="conversation_recent"),
            models.Index(
                fields=["last_turn_at"],
                name="conversation_unmeasured",
                condition=models.Q(measured_at__isnull=True),
            ),
            models.Index(fields=["-last_turn_at", "-id"], name="conversation_latest"),
            models.Index(
                fields=["-handed_over_at", "-id"],
                name="conversation_handed_over",
                condition=models.Q(handed_over_at__isnull=False),
            ),
            models.Index(
                fields=["-last_turn_at", "-id"],
                name="conversation_abandoned",
                condition=models.Q(is_abandoned=True),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["client_id", "channel", "external_id"],
                condition=~models.Q(external_id=""),
                name="conversation_once_per_channel",
            )
        ]

    def __str__(self) -> str:
        return self.title or str(self.id)


class Turn(models.Model):
    """One message of a conversation, redacted as its agent's policy says."""

    class Role(models.TextChoices):
        USER = "user"
        ASSISTANT = "assistant"
        PERSON = "person", "a person who took over"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="turns")
    number = models.PositiveIntegerField()
    role = models.CharField(max_length=12, choices=Role.choices)
    text = models.TextField()
    invocation_id = models.UUIDField(null=True, blank=True)
    tokens = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["conversation", "number"]
        constraints = [
            models.UniqueConstraint(fields=["conversation", "number"], name="turn_number_once")
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.number}"
