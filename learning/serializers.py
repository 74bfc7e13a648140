"""Shapes of the API of feedback, statistics, experiments, rollouts and improvements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as s

from config.access.models import Client
from learning import experiments, rollouts, saying
from learning.domain.categories import Category
from learning.domain.measures import SCORE_NAME
from learning.models import (
    AskingPolicy,
    Experiment,
    Feedback,
    FeedbackRequest,
    Holdout,
    Improvement,
    Layer,
    Rollout,
    Score,
    Subject,
    Unit,
)
from learning.rollouts import drilling
from learning.verdict_shape import VERDICT

JSON = s.JSONField


@extend_schema_field(VERDICT)
class Verdict(JSON):
    """A verdict document; empty before the first look."""


class Number(s.FloatField):
    """A finite number; ``true`` is none, which would count as 1."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool):
            self.fail("invalid")
        value: float = super().to_internal_value(data)
        return value


class NewFeedback(s.Serializer[Any]):
    subject_kind = s.ChoiceField(Subject.choices)
    subject_id = s.UUIDField()
    kind = s.CharField(help_text="rating, correction, suggestion, complaint or praise")
    rating = s.IntegerField(required=False, allow_null=True, min_value=1, max_value=5)
    text = s.CharField(required=False, default="", allow_blank=True, max_length=20_000)
    corrected_output = s.CharField(required=False, default="", allow_blank=True, max_length=200_000)
    reason = s.CharField(required=False, default="", allow_blank=True, max_length=20_000)
    category = s.CharField(required=False, default="", allow_blank=True, max_length=40)


class NewFeedbackRequest(s.Serializer[Any]):
    subject_kind = s.ChoiceField(Subject.choices)
    subject_id = s.UUIDField()
    person = s.CharField(max_length=254, help_text="Name, address or id of whom to ask.")


class FeedbackRequestDocument(s.ModelSerializer[FeedbackRequest]):
    subject_kind = s.CharField()

    class Meta:
        model = FeedbackRequest
        fields = ["id", "subject_kind", "subject_id", "user", "created_at", "answered_at"]
        read_only_fields = fields


class AskingPolicyDocument(s.ModelSerializer[AskingPolicy]):
    workflow = s.CharField(
        source="workflow_name", max_length=64, required=False, allow_blank=True, default="",
        help_text="Empty: every other workflow.",
    )  # fmt: skip
    client = s.PrimaryKeyRelatedField(
        queryset=Client.objects.all(), required=False, allow_null=True, default=None,
        help_text="Null: every other client.",
    )  # fmt: skip

    class Meta:
        model = AskingPolicy
        fields = [
            "id", "workflow", "client", "is_enabled", "share_ratio", "after_hours", "most_a_week",
            "changed_by", "created_at",
        ]  # fmt: skip
        read_only_fields = ["id", "changed_by", "created_at"]
        validators: ClassVar[list[Any]] = []  # a second one of its kind takes its place


class NewCategory(s.Serializer[Any]):
    category = s.ChoiceField([(one.value, one.value) for one in Category])


