"""Addresses of agents."""

from django.urls import URLPattern, URLResolver, path

from agents import listing, pages, webhooks
from agents.api import (
    batches,
    calls,
    conversations,
    knowledge,
    money,
    prices,
    registry,
    reviews,
    sources,
    talks,
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/agents", registry.Agents.as_view(), name="agents"),
    path("api/v1/agents/<slug:slug>", registry.OneAgent.as_view(), name="agent"),
    path("api/v1/agents/<slug:slug>/versions", registry.Versions.as_view(), name="versions"),
    path(
        "api/v1/agents/<slug:slug>/versions/<str:before>/diff/<str:after>",
        registry.VersionDiff.as_view(),
        name="version-diff",
    ),
    path(
        "api/v1/agents/<slug:slug>/versions/<str:version>/retire",
        registry.Retirement.as_view(),
        name="version-retire",
    ),
    path(
        "api/v1/agents/<slug:slug>/versions/<str:version>/preview",
        registry.Preview.as_view(),
        name="version-preview",
    ),
    path(
        "api/v1/agents/<slug:slug>/traffic/preview",
        registry.TrafficPreview.as_view(),
        name="traffic-preview",
    ),
    path("api/v1/agents/<slug:slug>/labels", registry.Labels.as_view(), name="labels"),
    path("api/v1/agents/<slug:slug>/traffic", registry.Traffic.as_view(), name="traffic"),
    path("api/v1/agents/<slug:slug>/invocations", calls.Invoke.as_view(), name="invoke"),
    path("api/v1/invocations", calls.Invocations.as_view(), name="invocations"),
    path(
        "api/v1/invocations/<uuid:invocation_id>",
        calls.OneInvocation.as_view(),
        name="invocation",
    ),
    path("api/v1/batches", batches.Batches.as_view(), name="batches"),
    path("api/v1/batches/<uuid:batch_id>", batches.OneBatch.as_view(), name="batch"),
    path(
        "api/v1/batches/<uuid:batch_id>/results",
        batches.Results.as_view(),
        name="batch-results",
    ),
    path("api/v1/batches/<uuid:batch_id>/cancel", batches.Cancel.as_view(), name="batch-cancel"),
    path("api/v1/tools", calls.Tools.as_view(), name="tools"),
    path("api/v1/tool-sources", sources.Sources.as_view(), name="tool-sources"),
    path(
        "api/v1/tool-sources/<slug:name>/refresh",
        sources.Refresh.as_view(),
        name="tool-source-refresh",
    ),
    path("api/v1/knowledge", knowledge.Knowledge.as_view(), name="knowledge"),
    path("api/v1/knowledge/search", knowledge.Search.as_view(), name="knowledge-search"),
    path(
        "api/v1/knowledge/<uuid:document_id>",
        knowledge.OneDocument.as_view(),
        name="knowledge-document",
    ),
    path(
        "api/v1/knowledge/passages/<uuid:passage_id>/marks",
        knowledge.Marks.as_view(),
        name="knowledge-marks",
    ),
    path("api/v1/budgets", money.Budgets.as_view(), name="budgets"),
    path("api/v1/price-lists", prices.PriceLists.as_view(), name="price-lists"),
    path("api/v1/endpoints", money.Endpoints.as_view(), name="endpoints"),
    path("api/v1/endpoints/<slug:name>", money.OneEndpoint.as_view(), name="endpoint"),
    path("api/v1/guardrails/scan", calls.GuardrailScan.as_view(), name="guardrails-scan"),
    path("api/v1/reviews", reviews.Reviews.as_view(), name="reviews"),
    path("api/v1/reviews/<uuid:review_id>", reviews.OneReview.as_view(), name="review"),
    path("dashboard/_fleet", pages.fleet_piece),
    path("dashboard/_calls", pages.calls),
    path("dashboard/_talks", listing.talks),
    path("dashboard/agents", pages.all_agents),
    path("dashboard/agents/<slug:slug>", pages.one_agent),
    path("dashboard/invocations", listing.invocations),
    path("dashboard/invocations.csv", listing.as_csv),
    path("dashboard/invocations/<uuid:invocation_id>", pages.invocation),
    path("api/v1/conversations", conversations.Conversations.as_view(), name="conversations"),
    path(
        "api/v1/conversations/<uuid:talk_id>",
        conversations.OneConversation.as_view(),
        name="conversation",
    ),
    path(
        "api/v1/conversations/<uuid:talk_id>/hand-over",
        conversations.HandOvers.as_view(),
        name="hand-over",
    ),
    path(
        "api/v1/conversations/<uuid:talk_id>/turns",
        talks.Turns.as_view(),
        name="conversation-turns",
    ),
    path(
        "api/v1/conversations/<uuid:talk_id>/state",
        talks.State.as_view(),
        name="conversation-state",
    ),
    path("webhooks/dialogflow", webhooks.dialogflow, name="dialogflow"),
]
