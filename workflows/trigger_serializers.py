"""Shapes of what starts runs: schedules, watches and the suggestions that these make."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class ScheduleBody(serializers.Serializer[Any]):
    """What may be changed of a schedule."""

    name = serializers.CharField(max_length=80)
    inputs = serializers.JSONField(required=False, default=dict)
    priority = serializers.ChoiceField(
        choices=["high", "default", "low", ""], required=False, default=""
    )
    cron = serializers.CharField(max_length=120, help_text="minute hour day month weekday")
    time_zone = serializers.CharField(max_length=64, required=False, default="UTC")
    missed = serializers.ChoiceField(
        choices=["skip", "latest", "all"], required=False, default="latest",
        help_text="What happens with ticks that passed while nothing ran.",
    )  # fmt: skip
    grace_seconds = serializers.IntegerField(
        min_value=1, max_value=7 * 86400, required=False, default=300
    )
    overlap = serializers.ChoiceField(choices=["allow", "skip"], required=False, default="allow")
    is_paused = serializers.BooleanField(required=False, default=False)


class NewSchedule(ScheduleBody):
    workflow = serializers.CharField(max_length=64)
    client_id = serializers.UUIDField(required=False, allow_null=True)


class Tick(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    state = serializers.CharField()
    run_id = serializers.UUIDField(allow_null=True)
    error = serializers.JSONField(allow_null=True)


class ScheduleDocument(ScheduleBody):
    id = serializers.UUIDField()
    workflow = serializers.CharField()
    client_id = serializers.UUIDField()
    runs_as = serializers.CharField()
    next_at = serializers.DateTimeField(allow_null=True)
    revision = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    ticks = Tick(many=True, help_text="The latest ones.")


class WatchBody(serializers.Serializer[Any]):
    """What may be changed of a watch."""

    title = serializers.CharField(max_length=200)
    condition = serializers.JSONField(help_text="kind: measurement, overdue or arrival.")
    inputs = serializers.JSONField(required=False, default=dict)
    every_seconds = serializers.IntegerField(
        min_value=60, max_value=7 * 86400, required=False, default=300
    )
    cooldown_seconds = serializers.IntegerField(
        min_value=0, max_value=366 * 86400, required=False, default=7 * 86400
    )
    is_active = serializers.BooleanField(required=False, default=True)


class NewWatch(WatchBody):
    slug = serializers.SlugField(max_length=60)
    workflow = serializers.CharField(max_length=64)
    client_id = serializers.UUIDField(required=False, allow_null=True)


class WatchDocument(WatchBody):
    id = serializers.UUIDField()
    slug = serializers.SlugField()
    workflow = serializers.CharField()
    client_id = serializers.UUIDField(allow_null=True)
    evaluated_at = serializers.DateTimeField(allow_null=True)
    last_error = serializers.CharField()
    created_at = serializers.DateTimeField()


class SuggestionDocument(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    watch = serializers.SlugField()
    client_id = serializers.UUIDField()
    title = serializers.CharField()
    why = serializers.CharField()
    evidence = serializers.JSONField()
    workflow = serializers.CharField()
    inputs = serializers.JSONField()
    state = serializers.CharField()
    may_start = serializers.BooleanField()
    reason = serializers.CharField()
    decided_by = serializers.CharField(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    run_id = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()


class StartSuggestion(serializers.Serializer[Any]):
    inputs = serializers.DictField(required=False, help_text="Replace single inputs.")
