from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from threading import Barrier
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from agents import budget_use, budgets
from agents.errors import BudgetExceeded
from agents.models import Budget, Hold
from config.access.ids import uuid7
from config.errors import InvalidInput

pytestmark = pytest.mark.django_db
CLIENT = uuid4()
KEYS = [("all", "all"), ("agent", "a")]


@pytest.fixture(autouse=True)
def _no_memory():
    budgets._seen.clear()


def cap(amount, scope="agent", key="a", window="total", **more):
    return Budget.objects.create(
        scope=scope, key=key, window=window, cap_usd=Decimal(amount), **more
    )


def take(amount, keys=KEYS):
    return budgets.hold(
        keys=keys, amount_usd=Decimal(amount), client_id=CLIENT, invocation_id=uuid7()
    )


@pytest.mark.django_db(transaction=True)
def test_two_hundred_callers_at_once_never_overspend_by_a_cent():
    cap("1.00")
    cap("5.00", scope="all", key="all")

    def call(number):
        try:
            held = take("0.03")
        except BudgetExceeded:
            return Decimal(0)
        finally:
            connection.close()
        # half of them cost less than they held
        spent = Decimal("0.03") if number % 2 else Decimal("0.01")
        budgets.settle(held, cost_usd=spent)
        connection.close()
        return spent

    with ThreadPoolExecutor(24) as pool:
        spent = sum(pool.map(call, range(200)))
    for row in Budget.objects.all():
        assert row.spent_usd == spent <= row.cap_usd
        assert row.held_usd == 0
    assert not Hold.objects.exists()
    assert spent > Decimal("0.90")


@pytest.mark.django_db(transaction=True)
def test_callers_that_hold_and_do_not_settle_fill_the_cap_exactly():
    cap("1.00")

    def call(_):
        try:
            take("0.10", [("agent", "a")])
        except BudgetExceeded:
            return 0
        finally:
            connection.close()
        return 1

    with ThreadPoolExecutor(24) as pool:
        assert sum(pool.map(call, range(100))) == 10
    assert Budget.objects.get().held_usd == Decimal("1.00")


def test_a_hold_takes_all_budgets_or_none():
    cap("1.00")
    firm = cap("0.05", scope="all", key="all")
    with pytest.raises(BudgetExceeded) as refused:
        take("0.10")
    assert refused.value.budget == "all:all"
    assert refused.value.remaining_usd == firm.cap_usd
    assert {row.held_usd for row in Budget.objects.all()} == {Decimal(0)}


def test_settling_gives_back_what_was_not_spent():
    cap("1.00")
    held = take("0.50")
    budgets.settle(held, cost_usd=Decimal("0.20"))
    row = Budget.objects.get()
    assert (row.spent_usd, row.held_usd) == (Decimal("0.20"), 0)


def test_a_hold_can_grow_within_the_cap_only():
    cap("1.00")
    held = budgets.extend(take("0.50"), by_usd=Decimal("0.40"))
    assert Budget.objects.get().held_usd == Decimal("0.90")
    with pytest.raises(BudgetExceeded):
        budgets.extend(held, by_usd=Decimal("0.20"))
    budgets.settle(held, cost_usd=Decimal("0.90"))
    row = Budget.objects.get()
    assert (row.spent_usd, row.held_usd) == (Decimal("0.90"), 0)


def test_the_hold_of_a_dead_call_is_given_back_and_a_late_settlement_still_counts():
    cap("1.00")
    held = take("0.50")
    assert budgets.expire_holds()[0] == 0
    Hold.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert budgets.expire_holds() == (1, Decimal("0.50"))
    assert Budget.objects.get().held_usd == 0
    budgets.settle(held, cost_usd=Decimal("0.30"))
    row = Budget.objects.get()
    assert (row.spent_usd, row.held_usd) == (Decimal("0.30"), 0)


def test_a_new_window_begins_with_nothing_spent_and_what_is_still_held():
    cap("1.00", window="day")
    budgets.settle(take("0.90"), cost_usd=Decimal("0.90"))
    with pytest.raises(BudgetExceeded):
        take("0.20")
    Budget.objects.update(window_started_at=timezone.now() - timedelta(days=1, hours=1))
    held = take("0.20")
    row = Budget.objects.get()
    assert (row.spent_usd, row.held_usd) == (0, Decimal("0.20"))
    budgets.settle(held, cost_usd=Decimal("0.10"))
    assert Budget.objects.get().spent_usd == Decimal("0.10")


def test_a_template_is_copied_for_each_new_user():
    cap("0.10", scope="user", key="*", window="day")
    user = str(uuid4())
    take("0.06", [("user", user)])
    with pytest.raises(BudgetExceeded, match=user):
        take("0.06", [("user", user)])
    take("0.06", [("user", str(uuid4()))])
    assert Budget.objects.get(key="*").held_usd == 0


