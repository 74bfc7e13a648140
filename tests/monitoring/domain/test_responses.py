"""What a first response acts on, by the alert and by what its incident blames."""

from __future__ import annotations

import pytest

from monitoring.domain.responses import target_of


@pytest.mark.parametrize(
    ("kind", "scope", "key", "cause", "endpoint", "target"),
    [
        ("trip_breaker", "endpoint", "one", "endpoint:one", "", "one"),
        ("trip_breaker", "agent", "a", "endpoint:one", "one", "one"),  # the endpoint is blamed
        ("trip_breaker", "agent", "a", "agent:a", "one", "agent:a"),  # it alone is
        ("trip_breaker", "version", "a|3", "agent:a", "one", "agent:a@3"),
        ("trip_breaker", "agent_code", "a|timeout", "agent:a", "one", "agent:a"),
        ("trip_breaker", "agent", "a", "platform", "one", "one"),
        ("trip_breaker", "endpoint", "two", "platform", "", "two"),
        ("trip_breaker", "all", "", "all", "", None),
        ("trip_breaker", "all", "", "endpoint:one", "", "one"),  # it joined that incident
        ("pause_agent", "version", "a|3", "agent:a", "", "a"),
        ("pause_agent", "workflow", "w", "workflow:w", "", None),
        ("roll_back_rollout", "agent_endpoint", "a|one", "agent:a", "", "a"),
        ("roll_back_rollout", "version", "a|3", "agent:a", "", "a|3"),
        ("shed_low_priority", "queue", "io", "queue:io", "", "io"),
        ("shed_low_priority", "all", "", "all", "", "all"),
    ],
)
def test_a_response_acts_where_the_fault_is(
    kind: str, scope: str, key: str, cause: str, endpoint: str, target: str | None
) -> None:
    assert target_of(kind, scope=scope, key=key, cause=cause, endpoint=endpoint) == target
