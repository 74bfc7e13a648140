"""Judging the rules against what was measured, and keeping the alerts that follow."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import BooleanField, Exists, ExpressionWrapper, F, OuterRef, Q

from config import logs
from monitoring import burning, explaining, forgiving, health, history, queries, silencing
from monitoring.domain import rules
from monitoring.domain.anomaly.detector import Settings
from monitoring.domain.anomaly.severity import Severity
from monitoring.domain.rollups import Stat
from monitoring.domain.rules import AlertState, Judgement, Standing, Verdict
from monitoring.history import Past
from monitoring.models import Alert, AlertRule, Objective

logger = logging.getLogger(__name__)
Kind = AlertRule.Kind
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
# What a version did before, beside which its control is seen to fail as well.
COMPARED = timedelta(days=7)
ANOMALY_STEP = timedelta(minutes=5)
ANOMALY_HISTORY = timedelta(days=4)
# Five minutes know the shape of a day; that of a week takes a month, which is kept in hours.
SEASON_HISTORY = timedelta(days=34)
JUDGED_STEPS = 2
FORECAST_HISTORY = timedelta(days=28)
FORECAST_HOURS = 24
CLEAR = Verdict(Judgement.CLEAR)
LIVE = (AlertState.PENDING, AlertState.FIRING, AlertState.NO_DATA)
# An objective that is not active promises nothing; a rule with a target of its own still does.
_SWITCHED_OFF = Objective.objects.filter(slug=OuterRef("objective"), is_active=False)
_OWN = Q(is_shipped=False) & (~Q(denominator="") | Q(event_limit__isnull=False))
_IS_PROMISED = ~Q(Exists(_SWITCHED_OFF)) | Q(tuned__contains=["target"]) | _OWN
_IS_ON = ExpressionWrapper(Q(is_active=True) & _IS_PROMISED, output_field=BooleanField())


@queries.one_look()
def evaluate(*, now: datetime) -> list[Alert]:
    """Judge every rule that is due; returns the alerts that changed their state.

    A rule that cannot be judged is logged and leaves its alerts as they are: one bad rule must
    not blind the others.
    """
    due = Q(evaluated_at=None) | Q(
        evaluated_at__lte=now - F("every_seconds") * timedelta(seconds=1)
    )
    # Most rules have nothing to say most of the time, and then cost one read.
    live = Alert.objects.filter(rule=OuterRef("pk"), state__in=LIVE)
    read = AlertRule.objects.annotate(is_live=Exists(live), is_on=_IS_ON).filter(
        Q(due, is_on=True) | Q(is_on=False, is_live=True)
    )
    found = [rule for rule in read if rule.is_on]
    off = [rule for rule in read if not rule.is_on]
    changed = _end_of_switched_off(off, now) if off else []
    judged = []
    forgiven = forgiving.over(now) if found else {}
    promised = burning.objectives_of(found)
    for rule in found:
        try:
            over = forgiven.get(rule.pk, {})
            verdicts = _verdicts(rule, now, over, promised.get(rule.objective))
            if verdicts or rule.is_live:
                with transaction.atomic():
                    changed += _apply(rule, verdicts, now, over)
            judged.append(rule.pk)
        except Exception as error:
            logs.event(logger, "monitoring.rule.failed", level=logging.ERROR, rule=rule.slug,
                       error=f"{type(error).__name__}: {error}"[:300])  # fmt: skip
    AlertRule.objects.filter(pk__in=judged).update(evaluated_at=now)
    return changed


@dataclass(frozen=True, slots=True)
class Counted:
    """What a rule counts of one key: bad ones of how many, in its window and in a week before."""

    is_over: bool
    present: tuple[int, int]
    past: tuple[int, int]


def counted(slug: str, key: str, *, now: datetime) -> Counted | None:
    """How ``key`` stands by the rule ``slug``, by however few; None if it counts nothing.

    Counted are shares, and means of figures from 0 to 1 that are bad when low.
    """
    rule = AlertRule.objects.filter(slug=slug, kind=Kind.THRESHOLD).first()
    if rule is None or not (
        rule.statistic == AlertRule.Statistic.RATIO
        or (rule.statistic == AlertRule.Statistic.MEAN and not rule.above)
    ):
        return None
    since = now - timedelta(seconds=rule.window_seconds)
    present = _read(rule, since, now + MINUTE, keys=[key]).get(key, {})
    past = _read(rule, since - COMPARED, since, keys=[key]).get(key, {})
    is_over = _threshold(rule, present, False).judgement is Judgement.BREACH
    return Counted(is_over, _bad_of(rule, present), _bad_of(rule, past))


def _bad_of(rule: AlertRule, stats: Mapping[str, Stat]) -> tuple[int, int]:
    count, stat = _count(rule, stats), stats.get(rule.metric, queries.EMPTY)
    bad = stat.total if rule.denominator else stat.count - stat.total
    return min(max(round(bad), 0), count), count


@transaction.atomic
def _end_of_switched_off(off: Sequence[AlertRule], now: datetime) -> list[Alert]:
    """Nobody judges them any more, so nobody else would end them."""
    live = Alert.objects.filter(state__in=LIVE, rule__in=[rule.pk for rule in off])
    live.filter(state=AlertState.PENDING).delete()
    ended = list(live.select_related("rule").select_for_update(of=("self",)).order_by("id"))
    for alert in ended:
        what = "objective" if alert.rule.is_active else "rule"
        alert.state, alert.resolved_at = AlertState.RESOLVED, now
        alert.resolved_by = f"system:{what}_switched_off"
    Alert.objects.bulk_update(ended, ["state", "resolved_at", "resolved_by"])
    return ended


def _verdicts(
    rule: AlertRule, now: datetime, forgiven: Mapping[str, datetime], objective: Objective | None
) -> Mapping[str, Verdict]:
    """Key → verdict, for every key that has data or had it.

    Of a key in ``forgiven`` only what was measured since then is judged; ``objective`` is the one
    whose promise the rule watches.
    """
    if rule.kind == Kind.HEARTBEAT:
        return _heartbeats(now)
    if rule.kind in (Kind.ANOMALY, Kind.TOGETHER, Kind.FORECAST):
        return _of_series(rule, now, forgiven)
    window = timedelta(seconds=rule.window_seconds)
    current = _current(rule, now - window, now, forgiven)
    if rule.kind == Kind.THRESHOLD:
        return {
            key: rules.NO_DATA
            if forgiving.is_part(rule, now, forgiven.get(key)) and not rule.above
            else _or_of_few(partial(_threshold, rule, stats))
            for key, stats in current.items()
        }
    if rule.kind == Kind.BURN_RATE:
        promise = burning.promise_of(rule, objective)
        since = now - timedelta(seconds=rule.short_window_seconds)
        short = _current(rule, since, now, forgiven) if current else {}
        return {
            key: _or_of_few(partial(burning.judge, rule, promise, short.get(key, {}), stats))
            for key, stats in current.items()
        }
    past = history.baseline(rule, now - window)
    if rule.kind == Kind.NO_DATA:
        return {
            key: rules.silent(_count(rule, current.get(key, {})), _count(rule, before.stats))
            for key, before in past.items()
            if forgiven.get(key, now - window) <= now - window
        }
    return {
        key: _or_of_few(partial(_ratio, rule, stats, past.get(key), now, forgiven.get(key)))
        for key, stats in current.items()
    }


def _current(
    rule: AlertRule, since: datetime, now: datetime, forgiven: Mapping[str, datetime]
) -> dict[str, dict[str, Stat]]:
    """What was measured since then; of what is forgiven, only what came later."""
    found = _read(rule, since, now + MINUTE)
    together: dict[datetime, list[str]] = defaultdict(list)  # what ended at once is read at once
    for key, at in forgiven.items():
        if key in found and at > since:
            together[at].append(key)
    for at, keys in together.items():
        later = _read(rule, at, now + MINUTE, keys=keys) if at < now + MINUTE else {}
        found |= {key: later.get(key, {}) for key in keys}
    return found


def _read(
    rule: AlertRule, since: datetime, until: datetime, *, keys: Sequence[str] | None = None
) -> dict[str, dict[str, Stat]]:
    metrics = [name for name in (rule.metric, rule.denominator) if name]
    if keys is None and rule.key:
        keys = [rule.key]
    return queries.totals(metrics, scope=rule.scope, since=since, until=until, keys=keys)


def value_of(rule: AlertRule, stats: Mapping[str, Stat], *, few: bool = False) -> float | None:
    """The rule's statistic; None where too little was measured to say anything.

    ``few`` takes what there is, however little.
    """
    if _count(rule, stats) < (1 if few else max(rule.min_count, 1)):
        return None
    stat = stats.get(rule.metric, queries.EMPTY)
    if rule.statistic == AlertRule.Statistic.RATIO:
        whole = stats[rule.denominator].total
        return stat.total / whole if whole else None
    return queries.statistic(stat, rule.statistic)


def _count(rule: AlertRule, stats: Mapping[str, Stat]) -> int:
    """Observations: of the denominator, where there is one."""
    name = rule.denominator or rule.metric
    stat = stats.get(name, queries.EMPTY)
    return int(stat.total) if rule.denominator else stat.count


def _or_of_few(judge: Callable[[bool], Verdict]) -> Verdict:
    """A verdict over enough; of too few to begin an alert with, one that may end it."""
    verdict = judge(False)
    return rules.of_few(judge(True)) if verdict.judgement is Judgement.NO_DATA else verdict


def _threshold(rule: AlertRule, stats: Mapping[str, Stat], few: bool) -> Verdict:
    return rules.over_limit(
        value_of(rule, stats, few=few), rule.limit, above=rule.above, clear=rule.clear,
        critical=rule.critical,
    )  # fmt: skip


def _ratio(
    rule: AlertRule,
    stats: Mapping[str, Stat],
    past: Past | None,
    now: datetime,
    over: datetime | None,
    few: bool,
) -> Verdict:
    baseline = None if past is None else value_of(rule, past.stats)
    if past is not None and baseline is not None and rules.usual_total(rule.statistic):
        if past.seconds < rule.window_seconds:
            return rules.NO_DATA  # too young to say what one window usually adds up to
        judged = float(rule.window_seconds)
        if over is not None and forgiving.is_part(rule, now, over):
            if not rule.above:
                return rules.NO_DATA  # too little in too short a time says nothing
            judged = max((now - over).total_seconds(), 0.0)
        baseline *= judged / past.seconds
    return rules.against_baseline(
        value_of(rule, stats, few=few), baseline, rule.limit, above=rule.above,
        clear_ratio=rule.clear, critical_ratio=rule.critical,
    )  # fmt: skip


def _keys(rule: AlertRule, now: datetime) -> Iterable[str]:
    if rule.key or rule.scope == "all":
        return [rule.key]
    return _read(rule, now - 6 * HOUR, now + MINUTE).keys()


def _of_series(
    rule: AlertRule, now: datetime, forgiven: Mapping[str, datetime]
) -> dict[str, Verdict]:
    if rule.kind == Kind.FORECAST:
        return _in_steps(rule, now, forgiven, step=HOUR, back=FORECAST_HISTORY)
    short = _in_steps(rule, now, forgiven, step=ANOMALY_STEP, back=ANOMALY_HISTORY)
    long = _in_steps(rule, now, forgiven, step=HOUR, back=SEASON_HISTORY)
    return {
        key: rules.either(short.get(key, rules.NO_DATA), long.get(key, rules.NO_DATA))
        for key in short.keys() | long.keys()
    }


def _in_steps(
    rule: AlertRule, now: datetime, forgiven: Mapping[str, datetime], *, step: timedelta,
    back: timedelta,
) -> dict[str, Verdict]:  # fmt: skip
    judged_steps = 1 if step == HOUR and rule.kind != Kind.FORECAST else JUDGED_STEPS
    until = now - (now - datetime(2000, 1, 1, tzinfo=now.tzinfo)) % step  # whole steps only
    found = history.series(
        rule, list(_keys(rule, now)), since=until - back, until=until, step=step,
        recent=judged_steps,
    )  # fmt: skip
    verdicts = {}
    for key, times, cells in found:
        judged = times[-judged_steps:]
        if key in forgiven:
            judged = [at for at in judged if at >= forgiven[key].timestamp()]
        # A forecast is made of the past, so it is heard again once there is something new.
        if judged or not times:
            verdicts[key] = _of_one(rule, times, cells, max(len(judged), 1))
    return verdicts


def _of_one(
    rule: AlertRule, times: Sequence[float], cells: Sequence[Mapping[str, Stat]], recent: int
) -> Verdict:
    if rule.kind == Kind.TOGETHER:
        parts = [rule, *(_part(rule, one) for one in rule.beside)]
        rows = [{f"{p.metric} {p.statistic}": value_of(p, cell) for p in parts} for cell in cells]
        return rules.jointly_anomalous(times, rows, recent=recent, settings=Settings())
    values = [value_of(rule, cell) for cell in cells]
    if rule.kind == Kind.ANOMALY:
        return rules.anomalous(times, values, recent=recent, settings=Settings())
    return rules.will_breach(
        values, rule.limit, above=rule.above, horizon=FORECAST_HOURS, row_seconds=3600.0
    )


def _part(rule: AlertRule, given: Mapping[str, str]) -> AlertRule:
    """One of the further metrics of a rule, to be read as the rule's own is."""
    return AlertRule(metric=given["metric"], denominator=given.get("denominator", ""),
                     statistic=given.get("statistic", "total"),
                     min_count=rule.min_count)  # fmt: skip


