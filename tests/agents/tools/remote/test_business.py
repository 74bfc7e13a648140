"""Queries to a real OData-shaped service: pushed down, paged, priced, and kept inside bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest

from agents import services
from agents.models import Agent, Invocation, ToolCall, ToolSource
from agents.tools.remote.business import MAX_TRIES
from config.access.models import Client
from config.errors import AppError, Forbidden, InvalidInput, NotFound, Unavailable
from tests.agents.tools.remote.odata_server import TOKEN, serving

pytestmark = pytest.mark.django_db(transaction=True)
Api = Callable[..., Any]
Service = tuple[str, list[str]]


@pytest.fixture
def service(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("ERP_TOKEN", TOKEN)
    with serving() as running:
        settings.TOOL_PRIVATE_HOSTS = [urlsplit(running[0]).netloc]
        yield running


def source(api: Api, url: str, **more: Any) -> Any:
    body = {"name": "erp", "kind": "odata", "url": url, "credential_env": "ERP_TOKEN",
            "allowed": ["invoices", "elsewhere"], "is_read_only": True, "cost_usd": "0.002",
            **more}  # fmt: skip
    return api("post", "/api/v1/tool-sources", body)


def ask(firm: Client, **arguments: Any) -> dict[str, Any]:
    return services.call_tool("data.erp", {"entity": "invoices", **arguments}, client_id=firm.pk)


def test_columns_and_conditions_are_pushed_down(api: Api, firm: Client, service: Service) -> None:
    assert source(api, service[0]).status_code == 201
    found = ask(
        firm,
        select=["id", "amount"],
        where=[{"field": "vendor", "operator": "eq", "value": "O'Hara"},
               {"field": "amount", "operator": "gt", "value": 1000}],
        order_by=["amount desc"],
    )  # fmt: skip
    assert [row["id"] for row in found["rows"]] == [120, 117, 114, 111, 108, 105, 102, 99, 96]
    assert set(found["rows"][0]) == {"id", "amount"}
    assert found["is_whole"]
    assert "vendor eq 'O''Hara' and amount gt 1000" in service[1][0]
    assert "$select=id,amount" in service[1][0]


def test_pages_are_followed_and_each_request_is_paid_for(
    api: Api, firm: Client, service: Service
) -> None:
    source(api, service[0])
    found = ask(firm, top=60)
    assert found["row_count"] == 60
    assert found["total_rows"] == 120
    assert not found["is_whole"]
    assert found["query"]["requests"] == 3
    assert ToolCall.objects.get().cost_usd == Decimal("0.006")


def test_a_repeated_query_comes_from_the_cache_and_costs_nothing(
    api: Api, firm: Client, service: Service
) -> None:
    source(api, service[0], cache_seconds=60)
    ask(firm, top=1)
    ask(firm, top=1)
    assert len(service[1]) == 1
    costs = ToolCall.objects.order_by("id").values_list("is_cached", "cost_usd")
    assert list(costs) == [(False, Decimal("0.002")), (True, 0)]


def test_without_redis_a_cached_tool_is_asked_each_time(
    api: Api, firm: Client, service: Service, settings: Any
) -> None:
    source(api, service[0], cache_seconds=60)
    gone = {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": gone}
    assert [ask(firm, top=1)["row_count"] for _ in range(2)] == [1, 1]
    assert len(service[1]) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        {"entity": "salaries"},
        {"where": [{"field": "id eq 1 or id", "operator": "eq", "value": 1}]},
        {"where": [{"field": "posted", "operator": "gt", "value": "x' or 1", "kind": "date"}]},
        {"select": ["id&$top=999"]},
        {"top": 100_000},
    ],
)
def test_nothing_can_be_smuggled_into_a_query(
    api: Api, firm: Client, service: Service, arguments: dict[str, Any]
) -> None:
    source(api, service[0])
    with pytest.raises(InvalidInput):
        ask(firm, **arguments)
    assert service[1] == []


def test_a_page_at_another_address_is_never_followed(
    api: Api, firm: Client, service: Service
) -> None:
    source(api, service[0])
    with pytest.raises(Exception, match="the next page"):
        ask(firm, entity="elsewhere")
    assert len(service[1]) == 1


def test_the_services_own_errors_are_typed(
    api: Api, firm: Client, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    source(api, service[0], allowed=["invoices", "nothing"])
    with pytest.raises(Exception, match="404: no /odata/nothing"):
        ask(firm, entity="nothing")
    with pytest.raises(Exception, match="can't read"):
        ask(firm, where=[{"field": "id", "operator": "lt", "value": 3}])
    monkeypatch.setenv("ERP_TOKEN", "wrong")
    with pytest.raises(Forbidden):
        ask(firm)
    monkeypatch.delenv("ERP_TOKEN")
    with pytest.raises(Exception, match="ERP_TOKEN is not set"):
        ask(firm)


@pytest.mark.parametrize("status", [429, 503])
def test_a_service_that_says_when_to_come_back_is_asked_again_then(
    api: Api, firm: Client, settings: Any, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("ERP_TOKEN", TOKEN)
    refusals = [(status, "1")]
    with serving(refusals=refusals) as (url, seen):
        settings.TOOL_PRIVATE_HOSTS = [urlsplit(url).netloc]
        source(api, url, timeout_seconds=8)
        found = ask(firm, top=1)
        assert (found["row_count"], found["query"]["requests"], len(seen)) == (1, 2, 2)

        refusals.append((status, "90"))  # longer than the source's limit: the caller is told
        with pytest.raises(AppError) as later:
            ask(firm, top=2)
        code = "rate_limited" if status == 429 else "unavailable"
        assert (later.value.code, later.value.fields()["retry_after_seconds"]) == (code, 90)

        refusals.extend([(status, "0")] * 9)
        with pytest.raises(AppError):
            ask(firm, top=3)
        assert len(seen) == 3 + MAX_TRIES
    # What was refused has been paid for all the same.
    paid = ToolCall.objects.order_by("id").values_list("cost_usd", flat=True)
    assert list(paid) == [Decimal("0.004"), Decimal("0.002"), Decimal("0.002") * MAX_TRIES]


def test_pages_that_lead_in_a_circle_are_no_rows(api: Api, firm: Client, service: Service) -> None:
    source(api, service[0], allowed=["circle"])
    with pytest.raises(Unavailable, match="lead back"):
        ask(firm, entity="circle")
    assert len(service[1]) < 5
    assert ToolCall.objects.get().cost_usd == Decimal("0.002") * len(service[1])


def test_private_addresses_are_out_of_reach_unless_named(
    api: Api, firm: Client, service: Service, settings: Any
) -> None:
    source(api, service[0])
    settings.TOOL_PRIVATE_HOSTS = []
    with pytest.raises(Forbidden):
        ask(firm)
    refused = source(api, service[0])  # nor is one kept that no call may reach
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    for url in ("https://127.0.0.1/x", "https://localhost/x", "https://169.254.169.254/latest"):
        source(api, url)
        with pytest.raises(Forbidden):
            ask(firm)
    assert service[1] == []


def test_an_agent_reads_the_mirror_of_a_source_that_is_away(
    api: Api, firm: Client, service: Service, ground: None
) -> None:
    assert source(api, service[0], name="mirror").status_code == 201
    for wrong in ("data.nobody", "data.erp", "core.fail.again"):
        refused = source(api, service[0], fallback=wrong)
        assert (refused.status_code, refused.json()["field"]) == (422, "fallback")
    writing = source(api, service[0], name="writing", is_read_only=False)
    assert writing.status_code == 201
    assert source(api, service[0], fallback="data.writing").status_code == 422
    gone = source(api, "https://127.0.0.1:1/odata", name="erp", fallback="data.mirror")
    assert (gone.status_code, gone.json()["fallback"]) == (201, "data.mirror")
    shown = {row["name"]: row for row in api("get", "/api/v1/tools").json()["results"]}
    assert shown["data.erp"]["fallback"] == "data.mirror"

    Agent.objects.create(slug="reader", name="Reader", domain="operations", purpose="x")
    body = {"prompt": "Answer from the books.", "tools": ["data.erp"], "label": "production"}
    assert api("post", "/api/v1/agents/reader/versions", body).status_code == 201
    asked = {"inputs": {"entity": "invoices", "top": 2, "email": "jane.roe@example.org"}}
    answer = api("post", "/api/v1/agents/reader/invocations", asked)
    assert answer.status_code == 200, answer.content
    assert len(answer.json()["output"]["tools"]["data.erp"]["rows"]) == 2
    rows = ToolCall.objects.order_by("number").values_list("name", "fallback_of", "state")
    assert list(rows) == [("data.erp", "", "failed"), ("data.mirror", "data.erp", "succeeded")]
    assert Invocation.objects.get().tool_calls == 2
    assert ToolCall.objects.get(name="data.mirror").cost_usd == Decimal("0.002")

    ToolSource.objects.filter(name="mirror").update(is_active=False)
    asked["inputs"]["top"] = 3  # the mirror is gone too: the first error is told
    failed = api("post", "/api/v1/agents/reader/invocations", asked)
    assert ToolCall.objects.order_by("-id")[0].name == "data.erp", failed.content


def test_a_source_of_one_client_is_no_other_clients(
    api: Api, firm: Client, service: Service
) -> None:
    other = Client.objects.create(slug="other", name="Other")
    source(api, service[0], client_id=str(other.pk))
    with pytest.raises(Forbidden):
        ask(firm)
    assert services.call_tool("data.erp", {"entity": "invoices"}, client_id=other.pk)["rows"]
    names = {row["name"] for row in api("get", "/api/v1/tools").json()["results"]}
    assert "data.erp" in names
    source(api, service[0], is_active=False)
    with pytest.raises(NotFound):
        ask(other)


def test_a_rest_path_is_read_with_its_parameters(api: Api, firm: Client, service: Service) -> None:
    source(api, service[0], name="rest", kind="rest", allowed=["status"])
    found = services.call_tool("data.rest", {"path": "status", "parameters": {"a": "b c"}},
                               client_id=firm.pk)  # fmt: skip
    assert found["result"] == {"open": True}
    assert service[1] == ["/odata/status?a=b+c"]


def test_slow_and_dear_tools_are_reported_with_suggestions(
    api: Api, firm: Client, service: Service
) -> None:
    source(api, service[0])
    for _ in range(21):
        ask(firm, top=1)
    services.call_tool("core.echo", {"value": 1}, client_id=firm.pk)
    ToolCall.objects.filter(name="data.erp").update(
        result_bytes=90_000, arguments={"entity": "invoices"}
    )
    report = api("get", "/api/v1/tools?report=slow").json()["results"]
    assert [row["name"] for row in report] == ["data.erp", "core.echo"]
    assert report[0]["cost_usd"] == "0.042000000"
    assert report[0]["repeated_ratio"] == pytest.approx(20 / 21, abs=1e-4)
    assert "declare cache_seconds" in report[0]["suggestions"][0]
    assert "name columns in select" in report[0]["suggestions"][1]
    assert report[1]["suggestions"] == []
    assert api("get", "/api/v1/tools?report=odd").status_code == 422
