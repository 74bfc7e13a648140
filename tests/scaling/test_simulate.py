import io
import json
from decimal import Decimal

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from scaling.domain.autoscaling import Kind, Policy
from scaling.domain.queueing import mean_wait_seconds
from scaling.simulate import Arrival, compare, simulate, summary
from scaling.trace import InvalidPolicy, InvalidTrace, check_span, read_policy, read_trace


def poisson(rate, seconds, service, seed=1):
    rng = np.random.default_rng(seed)
    at = np.cumsum(rng.exponential(1 / rate, int(rate * seconds)))
    busy = rng.exponential(service, len(at))
    return [Arrival(float(a), float(b)) for a, b in zip(at, busy, strict=True)]


def fixed(workers, **options):
    return Policy(kind=Kind.FIXED, workers=workers, **options)


def test_one_worker_serves_in_order_and_the_delays_are_right():
    work = [Arrival(0.0, 10.0), Arrival(1.0, 5.0), Arrival(30.0, 1.0)]
    outcome = simulate(work, fixed(1))
    assert outcome.delays.tolist() == [0.0, 9.0, 0.0]
    assert outcome.worker_seconds == pytest.approx(31.0)


def test_slots_of_a_worker_run_side_by_side():
    work = [Arrival(0.0, 10.0)] * 3
    assert simulate(work, fixed(1, slots_per_worker=2)).delays.tolist() == [0.0, 0.0, 10.0]


def test_fixed_workers_wait_as_queueing_theory_says():
    outcome = simulate(poisson(4.0, 20_000, 1.0), fixed(5))
    assert outcome.delays.mean() == pytest.approx(mean_wait_seconds(5, 4.0, 1.0), rel=0.15)


def test_a_started_worker_takes_no_work_before_it_is_ready():
    policy = Policy(
        kind=Kind.REACTIVE, start_delay_seconds=60, interval_seconds=10, target_busy_ratio=1.0
    )
    outcome = simulate([Arrival(0.0, 1000.0), Arrival(1.0, 1.0)], policy)
    assert outcome.delays[1] == pytest.approx(69.0)  # seen at 10, ready at 70
    assert outcome.decisions[0].workers == 2


def test_stopped_workers_finish_what_they_run_and_are_paid_till_then():
    policy = Policy(
        kind=Kind.REACTIVE,
        min_workers=2,
        max_workers=2,
        interval_seconds=10,
        start_delay_seconds=0,
    )
    outcome = simulate([Arrival(0.0, 25.0), Arrival(0.0, 5.0)], policy)
    assert outcome.worker_seconds >= outcome.busy_seconds
    assert outcome.delays.tolist() == [0.0, 0.0]


def daily(days=2):
    rng = np.random.default_rng(4)
    minutes = np.arange(days * 1440)
    rate = 20 * (0.3 + 3 * np.clip(np.sin((minutes / 1440 - 0.3) * 2 * np.pi), 0, 1))
    at = np.repeat(minutes * 60.0, rng.poisson(rate))
    at = np.sort(at + rng.random(len(at)) * 60)
    return [
        Arrival(float(a), float(s)) for a, s in zip(at, rng.exponential(3, len(at)), strict=True)
    ]


def test_the_predictive_policy_beats_fixed_on_delay_and_reactive_on_cost():
    mine, same_money, reactive = compare(daily(), Policy(max_workers=100))
    assert (same_money.policy.kind, reactive.policy.kind) == (Kind.FIXED, Kind.REACTIVE)
    assert np.quantile(mine.delays, 0.95) <= mine.policy.target_wait_seconds
    assert mine.delays.mean() < same_money.delays.mean() / 10
    assert mine.worker_seconds < reactive.worker_seconds


def test_the_summary_gives_delays_cost_and_decisions():
    outcome = simulate(poisson(2.0, 600, 1.0), Policy(max_workers=20))
    document = summary(outcome, Decimal("0.36"))
    delays = document["queueing_delay_seconds"]
    assert delays["p50"] <= delays["p95"] <= delays["p99"] <= delays["max"]
    expected = Decimal(document["cost"]["worker_seconds"]) / 3600 * Decimal("0.36")
    assert Decimal(document["cost"]["usd"]) == pytest.approx(expected, abs=Decimal("0.001"))
    assert all({"at_seconds", "workers", "reason"} == set(d) for d in document["decisions"])
    assert summary(outcome, None)["cost"]["usd"] is None
    json.dumps(document)