class FeedbackDocument(s.ModelSerializer[Feedback]):
    kind = s.CharField()
    source = s.CharField()  # type: ignore[assignment]
    subject_kind = s.CharField()

    class Meta:
        model = Feedback
        fields = [
            "id", "client_id", "subject_kind", "subject_id", "agent_slug", "version_id", "kind",
            "source", "author", "rating", "text", "corrected_output", "reason", "category",
            "category_by",
            "superseded_at", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class NewScore(s.Serializer[Any]):
    subject_kind = s.ChoiceField(Subject.choices)
    subject_id = s.UUIDField()
    name = s.RegexField(f"^{SCORE_NAME}$")
    value = Number()
    source = s.CharField(help_text="human, code or judge")  # type: ignore[assignment]
    source_version = s.CharField(required=False, default="", allow_blank=True, max_length=60)
    reason = s.CharField(required=False, default="", allow_blank=True, max_length=20_000)


class ScoreDocument(s.ModelSerializer[Score]):
    source = s.CharField()  # type: ignore[assignment]
    subject_kind = s.CharField()

    class Meta:
        model = Score
        fields = [
            "id", "client_id", "subject_kind", "subject_id", "agent_slug", "version_id", "name",
            "value", "source", "source_version", "reason", "superseded_at", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class Decision(s.Serializer[Any]):
    reason = s.CharField(required=False, default="", allow_blank=True, max_length=500)


class Approval(Decision):
    """A decision that may let a change go live in spite of its replay."""

    override = s.BooleanField(
        required=False, default=False,
        help_text="Let it go live although no replay found it no worse; needs a reason.",
    )  # fmt: skip


class ImprovementDocument(s.ModelSerializer[Improvement]):
    override = JSON(help_text="Who lets it go live in spite of its replay, and why; or empty.")
    kind = s.CharField()
    state = s.CharField()
    risk = s.CharField()

    class Meta:
        model = Improvement
        fields = [
            "id", "client_id", "agent_slug", "kind", "title", "proposal", "evidence", "expected",
            "impact", "confidence", "effort", "priority", "risk", "base_version_id",
            "candidate_version_id", "state", "proposed_by", "decided_by", "decided_at",
            "decision_reason", "override", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = fields


class Known(s.Serializer[Any]):
    """Refuses a field that it does not know: what is misspelt would silently count for nothing."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and (wrong := sorted({*data} - {*self.fields})):
            raise s.ValidationError(dict.fromkeys(wrong, "No such field."))
        return super().to_internal_value(data)


class NewVariant(Known):
    version = s.CharField(
        required=False, default="", allow_blank=True,
        help_text="A version's id, number or label; of a workflow, empty: the current one.",
    )  # fmt: skip
    agents = s.DictField(
        child=s.CharField(), required=False,
        help_text="Only for a workflow: agent → its version in runs of this arm.",
    )  # fmt: skip
    key = s.CharField(required=False, max_length=40)
    weight = Number(required=False, default=1.0, min_value=0, max_value=1_000_000)
    is_control = s.BooleanField(required=False, default=False)


class NewExperiment(Known):
    agent = s.SlugField(max_length=64, required=False, default="", allow_blank=True)
    workflow = s.CharField(
        max_length=64, required=False, default="", allow_blank=True,
        help_text="In the place of an agent: all runs of this workflow.",
    )  # fmt: skip
    name = s.CharField(max_length=120)
    hypothesis = s.CharField(required=False, default="", allow_blank=True, max_length=20_000)
    unit = s.ChoiceField(Unit.choices, required=False, default=Unit.RUN)
    coverage_ratio = Number(required=False, default=1.0, min_value=0.0001, max_value=1)
    variants = NewVariant(many=True)
    metrics = s.ListField(child=s.DictField(), required=False, min_length=1, max_length=20)
    test = s.DictField(required=False)
    plan = s.DictField(required=False)
    correction = s.ChoiceField(
        ["holm", "benjamini_hochberg", "none"], required=False, default="holm",
        help_text="Over several metrics of a role; a primary metric of several arms keeps Holm.",
    )  # fmt: skip
    maturity_hours = Number(required=False, default=0.0, min_value=0, max_value=2160)
    autoconclude = s.BooleanField(required=False, default=False)
    improvement_id = s.UUIDField(required=False, allow_null=True, default=None)
    rollout_plan = s.DictField(
        required=False,
        help_text="How a winner is rolled out: strategy, and stages of a custom one.",
    )  # fmt: skip
    layer = s.SlugField(required=False, default="", allow_blank=True, max_length=60)
    layer_share_ratio = Number(required=False, allow_null=True, default=None)
    mode = s.ChoiceField(
        ["ab", "aa"], required=False, default="", allow_blank=True,
        help_text="aa: all arms are one version; by default what the versions make it.",
    )  # fmt: skip
    batch_hours = Number(
        required=False, allow_null=True, default=None,
        help_text="Of a bandit: hours between two looks that move its shares, 1 to 168; a day.",
    )  # fmt: skip


class VariantDocument(s.Serializer[Any]):
    key = s.CharField()
    version_id = s.UUIDField()
    version_number = s.IntegerField()
    agent_versions = JSON()
    weight = s.FloatField()
    is_control = s.BooleanField()
    ranges = JSON()


class ExperimentDocument(s.ModelSerializer[Experiment]):
    unit = s.CharField()
    state = s.CharField()
    variants = VariantDocument(many=True, read_only=True)
    layer = s.CharField(source="layer.name", default=None, allow_null=True)
    warnings = s.SerializerMethodField()
    batches = JSON()
    rollouts = s.PrimaryKeyRelatedField(many=True, read_only=True)  # type: ignore[var-annotated]
    says = s.CharField(
        source="said", help_text="How it stands, or how it ended, as its page has it."
    )

    def get_warnings(self, row: Experiment) -> list[dict[str, Any]]:
        """Other open experiments that meet the same work; while it is drafted or open."""
        return [] if row.ended_at else experiments.overlaps(row)

    class Meta:
        model = Experiment
        fields = [
            "id", "client_id", "agent_slug", "workflow_name", "name", "hypothesis", "unit", "seed",
            "coverage_ratio", "layer", "layer_share_ratio", "gates", "is_aa", "warnings",
            "variants", "metrics", "test", "plan", "maturity_hours",
            "autoconclude", "batch_hours", "batches", "rollout_plan", "state", "state_by",
            "state_reason", "improvement", "rollouts", "verdict", "headline", "says", "analysed_at",
            "started_at",
            "paused_seconds", "read_until", "ended_at", "created_by", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class NewLayer(Known):
    name = s.SlugField(max_length=60)
    unit = s.ChoiceField(Unit.choices, required=False, default=Unit.RUN)
    note = s.CharField(required=False, default="", allow_blank=True, max_length=20_000)


class LayerDocument(s.ModelSerializer[Layer]):
    unit = s.CharField()
    experiments = s.SerializerMethodField()
    free_ratio = s.SerializerMethodField()

    def get_experiments(self, row: Layer) -> dict[str, list[list[int]]]:
        """Open experiments and their buckets of 10,000."""
        return experiments.taken(row)

    def get_free_ratio(self, row: Layer) -> float:
        """Share of the layer that no open experiment holds."""
        used = (pair for ranges in experiments.taken(row).values() for pair in ranges)
        return 1 - sum(end - start for start, end in used) / 10_000

    class Meta:
        model = Layer
        fields = [
            "id", "name", "unit", "seed", "note", "experiments", "free_ratio", "created_by",
            "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class NewHoldout(Known):
    share_ratio = Number(min_value=0.0001, max_value=0.5)
    reason = s.CharField(required=False, default="", allow_blank=True, max_length=20_000)


class HoldoutDocument(s.ModelSerializer[Holdout]):
    class Meta:
        model = Holdout
        fields = [
            "id", "share_ratio", "seed", "reason", "opened_by", "opened_at", "closed_by",
            "closed_at",
        ]  # fmt: skip
        read_only_fields = fields


class NewRollout(Known):
    agent = s.SlugField(max_length=64)
    version = s.CharField(help_text="A version's id, number or label.")
    strategy = s.ChoiceField(
        Rollout.Strategy.choices, required=False, default=Rollout.Strategy.GRADUAL
    )
    stages = s.ListField(child=s.DictField(), required=False, max_length=20)
    audience = s.ListField(
        child=s.CharField(max_length=80), required=False, max_length=20,
        help_text="Who meets the first share of a shipped strategy before everybody does.",
    )  # fmt: skip
    unit = s.ChoiceField(Unit.choices, required=False, default=Unit.RUN)
    metrics = s.ListField(child=s.DictField(), required=False, min_length=1, max_length=20)
    test = s.DictField(required=False)
    improvement_id = s.UUIDField(required=False, allow_null=True, default=None)
    override = s.BooleanField(
        required=False, default=False,
        help_text="Begin it although no replay found the version no worse; needs a reason.",
    )  # fmt: skip
    reason = s.CharField(required=False, default="", allow_blank=True, max_length=500)


class WinnerRollout(Known):
    """How the arm that was found better is brought to everybody."""

    strategy = s.ChoiceField(
        [("", "as planned"), *((name, name) for name in rollouts.STRATEGIES)],
        required=False, default="", allow_blank=True,
        help_text="That of the experiment's rollout_plan, or gradual, if it is left out.",
    )  # fmt: skip
    reason = s.CharField(required=False, default="", allow_blank=True, max_length=500)


class NewDrill(Known):
    seconds = Number(
        required=False, default=180.0, min_value=5, max_value=600,
        help_text="It is taken back after this at the latest; 120 at least, two sweeps.",
    )  # fmt: skip


_CHECKED = ("forecast", "measured", "agrees", "words")


class RolloutDocument(s.ModelSerializer[Rollout]):
    postcheck = s.SerializerMethodField()
    reach = s.SerializerMethodField()
    drill = s.SerializerMethodField()
    analysis = Verdict(read_only=True)
    says = s.SerializerMethodField()

    def get_says(self, row: Rollout) -> str:
        """How it stands, or how it ended, as its page has it; ``headline`` is of its last look."""
        return saying.of_rollout(row, timezone.now())

    def get_reach(self, row: Rollout) -> dict[str, Any]:
        """Seconds from the breach to the rollback and to the last exposure; null: not known."""
        found = drilling.result(row)
        return {key: value for key, value in found.items() if key.endswith("_seconds")}

    def get_postcheck(self, row: Rollout) -> dict[str, Any] | None:
        """The last stage beside the experiment's forecast: both effects, ``agrees``, ``words``."""
        found = {k: row.postcheck[k] for k in _CHECKED if k in row.postcheck}
        return found or None

    def get_drill(self, row: Rollout) -> dict[str, Any] | None:
        """Of a drill that is over: whether its harm was found, and what its calls met."""
        found: dict[str, Any] | None = row.postcheck.get("drill")
        return found

    unit = s.CharField()
    state = s.CharField()
    strategy = s.CharField()

    class Meta:
        model = Rollout
        fields = [
            "id", "client_id", "agent_slug", "from_version_id", "to_version_id", "strategy",
            "stages", "stage", "unit", "seed", "metrics", "test", "state", "state_by",
            "state_reason", "improvement", "experiment", "verdict", "headline", "says", "analysis",
            "analysed_at", "stage_started_at", "postcheck", "is_drill", "reach", "drill",
            "breached_at",
            "last_exposure_at", "created_by", "created_at", "ended_at",
        ]  # fmt: skip
        read_only_fields = fields
