"""Users, clients (the tenants), memberships, keys and invitations."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from config.access.ids import uuid7
from config.access.roles import ROLES


class Audience(models.Model):
    """A department, region, client group or internal/external group that rights refer to."""

    class Kind(models.TextChoices):
        DEPARTMENT = "department"
        REGION = "region"
        CLIENT = "client"
        GROUP = "group"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    name = models.CharField(max_length=80)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "name"], name="audience_once")]
        ordering = ["kind", "name"]

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


class Client(models.Model):
    """The tenant: every run, call, document and budget belongs to exactly one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    is_firm = models.BooleanField(default=False, help_text="The firm itself; there is one.")
    is_demo = models.BooleanField(
        default=False, help_text="Shipped for a try-out; kept out of live figures."
    )
    audiences = models.ManyToManyField(Audience, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["is_firm"], condition=Q(is_firm=True), name="client_one_firm"
            )
        ]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class User(AbstractUser):
    """A person who signs in."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    is_demo = models.BooleanField(default=False, help_text="Shipped for a try-out.")
    time_zone = models.CharField(max_length=64, default="UTC")
    audiences = models.ManyToManyField(Audience, blank=True)

    class Meta(AbstractUser.Meta):
        ordering = ["username"]

    def __str__(self) -> str:
        return self.get_full_name() or self.username


class Membership(models.Model):
    """A user's role at a client. At the firm it reaches all clients of the user's audiences."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=32, choices=[(role, role) for role in ROLES])

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "client", "role"], name="membership_once")
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} at {self.client}"


class ApiKey(models.Model):
    """A bearer key ``rk_…``: stored as a digest, scoped, expiring."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12, help_text="First characters, to recognise it by.")
    digest = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="api_keys")
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.name})"


class KeyNetwork(models.Model):
    """A network from which a key was used."""

    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="networks")
    network = models.CharField(max_length=48)
    first_used_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key", "network"], name="keynetwork_once_a_key")
        ]

    def __str__(self) -> str:
        return self.network


class Invitation(models.Model):
    """An offer of a role, by e-mail; used once, before it expires."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField()
    client = models.ForeignKey(Client, on_delete=models.CASCADE)
    role = models.CharField(max_length=32, choices=[(role, role) for role in ROLES])
    digest = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(User, on_delete=models.CASCADE)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.email} as {self.role}"


class IdempotencyRecord(models.Model):
    """The answer to one request with an Idempotency-Key, kept so that a repeat replays it."""

    class State(models.TextChoices):
        RUNNING = "running"
        DONE = "done"

    IDENTITY: ClassVar[tuple[str, ...]] = ("principal", "path", "key")
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    principal = models.CharField(max_length=64, help_text="Key or user that sent it.")
    path = models.CharField(max_length=300)
    key = models.CharField(max_length=200)
    digest = models.CharField(max_length=64)
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    response_status = models.PositiveSmallIntegerField(null=True)
    response_body = models.JSONField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["principal", "path", "key"], name="idempotency_once")
        ]

    def __str__(self) -> str:
        return f"{self.path} {self.key}"
