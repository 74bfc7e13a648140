"""What of the numbers somebody may see: everything, or what belongs to some clients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from config.access.callers import Caller
from config.access.hiding import hidden_workflows
from config.errors import Forbidden, InvalidInput
from monitoring import queries
from monitoring.domain.metrics import OF_ONE_CLIENT, workflow_of
from monitoring.domain.rollups import Stat
from monitoring.queries import Grid
from monitoring.stretch import Stretch

# Scopes that only those read who see every client.
MOST_CLIENTS = 500
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sight:
    """``clients`` None: all of them. Figures of the workflows ``hidden`` are left out."""

    clients: tuple[str, ...] | None = None
    hidden: frozenset[str] = frozenset()

    def grid(
        self,
        metrics: Sequence[str],
        when: Stretch,
        *,
        scope: str = "all",
        keys: Sequence[str] | None = None,
        step: timedelta | None = None,
        ranked: Sequence[str] | None = None,
    ) -> Grid:
        """``queries.grid`` of what may be seen. Raises Forbidden for a scope without clients."""
        self._may(scope)
        found = queries.grid(
            metrics, scope=scope, since=when.since, until=when.until, step=step or when.step,
            keys=keys, clients=self.clients, ranked=ranked,
        )  # fmt: skip
        return replace(found, cells=self._shown(scope, found.cells))

    def totals(
        self, metrics: Sequence[str], when: Stretch, *, scope: str,
        keys: Sequence[str] | None = None, prefix: str | None = None,
        ranked: Sequence[str] | None = None,
    ) -> dict[str, dict[str, Stat]]:  # fmt: skip
        """``queries.totals`` of what may be seen, over the steps of ``grid``. Raises Forbidden."""
        self._may(scope)
        found = queries.totals(metrics, scope=scope, since=when.since, until=when.until, keys=keys,
                               prefix=prefix, clients=self.clients, ranked=ranked)  # fmt: skip
        return self._shown(scope, found)

    def courses(
        self, metric: str, when: Stretch, *, scope: str, keys: Sequence[str] | None = None
    ) -> dict[str, list[float | None]]:
        """``queries.courses`` of what may be seen. Raises Forbidden."""
        self._may(scope)
        found = queries.courses(metric, scope=scope, since=when.since, until=when.until,
                                step=when.step, keys=keys, clients=self.clients)  # fmt: skip
        return self._shown(scope, found)

    def with_course(
        self, metrics: Sequence[str], of: str, when: Stretch, *, scope: str,
        ranked: Sequence[str] | None = None,
    ) -> tuple[dict[str, dict[str, Stat]], dict[str, list[float | None]]]:  # fmt: skip
        """``queries.with_course`` of what may be seen. Raises Forbidden."""
        self._may(scope)
        found, course = queries.with_course(
            metrics, of, scope=scope, since=when.since, until=when.until, step=when.step,
            clients=self.clients, ranked=ranked,
        )  # fmt: skip
        return self._shown(scope, found), self._shown(scope, course)

    def _may(self, scope: str) -> None:
        if self.clients is not None and scope not in OF_ONE_CLIENT:
            raise Forbidden(f"see figures by {scope}", "access to every client")

    def shows(self, scope: str, key: str) -> bool:
        """Whether no workflow that is hidden is what the key is about."""
        return not self.hidden or workflow_of(scope, key) not in self.hidden

    def _shown(self, scope: str, rows: dict[str, T]) -> dict[str, T]:
        if not self.hidden:
            return rows
        return {key: row for key, row in rows.items() if self.shows(scope, key)}

    def sees(self, scope: str) -> bool:
        return self.clients is None or scope in OF_ONE_CLIENT


def sight(caller: Caller, client: str = "") -> Sight:
    """What ``caller`` sees; with ``client`` only that one. Raises InvalidInput, Forbidden."""
    hidden = hidden_workflows(caller)
    if client:
        try:
            wanted = UUID(client)
        except ValueError:
            raise InvalidInput("client", client, "a client's id") from None
        if not caller.sees(wanted):
            raise Forbidden("see this client's figures", "access to it")
        return Sight((str(wanted),), hidden)
    if caller.client_ids is None:
        return Sight(None, hidden)
    return Sight(tuple(sorted(str(one) for one in caller.client_ids))[:MOST_CLIENTS], hidden)
