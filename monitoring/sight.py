"""What of the numbers somebody may see: everything, or what belongs to some clients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from config.access.callers import Caller
from config.errors import Forbidden, InvalidInput
from monitoring import queries
from monitoring.domain.metrics import OF_ONE_CLIENT
from monitoring.domain.rollups import Stat
from monitoring.queries import Grid
from monitoring.stretch import Stretch

# Scopes that only those read who see every client.
MOST_CLIENTS = 500


@dataclass(frozen=True, slots=True)
class Sight:
    """``clients`` None: all of them."""

    clients: tuple[str, ...] | None = None

    def grid(
        self,
        metrics: Sequence[str],
        when: Stretch,
        *,
        scope: str = "all",
        keys: Sequence[str] | None = None,
        step: timedelta | None = None,
    ) -> Grid:
        """``queries.grid`` of what may be seen. Raises Forbidden for a scope without clients."""
        self._may(scope)
        return queries.grid(
            metrics, scope=scope, since=when.since, until=when.until, step=step or when.step,
            keys=keys, clients=self.clients,
        )  # fmt: skip

    def totals(
        self, metrics: Sequence[str], when: Stretch, *, scope: str
    ) -> dict[str, dict[str, Stat]]:
        """``queries.totals`` of what may be seen, over the steps of ``grid``. Raises Forbidden."""
        self._may(scope)
        return queries.totals(metrics, scope=scope, since=when.since, until=when.until,
                              clients=self.clients)  # fmt: skip

    def courses(self, metric: str, when: Stretch, *, scope: str) -> dict[str, list[float | None]]:
        """``queries.courses`` of what may be seen. Raises Forbidden."""
        self._may(scope)
        return queries.courses(metric, scope=scope, since=when.since, until=when.until,
                               step=when.step, clients=self.clients)  # fmt: skip

    def _may(self, scope: str) -> None:
        if self.clients is not None and scope not in OF_ONE_CLIENT:
            raise Forbidden(f"see figures by {scope}", "access to every client")

    def sees(self, scope: str) -> bool:
        return self.clients is None or scope in OF_ONE_CLIENT


def sight(caller: Caller, client: str = "") -> Sight:
    """What ``caller`` sees; with ``client`` only that one. Raises InvalidInput, Forbidden."""
    if client:
        try:
            wanted = UUID(client)
        except ValueError:
            raise InvalidInput("client", client, "a client's id") from None
        if not caller.sees(wanted):
            raise Forbidden("see this client's figures", "access to it")
        return Sight((str(wanted),))
    if caller.client_ids is None:
        return Sight()
    return Sight(tuple(sorted(str(one) for one in caller.client_ids))[:MOST_CLIENTS])