@pytest.mark.django_db(transaction=True)
def test_callers_who_are_first_at_once_all_count_against_the_new_budget():
    cap("1.00", scope="user", key="*", window="day")
    callers = 8

    def first(user, all_here):
        all_here.wait(60)
        try:
            take("0.01", keys=[("user", user)])
        finally:
            connection.close()

    with ThreadPoolExecutor(callers) as pool:
        for number in range(15):
            all_here, user = Barrier(callers), f"new-{number}"
            list(pool.map(first, [user] * callers, [all_here] * callers))
    held = Budget.objects.filter(key__startswith="new-").values_list("held_usd", flat=True)
    assert list(held) == [Decimal("0.08")] * 15


def test_the_soft_cap_is_told_and_does_not_stop():
    cap("1.00", soft_cap_usd=Decimal("0.10"))
    assert not take("0.05").is_soft_exceeded
    assert take("0.10").is_soft_exceeded


def test_a_budget_that_is_switched_off_does_not_count():
    cap("0.01", is_active=False)
    assert take("5.00").budget_ids == ()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [("0", "4.9", []), ("4.9", "5", [50]), ("0", "10", [50, 80, 100]), ("8", "9", [])],
)
def test_people_are_told_once_when_spending_passes_a_threshold(before, after, expected):
    assert budgets.crossed(Decimal(10), Decimal(before), Decimal(after)) == expected


def test_caps_that_make_no_sense_are_refused():
    with pytest.raises(InvalidInput):
        budgets.set_budget(scope="all", key="all", window="day", cap_usd=Decimal(-1))
    with pytest.raises(InvalidInput, match="to the cap"):
        budgets.set_budget(
            scope="all", key="all", window="day", cap_usd=Decimal(1), soft_cap_usd=Decimal(2)
        )


def test_setting_a_cap_again_keeps_what_is_spent():
    cap("1.00")
    budgets.settle(take("0.50"), cost_usd=Decimal("0.50"))
    budgets.set_budget(scope="agent", key="a", window="total", cap_usd=Decimal(9))
    row = Budget.objects.get()
    assert (row.cap_usd, row.spent_usd) == (Decimal(9), Decimal("0.50"))


def test_a_call_that_passes_a_threshold_or_is_refused_raises_the_alert_at_once(
    client, agent, key, settings
):
    from django.core.management import call_command

    from monitoring import tasks
    from monitoring.models import Alert, AlertRule

    call_command("load_monitoring", verbosity=0)
    budget_use._told.clear()
    cases = iter(agent.cases)

    def ask():
        body = {"inputs": next(cases)["input"]}
        return client.post(
            f"/api/v1/agents/{agent.slug}/invocations",
            body,
            "application/json",
            headers={"Authorization": f"Bearer {key}", "Cache-Control": "no-cache"},
        )

    def fired():
        AlertRule.objects.update(evaluated_at=None)
        tasks.watch()
        return set(Alert.objects.values_list("rule__slug", flat=True))

    own = Budget.objects.get_or_create(
        scope="agent", key=agent.slug, window="month", defaults={"cap_usd": 1}
    )[0]
    Budget.objects.filter(pk=own.pk).update(cap_usd=1, spent_usd="0.79999", soft_cap_usd=None)
    assert ask().status_code == 200
    assert fired() >= {"budget-half", "budget-most"}
    Budget.objects.filter(pk=own.pk).update(spent_usd="0.99999")
    refused = ask()
    assert (refused.status_code, refused.json()["code"]) == (402, "budget_exceeded")
    said = refused.json()
    assert (said["budget"], said["window"]) == (f"agent:{agent.slug}", "month")
    assert "begins anew with the next month" in said["detail"]
    assert "budget-used" in fired()

    def listed():
        path = f"/api/v1/budgets?scope=agent&key={agent.slug}"
        found = client.get(path, headers={"Authorization": f"Bearer {key}"}).json()["results"]
        assert {(row["scope"], row["key"]) for row in found} == {("agent", agent.slug)}
        return {row["window"]: row for row in found}

    assert listed()["month"]["used_ratio"] > 0.99

    # The month changes: nothing of the old one counts any more, before the first call as after it.
    Budget.objects.filter(pk=own.pk).update(window_started_at=timezone.now() - timedelta(days=40))
    begun = listed()["month"]
    assert (begun["spent_usd"], begun["used_ratio"]) == ("0.000000000", 0)
    assert begun["window_started_at"].endswith("-01T00:00:00Z")
    page = client.get(f"/api/v1/agents/{agent.slug}", headers={"Authorization": f"Bearer {key}"})
    assert {Decimal(b["spent_usd"]) for b in page.json()["budgets"] if b["window"] == "month"} == {
        0
    }
    assert ask().status_code == 200
    spent = Decimal(listed()["month"]["spent_usd"])
    assert 0 < spent < Decimal("0.01")
    own.refresh_from_db()
    assert (own.spent_usd, own.held_usd) == (spent, 0)
