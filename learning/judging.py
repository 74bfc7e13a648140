"""Judges measured against people: only one that agrees, and that nothing sways, may decide.

Any judge's scores are kept. In experiments and rollouts, and as measured accuracy, those of a
judge count only while it is admitted: a version of a judge is a judge of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from agents import evidence, sight
from config import logs
from config.access.callers import Caller
from config.errors import Conflict, InvalidInput, NotFound
from learning import feedback
from learning.domain import judging
from learning.domain.measures import SCORE
from learning.models import Feedback, Judge, Preference, Score, Subject
from monitoring import services as monitoring

logger = logging.getLogger(__name__)
State = Judge.State
# A judge of this name is measured against people's stars, any other against their scores.
RATING = "rating"
# The newest labels that a measurement looks at.
MOST_LABELS, MOST_PAIRS = 2_000, 2_000


def admitted() -> set[tuple[str, str]]:
    """(score, version) of every judge that may decide."""
    return set(Judge.objects.filter(state=State.ADMITTED).values_list("name", "version"))


def may_decide(source: str, name: str, version: str, known: set[tuple[str, str]]) -> bool:
    """Whether a score may count in a decision: all but those of a judge that is not admitted."""
    return source != Score.Source.JUDGE or (name, version) in known


def left_out(metrics: Iterable[Mapping[str, Any]]) -> list[str]:
    """In words, whose scores these metrics do without: judges that are not admitted."""
    names = {str(one.get("measure") or one["key"]).removeprefix(SCORE) for one in metrics
             if str(one.get("measure") or one["key"]).startswith(SCORE)}  # fmt: skip
    if not names:
        return []
    given = Score.objects.filter(name__in=names, source=Score.Source.JUDGE, superseded_at=None)
    judges = set(given.order_by().values_list("name", "source_version").distinct()) - admitted()
    return [
        f"scores {name} by the judge {version} are left out: it is not admitted to decide"
        for name, version in sorted(judges)
    ]


def prefer(
    *,
    caller: Caller,
    name: str,
    source_version: str,
    first_id: UUID,
    second_id: UUID,
    preferred: str,
    reason: str = "",
) -> Preference:
    """Keep which of two answers a judge preferred, in the order that it saw; once an order.

    An id is an invocation's, or a correction's for the corrected answer. Raises NotFound,
    InvalidInput, Conflict for an order that was judged before.
    """
    if preferred not in Preference.Place.values:
        raise InvalidInput("preferred", preferred, f"one of {', '.join(Preference.Place.values)}")
    if first_id == second_id:
        raise InvalidInput("second_id", str(second_id), "another answer than the first")
    if not source_version:
        raise InvalidInput("source_version", source_version, "a judge names its version")
    clients = [_client_of(caller, one) for one in (first_id, second_id)]
    if clients[0] != clients[1]:
        raise InvalidInput("second_id", str(second_id), "an answer to the same client")
    try:
        with transaction.atomic():
            return Preference.objects.create(
                client_id=clients[0], name=name, source_version=source_version,
                first_id=first_id, second_id=second_id, preferred=preferred, reason=reason,
            )  # fmt: skip
    except IntegrityError:
        raise Conflict("this order of the two", "judged before", "one judgement") from None


def _client_of(caller: Caller, answer_id: UUID) -> UUID:
    # Ratchet's own judge is nobody, and may read what anybody said.
    rows = feedback.visible(caller) if caller.user_id else Feedback.objects.all()
    rows = rows.filter(pk=answer_id, kind=Feedback.Kind.CORRECTION)
    correction = rows.values_list("client_id", flat=True).first()
    if correction is not None:
        return correction
    found: UUID = feedback.subject(caller, Subject.INVOCATION, answer_id)["client_id"]
    return found


def measure(*, name: str, version: str, by: str = "") -> Judge:
    """Measure one judge on all that people and it have labelled, and let it decide or not.

    Raises NotFound for a judge of whom nothing is on record.
    """
    scores = Score.objects.filter(
        name=name, source=Score.Source.JUDGE, source_version=version, superseded_at=None,
        subject_kind=Subject.INVOCATION,
    )  # fmt: skip
    orders = Preference.objects.filter(name=name, source_version=version)
    if not (
        scores.exists() or orders.exists()
        or Judge.objects.filter(name=name, version=version).exists()
    ):  # fmt: skip
        raise NotFound("judge", f"{name} by {version}")
    given = dict(scores.order_by("-id").values_list("subject_id", "value")[: 5 * MOST_LABELS])
    labels = people_of(name, given)
    lengths = evidence.answer_lengths(list(labels))
    both = [one for one in labels if one in lengths]
    judged, people = [given[one] for one in both], [labels[one] for one in both]
    agreed = judging.agreement(
        [value >= judging.GOOD for value in judged], [value >= judging.GOOD for value in people]
    )
    length = judging.length_bias(judged, people, [lengths[one] for one in both])
    position = judging.position_bias(_orders(orders))
    faults = judging.faults(agreed, length, position)
    row, _ = Judge.objects.get_or_create(
        name=name, version=version, defaults={"created_by": by[:80]}
    )
    before = row.state
    Judge.objects.filter(pk=row.pk).update(
        state=State.BARRED if faults else State.ADMITTED, faults=faults, measured_at=Now(),
        measured={"agreement": asdict(agreed), "length": asdict(length),
                  "position": {**asdict(position), "swayed_ratio": position.swayed_ratio}},
    )  # fmt: skip
    row.refresh_from_db()
    if row.state != before:
        monitoring.audit(
            actor=by or "system:learning", action=f"learning.judge.{row.state}",
            target=f"judge:{row.pk}", before={"state": before},
            after={"judge": str(row), "faults": faults},
        )  # fmt: skip
    logs.event(logger, "learning.judge.measured", judge=str(row.pk), state=row.state, n=agreed.n)
    return row


def people_of(
    name: str, among: Iterable[UUID] | None = None, *, caller: Caller | None = None
) -> dict[UUID, float]:
    """What people say of invocations under this name, from 0 to 1; of all, or of ``among``.

    With a ``caller``, of those alone that it may see.
    """
    if name == RATING:
        said = Feedback.objects.all() if caller is None else feedback.visible(caller)
        stars = said.filter(
            kind=Feedback.Kind.RATING, superseded_at=None, subject_kind=Subject.INVOCATION,
            rating__isnull=False,
        )  # fmt: skip
        if among is not None:
            stars = stars.filter(subject_id__in=list(among))
        found: dict[UUID, list[float]] = {}
        for one, rating in stars.order_by("-id").values_list("subject_id", "rating")[:MOST_LABELS]:
            found.setdefault(one, []).append((float(rating or 1) - 1) / 4)
        return {one: sum(values) / len(values) for one, values in found.items()}
    given = Score.objects.all()
    if caller is not None:
        given = sight.of_visible_calls(caller, given, "subject_id")
    scores = given.filter(
        name=name, source=Score.Source.HUMAN, superseded_at=None,
        subject_kind=Subject.INVOCATION,
    )  # fmt: skip
    if among is not None:
        scores = scores.filter(subject_id__in=list(among))
    return dict(scores.order_by("-id").values_list("subject_id", "value")[:MOST_LABELS])


def _orders(rows: Any) -> list[tuple[str, str]]:
    """Winners by place of every pair that was judged in both orders."""
    seen = {
        (first, second): preferred
        for first, second, preferred in rows.order_by("-id").values_list(
            "first_id", "second_id", "preferred"
        )[:MOST_PAIRS]
    }
    return [
        (won, seen[second, first])
        for (first, second), won in seen.items()
        if first < second and (second, first) in seen
    ]


def remeasure() -> int:
    """Measure every judge that has given a score; how many there are."""
    given = Score.objects.filter(source=Score.Source.JUDGE, superseded_at=None).order_by()
    known = set(given.values_list("name", "source_version").distinct())
    for name, version in sorted(known | set(Judge.objects.values_list("name", "version"))):
        measure(name=name, version=version)
    return len(known)


def documents() -> list[dict[str, Any]]:
    """All judges as the API gives them, those that were never measured too."""
    rows = list(Judge.objects.all())
    given = Score.objects.filter(source=Score.Source.JUDGE, superseded_at=None).order_by()
    measured = {(row.name, row.version) for row in rows}
    silent = set(given.values_list("name", "source_version").distinct()) - measured
    return [document(row) for row in rows] + [
        document(Judge(name=name, version=version, faults=["it was never measured"]))
        for name, version in sorted(silent)
    ]


def document(row: Judge) -> dict[str, Any]:
    """One judge with what was measured and what bars it."""
    return {
        "name": row.name, "version": row.version, "criterion": row.criterion, "state": row.state,
        "faults": row.faults, "measured": row.measured, "measured_at": row.measured_at,
    }  # fmt: skip
