"""Layers and the holdout: the gates that a unit passes before it is in an experiment.

A gate is a seed and ranges of buckets under it. An experiment's gates are chosen at its start and
never change: a resumed one lets in whom it let in before.
"""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from agents.domain import traffic
from agents.domain.traffic import BUCKETS
from config.access.callers import Caller
from config.errors import Conflict, InvalidInput, NotFound
from learning import holdouts
from learning.domain import places
from learning.models import Experiment, Holdout, Layer, Rollout, Unit
from monitoring import services as monitoring

OPEN = ("running", "paused")
MOST_HELD_OUT = 0.5
# Comparisons that a refusal names.
MOST_NAMED = 3


def create_layer(*, caller: Caller, name: str, unit: str = "run", note: str = "") -> Layer:
    """A namespace for experiments of one unit; raises Conflict for a name that is taken."""
    if unit not in Unit.values:
        raise InvalidInput("unit", unit, f"one of {', '.join(Unit.values)}")
    try:
        with transaction.atomic():
            row = Layer.objects.create(
                name=name, unit=unit, note=note, seed=traffic.new_seed(),
                created_by=caller.name[:80],
            )  # fmt: skip
    except IntegrityError:
        raise Conflict(f"layer {name}", "there already", "another name") from None
    _note(caller, "layer.created", f"layer:{row.pk}", {"name": name, "unit": unit})
    return row


def layer_named(name: str, unit: str) -> Layer:
    """The layer; raises NotFound, or InvalidInput if its experiments have another unit."""
    row = Layer.objects.filter(name=name).first()
    if row is None:
        raise NotFound("layer", name)
    if row.unit != unit:
        raise InvalidInput("unit", unit, f"{row.unit}, as all of layer {name}")
    return row


def taken(layer: Layer) -> dict[str, list[list[int]]]:
    """Experiment id → its buckets, of those that are open in the layer."""
    rows = Experiment.objects.filter(layer=layer, state__in=OPEN)
    return {
        str(row.pk): gate["ranges"]
        for row in rows
        for gate in row.gates
        if gate.get("kind") == "layer"
    }


def gates_for(experiment: Experiment) -> list[dict[str, Any]]:
    """The gates of an experiment that starts now; in its transaction, its layer locked.

    Raises Conflict where the layer has no room for its share.
    """
    gates: list[dict[str, Any]] = []
    if experiment.layer_id is not None:
        layer = Layer.objects.select_for_update().get(pk=experiment.layer_id)
        wanted = round(BUCKETS * (experiment.layer_share_ratio or 1.0))
        used = [pair for ranges in taken(layer).values() for pair in ranges]
        ranges = places.find_room(used, wanted, BUCKETS)
        if ranges is None:
            free = BUCKETS - sum(end - start for start, end in used)
            raise Conflict(
                f"layer {layer.name}", f"taken but for {free / BUCKETS:.0%}",
                f"{wanted / BUCKETS:.0%} free",
            )  # fmt: skip
        gates.append({"kind": "layer", "seed": layer.seed, "ranges": ranges})
    return [*gates, *holdouts.gates()]


@transaction.atomic
def open_holdout(*, caller: Caller, share_ratio: float, reason: str = "") -> Holdout:
    """From now on no experiment or rollout that begins meets this share of units.

    The same unit is held out of all of them. Raises InvalidInput, or Conflict while one is open or
    another holdout is: whom they met already can't be held out.
    """
    if not 0 < share_ratio <= MOST_HELD_OUT:
        raise InvalidInput("share_ratio", share_ratio, f"above 0, at most {MOST_HELD_OUT:g}")
    open_ones = [one.called for one in Experiment.objects.filter(state__in=OPEN)]
    rows = Rollout.objects.filter(state__in=OPEN)
    open_ones += [f"the rollout {pk}" for pk in rows.values_list("pk", flat=True)]
    if open_ones:
        some = ", ".join(open_ones[:MOST_NAMED]) + (", …" if len(open_ones) > MOST_NAMED else "")
        raise Conflict("the traffic", f"held by {some}",
                       "no open experiment or rollout when a holdout begins")  # fmt: skip
    try:
        with transaction.atomic():
            row = Holdout.objects.create(
                share_ratio=share_ratio, reason=reason, seed=traffic.new_seed(),
                opened_by=caller.name[:80],
            )  # fmt: skip
    except IntegrityError:
        raise Conflict("a holdout", "open", "none open") from None
    _note(caller, "holdout.opened", f"holdout:{row.pk}", {"share_ratio": share_ratio})
    row.refresh_from_db()
    return row


@transaction.atomic
def close_holdout(*, caller: Caller, holdout_id: Any) -> Holdout:
    """Experiments that start later meet everybody; raises NotFound, Conflict."""
    closed = Holdout.objects.filter(pk=holdout_id, closed_at=None).update(
        closed_at=Now(), closed_by=caller.name[:80]
    )
    row = Holdout.objects.filter(pk=holdout_id).first()
    if row is None:
        raise NotFound("holdout", holdout_id)
    if not closed:
        raise Conflict("the holdout", "closed", "open")
    _note(caller, "holdout.closed", f"holdout:{row.pk}", {"share_ratio": row.share_ratio})
    return row


def _note(caller: Caller, what: str, target: str, after: dict[str, Any]) -> None:
    monitoring.audit(
        actor=caller.principal, action=f"learning.{what}", target=target, user_id=caller.user_id,
        client_id=caller.home_client_id, after=after,
    )  # fmt: skip
