"""Sums that stand: what a sweep adds to them comes to what all calls together come to."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from agents import services as agents
from agents.domain import traffic
from agents.models import Invocation
from config.privacy import another_name
from learning import experiments, feedback, outcomes, summing
from learning.domain import measures, quantiles
from learning.models import ArmDay, Experiment, Feedback, Score, StageSums
from learning.summing import EVERY, Look
from tests.learning.ground import SLUG, id_at, make_agent, meet
from tests.rows import insert

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
ARMS = {"treatment": [[0, 5_000]], "control": [[5_000, 10_000]]}
METRICS = [
    {"key": "success", "role": "primary"},
    {"key": "seconds_per_call"},
    {"key": "cost_usd", "cap": 0.03},
    {"key": "rating"},
    {"key": "complaint"},
    {"key": "score:quality"},
]
WITH_A_PAST = [*METRICS, {"key": "calls", "cuped_days": 7}]
CAPPED = {"key": "dear", "measure": "cost_usd_per_call", "cap_percentile": 0.9}
WITH_PERCENTILES = [*METRICS, CAPPED, {"key": "p90", "measure": "seconds", "quantile": 0.9}]


class Traffic:
    """Calls of units that come once or again and again, and what is said of them, in their time."""

    def __init__(self, firm, seed):
        self.rng, self.firm = random.Random(seed), firm
        self.agent, self.old, self.new = make_agent()
        self.units = [str(UUID(int=self.rng.getrandbits(128))) for _ in range(300)]
        self.calls: list[Invocation] = []
        self.began = datetime.now(UTC).replace(hour=15, minute=0) - timedelta(days=5)
        self.till = self.began
        insert(self.made(unit, self.began - 30 * HOUR, epoch=None) for unit in self.units[::2])

    def call(self, unit, ended_at, epoch=1):
        made = self.made(unit, ended_at, epoch)
        made.save(force_insert=True)
        return made

    def made(self, unit, ended_at, epoch):
        rng, seconds = self.rng, self.rng.random() * 50
        started = ended_at - timedelta(seconds=seconds)
        # A queued one has had its id for long.
        asked = started - rng.choice([0, 0, 0, 20]) * HOUR if epoch else started
        return Invocation(
            id=id_at(asked, rng), client_id=self.firm.pk, agent_id=self.agent.pk, agent_slug=SLUG,
            version_id=self.old.pk, version_number=1, split_epoch=epoch,
            unit=unit if epoch else "", user_id=unit,
            bucket=traffic.bucket_of("seed", unit) if epoch else None,
            state=rng.choice(["succeeded", "succeeded", "failed"]), cost_usd=rng.random() / 20,
            duration_seconds=seconds, started_at=started,
        )  # fmt: skip

    def go_on(self, hours):
        """So many hours more: new calls of old and new units, late words, words taken back."""
        since, self.till = self.till, self.till + hours * HOUR
        for _ in range(self.rng.randrange(25)):
            ended = since + (self.till - since) * self.rng.uniform(0.05, 1)
            epoch = self.rng.choice([1, 1, 2])
            known = self.units[:20] if self.rng.random() < 0.5 else self.units
            self.calls.append(self.call(self.rng.choice(known), ended, epoch))
        for _ in range(self.rng.randrange(12)):
            if self.calls:
                self.say(self.rng.choice(self.calls), self.rng.choice([Feedback, Score]))

    def say(self, call, model):
        rng, at = self.rng, self.till
        about = {"subject_kind": "invocation", "subject_id": call.pk}
        model.objects.filter(**about, superseded_at=None).update(superseded_at=at)
        if rng.random() < 0.1:  # taken back without a word in its place
            return
        more = (
            {"kind": "rating", "rating": rng.randrange(1, 6), "author_key": "somebody"}
            if model is Feedback
            else {"name": "quality", "value": rng.random(), "source": "human"}
        )
        model.objects.create(
            id=id_at(at, rng), client_id=self.firm.pk, agent_slug=SLUG, version_id=call.version_id,
            unit=call.unit, split_epoch=call.split_epoch, **about, **more,
        )  # fmt: skip

    def source(self, metrics, **more):
        given = {"until": self.till, **more}
        return outcomes.Source(
            self.firm.pk, self.firm.pk, SLUG, "all", [1], ARMS,
            [measures.metric(raw, i) for i, raw in enumerate(metrics)], self.began,
            unit="user", started_at=self.began, **given,
        )  # fmt: skip


def flat(stages):
    return {
        (stage, arm, day, metric, name): value
        for stage, cells in stages.items()
        for (arm, day), cell in cells.items()
        for metric, sums in {**cell["statistics"], "": {"units": cell["units"]}}.items()
        for name, value in told(sums).items()
    }


def told(sums):
    """The sums; of a sketch its quantiles."""
    sketch = sums.get("sketch")
    levels = (
        {level: quantiles.read([sketch], level)["value"] for level in (0.1, 0.9)} if sketch else {}
    )
    return {name: value for name, value in sums.items() if name != "sketch"} | levels


@pytest.mark.parametrize(
    ("seed", "maturity"),
    [(0, 30), (1, 0), *(pytest.param(*more, marks=pytest.mark.slow) for more in ((2, 0), (3, 30)))],
)
def test_what_is_added_comes_to_the_same_as_all_of_it(firm, seed, maturity):
    world = Traffic(firm, seed)
    metrics = WITH_A_PAST if seed % 2 else METRICS
    among = [(1, 5_000, 5_000), (2, 4_000, 6_000)] if seed % 3 else ()
    incident = world.began + 40 * HOUR
    for look in range(14):
        world.go_on(world.rng.choice([0.3, 1, 5, 26]))
        if look == 9 and not seed % 2:  # a person is erased: the same unit by another name
            unit = world.rng.choice(world.units)
            for model in (Invocation, Feedback, Score):
                model.objects.filter(unit=unit).update(unit=another_name(UUID(unit)))
            world.calls = list(Invocation.objects.exclude(bucket=None))
        ended = min(world.till, incident + 40 * HOUR)  # it grows from look to look
        source = world.source(
            metrics, until=world.till - maturity * HOUR, among=among,
            incidents=[(incident, ended)] if ended > incident else [],
        )  # fmt: skip
        added, whole = summing.cells(source, Look(world.till)), outcomes.cells(source)
        assert flat(added) == pytest.approx(flat(whole), rel=1e-9, abs=1e-9)
    assert whole["all"] and whole["~all"]
    assert timedelta(0) <= world.till - HOUR - StageSums.objects.get().recorded_before < EVERY
    assert StageSums.objects.get().number > 5


@pytest.mark.slow
def test_percentiles_are_added_to_as_sums_are(firm, monkeypatch):
    """A sketch by its buckets; a cap stands until there are a tenth more units."""
    monkeypatch.setattr(summing, "CAPPED_EXACTLY", 20)
    world, whole_folds = Traffic(firm, 5), 0
    for _ in range(18):
        world.go_on(world.rng.choice([0.5, 1, 2]))
        source = world.source(WITH_PERCENTILES)
        found = summing.cells(source, Look(world.till))
        row = StageSums.objects.filter(stage="all").first()
        # The caps of all units while they are few, then those that were found last.
        caps = row.caps if row and summing._stands(source) else None
        whole = outcomes.cells(source, caps=caps)
        assert flat(found) == pytest.approx(flat(whole), rel=0.02, abs=1e-9)
        exact = [{key: value for key, value in flat(one).items() if isinstance(key[4], str)}
                 for one in (found, whole)]  # fmt: skip
        assert exact[0] == pytest.approx(exact[1], rel=1e-9, abs=1e-9)
        whole_folds += caps is not None and row.made_at == row.recorded_before
        units = sum(cell["units"] for cell in found["all"].values())
        ArmDay.objects.update_or_create(
            owner_id=source.owner_id, stage="all", arm="control", day=world.began.date(),
            defaults={"client_id": source.client_id, "units": units, "statistics": {}},
        )  # fmt: skip
    assert units > 60 and row.caps["dear"] and 2 <= whole_folds <= 9
    exactly = measures.caps_of(
        (one for one, _ in outcomes._units(source, outcomes.WHOLE)),
        arms=ARMS, metrics=source.metrics,
    )  # fmt: skip
    assert row.caps["dear"][0] == pytest.approx(exactly["dear"][0], rel=0.3)


def test_who_met_an_earlier_batch_does_not_count_in_a_later_one(firm, monkeypatch):
    """A bandit's batches: a call of the earlier one may be known only after one of the later."""
    world, plain, asked = Traffic(firm, 7), agents.units_that_changed, []
    monkeypatch.setattr(
        agents, "units_that_changed", lambda *args, **more: asked.append(1) or plain(*args, **more)
    )
    for _ in range(14):
        world.go_on(world.rng.choice([1, 5, 26]))
        look, seen = Look(world.till), set()
        asked.clear()
        for epoch in (1, 2):
            batch = replace(world.source(METRICS), epochs=[epoch], stage=f"batch {epoch}",
                            but_of=list(range(1, epoch)), started_at=None)  # fmt: skip
            added = flat(summing.cells(batch, look))
            assert added == pytest.approx(flat(outcomes.cells(batch)), rel=1e-9, abs=1e-9)
            met = outcomes._units(replace(batch, but_of=()), outcomes.WHOLE)
            new = [one for one in met if one[0].unit not in seen]
            told = flat(outcomes._folded(batch, new, {}, outcomes.caps_of(batch)))
            assert added == pytest.approx(told, rel=1e-9, abs=1e-9)
            seen |= {one.unit for one, _ in new}
        assert len(asked) <= 2  # of all batches together: to move on, and since then
    assert {row.number > 5 for row in StageSums.objects.all()} == {True}
    assert StageSums.objects.count() == 2


