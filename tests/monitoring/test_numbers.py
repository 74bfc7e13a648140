"""Numbers that are none: refused at every door with what to do, and nothing half written."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
from django.test import Client as Http

from config.access import callers
from config.access.models import Client, Membership, User
from config.errors import InvalidInput
from monitoring import services
from monitoring.models import AlertRule, AuditEntry, AuditPayload, AuditPending
from monitoring.models import Measurement as Row
from monitoring.services import Measurement, record

pytestmark = pytest.mark.django_db
NO_NUMBERS = [math.nan, math.inf, -math.inf]


@pytest.fixture
def http() -> Http:
    firm = Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )[0]
    user = User.objects.create_user("boss", password="x")
    Membership.objects.create(user=user, client=firm, role="administrator")
    scopes = ["telemetry:write", "monitoring:read", "monitoring:write"]
    _, secret = callers.create_key(user=user, client=firm, name="k", scopes=scopes)
    return Http(headers={"Authorization": f"Bearer {secret}"})


@pytest.mark.parametrize("number", NO_NUMBERS)
@pytest.mark.parametrize("many", [False, True])
def test_a_measurement_that_is_no_number_is_refused_by_name_and_nothing_is_written(
    number: float, many: bool
) -> None:
    with pytest.raises(InvalidInput) as told:
        record([
            Measurement({"invocations": 1.0}, {"agent": "a"}),
            Measurement({"invocations": 1.0, "cost_usd": [0.1, number] if many else number}),
        ])  # fmt: skip
    assert str(told.value) == (
        f"cost_usd: got '{number}'; a finite number; leave out what was not measured"
    )
    assert not Row.objects.exists()


@pytest.mark.parametrize("number", NO_NUMBERS)
def test_an_audit_entry_holds_no_value_that_json_cannot_say(number: float) -> None:
    with pytest.raises(InvalidInput) as told:
        services.audit(actor="user:1", action="a.limit.set", after={"limits": [1, {"x": number}]})
    assert str(told.value) == (
        f"after.limits[1].x: got '{number}'; a finite number, or null: JSON has no other"
    )
    for table in (AuditEntry, AuditPending, AuditPayload):
        assert not table.objects.exists()


def test_the_digest_of_what_was_done_never_fails_and_is_that_of_what_is_kept() -> None:
    assert services.digest_of({"x": math.nan}) == services.digest_of({"x": None})


@pytest.mark.parametrize("value", ["1e999", "-1e999", "NaN", "Infinity"])
def test_the_api_takes_no_such_number_and_says_where_it_was(http: Http, value: str) -> None:
    body = (
        '{"slug": "r", "title": "R", "kind": "threshold", "scope": "agent", '
        f'"metric": "cost_usd", "limit": {value}}}'
    )
    answer = http.post("/api/v1/alert-rules", body, content_type="application/json")
    assert answer.status_code == 400, answer.content
    if "e999" in value:
        assert "limit: got" in answer.json()["detail"]
    assert not AlertRule.objects.exists()
    assert list(AuditEntry.objects.values_list("action", flat=True)) == []


@pytest.mark.parametrize("tokens", ['"NaN"', '"Infinity"', "-5", '"-Infinity"'])
def test_a_span_with_an_impossible_count_is_counted_without_it_and_its_sender_told(
    http: Http, tokens: str
) -> None:
    end = time.time_ns()
    value: dict[str, Any] = {"doubleValue": "?"}
    span = {
        "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331",
        "name": "chat", "startTimeUnixNano": str(end - 10**9), "endTimeUnixNano": str(end),
        "attributes": [
            {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
            {"key": "gen_ai.usage.input_tokens", "value": value},
            {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "20"}},
        ],
    }  # fmt: skip
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    answer = http.post("/v1/traces", body.replace('"?"', tokens), content_type="application/json")
    assert answer.status_code == 200, answer.content
    said = answer.json()["partialSuccess"]["errorMessage"]
    assert said.startswith("gen_ai.usage.input_tokens: got ")
    assert said.endswith("; a count from 0 to 999999999; the span is counted without it")
    assert "rejectedSpans" not in answer.json()["partialSuccess"]
    (row,) = Row.objects.all()
    taken = dict(zip(row.names, row.numbers, strict=True))
    assert (taken["model_calls"], taken["output_tokens"]) == (1.0, 20.0)
    assert "input_tokens" not in taken