def _heartbeats(now: datetime) -> dict[str, Verdict]:
    """The dead-man's rule: what should have given a sign of life and did not."""
    seen = health.heartbeats()
    late = {entry.partition(" ")[0]: entry for entry in health.stuck_tasks(seen, now)}
    found = {
        task: Verdict(Judgement.BREACH, why=f"no success: {entry}"[:200])
        for task, entry in late.items()
    }
    for queue in settings.READY_QUEUES:
        at = seen.get(health.QUEUE + queue)
        stale = health.ANALYSIS_STALE if queue == "analysis" else settings.READY_STALE
        if at is not None and now - at > stale:
            why = f"no task taken for {(now - at).total_seconds():.0f} s"
            found[f"queue {queue}"] = Verdict(Judgement.BREACH, why=why)
    return found


_WRITTEN = ("state", "severity", "value", "baseline", "why", "detail", "pending_since",
            "clear_since", "fired_at", "resolved_at", "resolved_by", "is_silenced")  # fmt: skip


def _apply(
    rule: AlertRule,
    verdicts: Mapping[str, Verdict],
    now: datetime,
    forgiven: Mapping[str, datetime],
) -> list[Alert]:
    """Move every alert of the rule; a thousand of them cost a handful of statements.

    What a person has closed since ``forgiven`` was read is judged anew by the next pass.
    """
    held = rule.alerts.exclude(state=AlertState.RESOLVED).select_for_update()
    live = {alert.key: alert for alert in held}
    meanwhile = forgiving.closed_since(rule, forgiven, now)
    verdicts = {key: verdict for key, verdict in verdicts.items() if key not in meanwhile}
    # A heartbeat that is back is absent from the verdicts; data that vanished is not well again.
    gone = CLEAR if rule.kind == Kind.HEARTBEAT else rules.NO_DATA
    new, kept, dropped, moved = [], [], [], []
    for key in sorted(verdicts.keys() | live.keys()):
        alert, verdict = live.get(key), verdicts.get(key, gone)
        if alert is not None and _is_just_let_go(rule, alert, now):
            # Only a breach is its own: between the limits is where the outage had brought it.
            verdict = verdict if verdict.judgement is Judgement.BREACH else CLEAR
        before = alert and alert.state
        after = _standing(rule, alert, verdict, now)
        if after is None:
            if alert is not None:
                dropped.append(alert.pk)  # it was pending and never fired: nothing happened
            continue
        if alert is None:
            alert = Alert(rule=rule, scope=rule.scope, key=key, severity=rule.severity)
            new.append(alert)
        else:
            kept.append(alert)
        _write(alert, after, verdict, now)
        if before != alert.state:
            moved.append(alert)
    _explain(rule, [alert for alert in moved if alert.fired_at == now], now)
    Alert.objects.filter(pk__in=dropped).delete()
    Alert.objects.bulk_create(
        [*new, *kept], update_conflicts=True, unique_fields=["id"], update_fields=_WRITTEN
    )
    states = Counter(alert.state for alert in moved)
    for state, count in states.items():
        logs.event(logger, f"monitoring.alert.{state}", rule=rule.slug, count=count)
    return moved


