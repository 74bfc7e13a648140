"""Endpoints that models answer at, and what their tokens cost."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from agents.domain.providers import NAME, OFFLINE, provider_of
from config.access.ids import uuid7


class Endpoint(models.Model):
    """One OpenAI-compatible address. The offline one has no stored address: it moves."""

    class State(models.TextChoices):
        ACTIVE = "active"
        PAUSED = "paused"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.SlugField(max_length=64, unique=True)
    base_url = models.URLField(max_length=300, blank=True, default="")
    provider = models.CharField(
        max_length=64, blank=True, default="", validators=[RegexValidator(NAME)],
        help_text="Who runs it; empty: by its address. Those of one provider fail together.",
    )  # fmt: skip
    api_key_env = models.CharField(
        max_length=80, blank=True, default="", help_text="Name of the variable with the key."
    )
    api_key_encrypted = models.BinaryField(null=True, blank=True, editable=False)
    served = models.JSONField(
        default=list, help_text='[{"name", "tier", "context_tokens", "capabilities": []}]'
    )
    is_offline = models.BooleanField(default=False)
    state = models.CharField(max_length=8, choices=State.choices, default=State.ACTIVE)
    priority = models.PositiveSmallIntegerField(
        default=100, help_text="Lower is tried first; equal ones share by policy."
    )
    weight = models.PositiveSmallIntegerField(default=1)
    max_in_flight = models.PositiveSmallIntegerField(
        default=64, help_text="Calls at once of one process; more wait for the next endpoint."
    )
    limits = models.JSONField(
        default=dict, blank=True, help_text="requests_per_minute, tokens_per_minute."
    )
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["priority", "name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(is_offline=True) | ~Q(base_url=""), name="endpoint_has_address"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def run_by(self) -> str:
        """Its provider: as declared, or else the owner of its address."""
        if self.provider:
            return self.provider
        return OFFLINE if self.is_offline else provider_of(self.base_url)


class PriceList(models.Model):
    """Prices in USD for a million tokens from a day on. Token kinds are disjoint.

    ``prices``: model → {input, cached, output, reasoning, simulated}; ``*`` prices what the list
    does not name, so that an unknown model is reserved for too.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    version = models.CharField(max_length=40, unique=True)
    valid_from = models.DateField()
    prices = models.JSONField()
    source = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-valid_from", "-version"]

    def __str__(self) -> str:
        return self.version
