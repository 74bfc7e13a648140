"""What a call may cost at the most, held before it is spent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from django.conf import settings

from agents import budgets, connections, easing, endpoints
from agents.budgets import Held
from agents.calls import Call
from agents.domain import cost, messages
from agents.domain.scoring import TIERS, Needs
from agents.endpoints import Served
from agents.errors import BudgetExceeded
from agents.resolving import Choice
from agents.work import Work

# Tokens that tool results may add between two replies, reserved for beforehand.
TOOL_TOKENS = 4_000


class Afford(Protocol):
    """Holds what the next try may cost, and ``beside`` for another request before it, or raises."""

    def __call__(self, work: Work, beside: Decimal = Decimal(0)) -> None: ...


class Reserve:
    """The money side of one call: what it may cost, and more if it goes on for longer."""

    def __init__(self, call: Call, choice: Choice, invocation_id: UUID) -> None:
        self._call, self.choice, self._id = call, choice, invocation_id
        self.served: list[Served] = []
        self.held: Held | None = None
        # Where the call was sent for another reason than its version's tier, and why.
        self.route: dict[str, Any] | None = None

    def first(self, work: Work) -> Held:
        """Choose the models to try and hold the most that the first replies may cost."""
        amount = self.most(work)
        if self._call.held is not None:  # an earlier pass of a batch reserved it
            self.held = self._call.held
            return self.held
        self.held = budgets.hold(
            keys=self.keys(),
            amount_usd=amount,
            client_id=self._call.client_id,
            invocation_id=self._id,
            seconds=self._call.hold_seconds,
        )
        if self.held.is_soft_exceeded:
            work.is_above_soft_cap = True
            lightest = self.choice.version.lightest
            self.served = self._models(self._tokens(work), lightest)
            if settings.MODEL_ROUTING:
                self.route = {"tier": lightest, "asked": self.choice.version.tier,
                              "budget": "above its soft cap"}  # fmt: skip
        return self.held

    def most(self, work: Work) -> Decimal:
        """Choose the models to try; the most that the first replies may cost."""
        tokens = self._tokens(work)
        self.route = easing.choose(self._call, self.choice)
        self.served = self._models(tokens, self.choice.version.tier if self.route is None
                                   else self.route["tier"])  # fmt: skip
        rounds = 2 if self.choice.version.tools else 1
        amount = self._price(tokens + (TOOL_TOKENS if rounds > 1 else 0)) * rounds
        cap = self._call_cap()
        if cap is not None and amount > cap:
            self._check_call_cap(amount / rounds)
            amount = cap
        return amount

    def more(self, work: Work, beside: Decimal = Decimal(0)) -> None:
        """Hold more before the next try if what is held would not cover it: one that broke off has
        cost something, too. ``beside`` is the most that another request before it may cost.

        What follows is a wait for a model, so the connection is given back.
        """
        if self.held is None:
            self.first(work)
            return
        total = work.cost_usd + beside + self._price(self._tokens(work))
        self._check_call_cap(total)
        needed = total - self.held.amount_usd
        if needed > 0:
            self.held = budgets.extend(self.held, by_usd=needed)
            connections.release()

    def _call_cap(self) -> Decimal | None:
        given = self.choice.limits.get("call_usd")
        return None if given is None else Decimal(str(given))

    def _check_call_cap(self, needed: Decimal) -> None:
        cap = self._call_cap()
        if cap is not None and needed > cap:
            raise BudgetExceeded(f"one call of {self.choice.slug}", cap, needed)

    def _tokens(self, work: Work) -> int:
        version = work.version or self.choice.version
        tools = len(str(version.tool_definitions)) if version.tools else 0
        size = messages.byte_size(work.messages) + tools
        return cost.most_tokens(size, len(work.messages))

    def _price(self, tokens: int) -> Decimal:
        most = endpoints.dearest(
            self.served,
            input_tokens=tokens,
            output_tokens=self.choice.version.max_output_tokens,
        )
        # A hedged reply may be asked for twice, and the one that is let go costs too.
        return most if self.choice.version.hedge_after_seconds is None else 2 * most

    def _models(self, tokens: int, tier: str) -> list[Served]:
        version = self.choice.version
        needs = Needs(
            tier=tier if settings.MODEL_ROUTING else TIERS[-1],
            context_tokens=tokens // 2,
            capabilities=frozenset(
                name
                for name, wanted in (("tools", version.tools), ("batch", self._call.ask))
                if wanted
            ),
        )
        return endpoints.candidates(
            needs,
            policy=version.model.get("policy", "cheapest"),
            session=str(self._call.conversation_id or self._call.run_id or self._id),
            only_model=version.model.get("name", ""),
        )

    def keys(self) -> list[budgets.Key]:
        """The budgets that the call counts against."""
        call = self._call
        keys = [("all", "all"), ("client", str(call.client_id)), ("agent", self.choice.slug)]
        if call.user_id:
            keys.append(("user", str(call.user_id)))
        runs = {*call.capped_runs, *([call.run_id] if call.run_id else [])}
        return [*keys, *(("run", str(run)) for run in sorted(runs))]