def _is_just_let_go(rule: AlertRule, alert: Alert, now: datetime) -> bool:
    """It followed from its endpoint's failure until now: nothing says that it fails of itself."""
    if alert.let_go_at is None:
        return False
    return now - alert.let_go_at <= timedelta(seconds=rule.window_seconds + rule.resolve_seconds)


def _standing(
    rule: AlertRule, alert: Alert | None, verdict: Verdict, now: datetime
) -> Standing | None:
    before = None
    if alert is not None:
        before = Standing(AlertState(alert.state), alert.pending_since, alert.clear_since)
    return rules.step(
        before, verdict.judgement, now=now,
        pending_for=timedelta(seconds=rule.pending_seconds),
        resolve_after=timedelta(seconds=rule.resolve_seconds),
        few_for=timedelta(seconds=rule.window_seconds),
    )  # fmt: skip


def _write(alert: Alert, after: Standing, verdict: Verdict, now: datetime) -> None:
    alert.state, alert.pending_since = after.state, after.pending_since
    alert.clear_since = after.clear_since
    if verdict.judgement is Judgement.BREACH:
        alert.value, alert.baseline, alert.why = verdict.value, verdict.baseline, verdict.why[:200]
        if verdict.is_critical:
            alert.severity = Severity.CRITICAL.value
    if after.state is AlertState.FIRING and alert.fired_at is None:
        alert.fired_at = now
    if after.state is AlertState.RESOLVED:
        vanished = verdict.judgement is Judgement.NO_DATA
        alert.resolved_at = now
        alert.resolved_by = "system:no_data" if vanished else "system:rules"


def _explain(rule: AlertRule, fired: Sequence[Alert], now: datetime) -> None:
    """What stands beside alerts that have just begun to fire, read once for all of them."""
    if not fired:
        return
    silences = silencing.in_force(now)
    details = explaining.details_of(rule, [alert.key for alert in fired], now=now)
    for alert in fired:
        alert.is_silenced = silencing.is_muted(alert, silences)
        alert.detail = details[alert.key]
