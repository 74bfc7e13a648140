"""The demo: the annual audit of the sample ledger, through the public API like anyone's."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

from config.demo import credentials
from config.demo.api import Api
from config.demo.display import display_for
from config.demo.summary import print_links, print_summary
from config.embedded import state
from config.errors import NotFound
from config.launch import BASE_DIR

LEDGER = BASE_DIR / "agents" / "tools" / "ledger" / "sample" / "gla_payments_2011_2013.csv"
INPUTS = {"client": "Greater London Authority", "year": 2012}
STARTER = "demo.professional"
APPROVERS = {"manager": "demo.manager", "partner": "demo.partner"}
FLOWER_USER = "flower"
_ENDED = frozenset({"succeeded", "failed", "cancelled"})
_LOOK_EVERY_SECONDS = 0.4
_REASONS = {
    "manager": "Read the draft and the exceptions; the work supports it.",
    "partner": "Agreed with the manager; the opinion may be issued.",
}


def run_audit(
    *,
    url: str,
    flower_url: str,
    home: Path,
    stopped: threading.Event,
    console: Console | None = None,
) -> bool:
    """Run it with live progress, print findings and links; whether it succeeded.

    Raises AppError when the instance refuses a call or nobody has credentials.
    """
    console = console or Console()
    people = credentials.read(home)
    if STARTER not in people:
        raise NotFound("demo person", STARTER)
    with ExitStack() as stack:
        starter = stack.enter_context(Api(url, people[STARTER].key))
        approvers = {
            role: stack.enter_context(Api(url, people[name].key))
            for role, name in APPROVERS.items()
        }
        run_id = starter.start("annual_audit", {**INPUTS, "ledger": starter.upload(LEDGER)})
        console.print(
            f"Auditing {LEDGER.name}, {INPUTS['year']}: {url}/dashboard/runs/{run_id}",
            soft_wrap=True,
        )
        run = _follow(starter, approvers, run_id, stopped, console)
    if run is None:
        return False
    if run["state"] == "succeeded":
        print_summary(run, ledger=LEDGER, console=console)
    else:
        error = (run.get("error") or {}).get("message", "no reason given")
        console.print(f"The audit {run['state']}: {error}", markup=False)
    print_links(
        url=url,
        flower_url=flower_url,
        run_id=run_id,
        people=people.values(),
        flower_auth=f"{FLOWER_USER}:{state.password(home, 'flower')}",
        console=console,
    )
    return bool(run["state"] == "succeeded")


def _follow(
    starter: Api,
    approvers: dict[str, Api],
    run_id: str,
    stopped: threading.Event,
    console: Console,
) -> dict[str, Any] | None:
    """Look until the run has ended, giving the approvals that it waits for; None if stopped."""
    answered: set[str] = set()
    with display_for(console) as display:
        while not stopped.wait(_LOOK_EVERY_SECONDS):
            run = starter.run(run_id)
            display.show(run)
            if run["state"] in _ENDED:
                return run
            _answer_next(approvers, run, answered, console)
    return None


def _answer_next(
    approvers: dict[str, Api], run: dict[str, Any], answered: set[str], console: Console
) -> None:
    """Give the lowest open level as the demo person of its role."""
    waiting = [approval for approval in run["approvals"] if approval["state"] == "waiting"]
    for approval in sorted(waiting, key=lambda one: one["level"])[:1]:
        role = approval["role"]
        if approval["id"] in answered or role not in approvers:
            continue
        approvers[role].approve(approval, _REASONS[role])
        answered.add(approval["id"])
        console.print(f"  approved as {role} by {APPROVERS[role]}", markup=False, highlight=False)