def test_sums_are_made_anew_where_what_they_were_made_of_is_another(firm):
    world = Traffic(firm, 1)
    for _ in range(6):
        world.go_on(10)
    source = world.source(METRICS)
    summing.cells(source, Look(world.till))
    began = world.began + 20 * HOUR
    for changed in (
        world.source(METRICS, incidents=[(began, began + 9 * HOUR)]),  # found out later
        world.source(METRICS, until=world.till - 30 * HOUR),
        world.source(METRICS[:2]),
        world.source(METRICS, parked={str(world.new.pk): "parked"}),
    ):
        found = summing.cells(changed, Look(world.till))
        assert flat(found) == pytest.approx(flat(outcomes.cells(changed)))


def test_the_slower_of_two_sweeps_does_not_put_the_sums_back(firm):
    world = Traffic(firm, 2)
    for _ in range(4):
        world.go_on(10)
    source = world.source(METRICS)
    summing.cells(source, Look(world.till - 20 * HOUR))
    slow = StageSums.objects.get()
    summing.cells(source, Look(world.till))
    look = Look(world.till - 9 * HOUR)
    told = summing._moved_on(source, slow, look)
    row = StageSums.objects.get()
    assert timedelta(0) <= world.till - HOUR - row.recorded_before < EVERY and row.number == 2
    # What it makes of them for itself is right all the same.
    whole = summing.sums.added([(1, summing.sums.from_rows(told.cells)),
                                *summing._since(source, told, outcomes.WHOLE, look)])  # fmt: skip
    assert flat(whole) == pytest.approx(flat(outcomes.cells(source)))


