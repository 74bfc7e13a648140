"""Whom an approval is announced to: people by e-mail, other systems by a signed POST."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from config.access.ids import uuid7
from config.access.roles import ROLES
from workflows.models.needs import Approval


class ApprovalWebhook(models.Model):
    """An address that hears of approvals, in the form of Standard Webhooks."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=80, unique=True)
    url = models.URLField(max_length=500)
    secret = models.CharField(max_length=200, help_text="Signs what is sent.")
    client = models.ForeignKey(
        "access.Client", null=True, blank=True, on_delete=models.CASCADE,
        help_text="Only approvals of this client; empty: of all of them.",
    )  # fmt: skip
    role = models.CharField(
        max_length=32, blank=True, choices=[(role, role) for role in ROLES],
        help_text="Only approvals that ask for this role; empty: all of them.",
    )  # fmt: skip
    may_be_private = models.BooleanField(
        default=False, help_text="May lead to an address inside this network."
    )
    is_active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.name


class ApprovalNotice(models.Model):
    """One message about one approval to one receiver, with every try."""

    class State(models.TextChoices):
        WAITING = "waiting"
        SENT = "sent"
        FAILED = "failed"
        DROPPED = "dropped", "answered before it was sent"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    approval = models.ForeignKey(Approval, on_delete=models.CASCADE, related_name="notices")
    name = models.CharField(max_length=12, help_text="asked or escalated")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE
    )
    webhook = models.ForeignKey(ApprovalWebhook, null=True, blank=True, on_delete=models.CASCADE)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["approval", "name", "user"], name="approvalnotice_once_per_person"
            ),
            models.UniqueConstraint(
                fields=["approval", "name", "webhook"], name="approvalnotice_once_per_webhook"
            ),
            models.CheckConstraint(
                condition=Q(user=None) ^ Q(webhook=None), name="approvalnotice_one_receiver"
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_at"], condition=Q(state="waiting"), name="approvalnotice_waiting"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} to {self.user or self.webhook}"