def test_an_empty_trace_cannot_be_simulated():
    with pytest.raises(ValueError, match="arrival"):
        simulate([], Policy())


def test_traces_of_arrivals_counts_and_service_times_are_read():
    plain = read_trace(
        ["timestamp", "2026-01-01T00:00:10Z", "2026-01-01 00:00:00"], service_seconds=2
    )
    assert [a.at_seconds - plain[0].at_seconds for a in plain] == [0, 10]
    assert {a.service_seconds for a in plain} == {2}
    timed = read_trace(["arrived_at,service_seconds", "1.5,0.25"], service_seconds=2)
    assert timed == [Arrival(1.5, 0.25)]
    counted = read_trace(["timestamp,count", "0,2", "60,0", "120,1"], service_seconds=1)
    assert [a.at_seconds for a in counted] == [15, 45, 150]


@pytest.mark.parametrize(
    ("lines", "line", "said"),
    [
        ([], 1, "column"),
        (["a,b", "1,2"], 1, "column"),
        (["timestamp"], 1, "no arrivals"),
        (["timestamp", "soon"], 2, "ISO 8601"),
        (["timestamp,service_seconds", "1,2", "2,-1"], 3, "service time"),
        (["timestamp,count", "1,x"], 2, "count"),
        (["timestamp,count", "1"], 2, "columns"),
    ],
)
def test_a_bad_trace_names_its_line(lines, line, said):
    with pytest.raises(InvalidTrace, match=said) as caught:
        read_trace(lines, service_seconds=1)
    assert caught.value.line == line


def test_a_trace_that_would_take_days_to_simulate_is_refused():
    lines = ["timestamp", "2024-01-01T00:00:00Z", "5"]  # the second is of 1970
    with pytest.raises(InvalidTrace, match="check the unit"):
        check_span(read_trace(lines, service_seconds=1), Policy())


def test_an_empty_policy_file_is_the_default_policy():
    assert read_policy("# nothing\n").policy == Policy()


def test_a_policy_file_is_read_with_its_price_and_service_time():
    given = read_policy("kind: reactive\nmax_workers: 9\nprice_per_worker_hour_usd: 0.1\n")
    assert given.policy == Policy(kind=Kind.REACTIVE, max_workers=9)
    assert given.price_per_worker_hour_usd == Decimal("0.1")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[1, 2]", "policy"),
        ("a: [", "policy"),
        ("kind: magic", "kind"),
        ("workerz: 3", "workerz"),
        ("max_workers: 2.5", "max_workers"),
        ("max_workers: many", "max_workers"),
        ("min_workers: 5\nmax_workers: 1", "policy"),
        ("service_seconds: -1", "service_seconds"),
        ("price_per_worker_hour_usd: free", "price_per_worker_hour_usd"),
    ],
)
def test_a_bad_policy_names_its_key(text, key):
    with pytest.raises(InvalidPolicy) as caught:
        read_policy(text)
    assert caught.value.key == key


def test_the_command_prints_the_policy_beside_fixed_and_reactive(tmp_path):
    trace, policy = tmp_path / "trace.csv", tmp_path / "policy.yaml"
    trace.write_text("timestamp,service_seconds\n" + "".join(f"{i},2\n" for i in range(300)))
    policy.write_text("name: evening\nkind: predictive\nprice_per_worker_hour_usd: '0.20'\n")
    out = io.StringIO()
    call_command("simulate_scaling", str(trace), policy=str(policy), stdout=out)
    document = json.loads(out.getvalue())
    assert [p["policy"] for p in document["policies"]] == ["evening", "fixed", "reactive"]
    assert document["trace"]["arrivals"] == 300
    trace.write_text("timestamp\nsoon\n")
    with pytest.raises(CommandError, match="line 2"):
        call_command("simulate_scaling", str(trace), policy=str(policy), stdout=out)