def begun(api, days):
    """An experiment on real calls' ids: they were made when the calls were."""
    made = api("post", "experiments", {
        "agent": SLUG, "name": "n", "plan": {"minimum_days": 0},
        "metrics": [{"key": "success", "role": "primary"}, {"key": "complaint"}],
        "variants": [{"version": "1", "key": "old"}, {"version": "2", "key": "new"}],
    }).json()  # fmt: skip
    assert api("post", f"experiments/{made['id']}/start", {}).status_code == 200
    began = timezone.now() - timedelta(days=days)
    Experiment.objects.filter(pk=made["id"]).update(started_at=began)
    return began


def test_a_sweep_asks_for_no_call_of_a_day_that_is_over_and_late_words_count(
    api, firm, engineer, monkeypatch
):
    agent, old, new = make_agent()
    began = begun(api, days=4)
    rng = random.Random(3)

    def name(call):  # as they are stored where nobody moves clocks
        call.id = id_at(call.started_at, rng)

    meet(agent, firm, units=120, success={old.pk: 0.8, new.pk: 0.8}, started=began, days=3,
         each=name)  # fmt: skip
    experiments.sweep()
    before = list(ArmDay.objects.values("arm", "day", "units", "statistics", "folded_at"))
    assert sum(row["units"] for row in before) == 120 and len(before) == 6
    asked: list = []
    plain = agents.outcomes

    def watched(*args, units=None, **more):
        asked.append(units)
        return plain(*args, units=units, **more)

    monkeypatch.setattr(agents, "outcomes", watched)
    experiments.sweep()
    assert asked == []
    assert list(ArmDay.objects.values("arm", "day", "units", "statistics", "folded_at")) == before
    late = Invocation.objects.order_by("started_at").first()
    feedback.give(caller=engineer, subject_kind="invocation", subject_id=late.pk,
                  kind="complaint", text="The rate is last year's.")  # fmt: skip
    experiments.sweep()
    assert {tuple(units) for units in asked} == {(late.unit,)}
    rows = ArmDay.objects.all()
    assert sum(row.statistics["complaint"]["successes"] for row in rows) == 1
    assert sum(row.units for row in rows) == 120
    changed = {row["folded_at"] for row in before} ^ {row.folded_at for row in rows}
    assert len(changed) == 1  # of one arm, on the day that the unit came
    whole = ArmDay.objects.order_by("arm", "day").values_list("arm", "day", "units", "statistics")
    kept = list(whole)
    StageSums.objects.all().delete()
    experiments.sweep()
    assert list(whole) == kept
