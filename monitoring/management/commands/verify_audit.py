"""``manage.py verify_audit``: prove that the audit log is whole."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError

from monitoring import audit, checkpoints, health, verifying


class Command(BaseCommand):
    help = "Verifies the audit log: finds changed, deleted, reordered and truncated entries."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--from", type=int, default=1, metavar="SEAL", dest="first",
                            help="begin at this seal (default: the whole chain)")  # fmt: skip
        parser.add_argument("--sign-again", action="store_true",
                            help="SECRET_KEY was changed and the old one is lost: sign anew the "
                            "checkpoints that the chain bears out, on record")  # fmt: skip
        parser.add_argument("--no-payloads", action="store_true",
                            help="leave out what is kept beside the entries")  # fmt: skip
        # Each is a connection beside those of the site, and few are enough for one disk.
        parser.add_argument("--processes", type=int, default=min(4, os.cpu_count() or 1),
                            help="share a long log between so many (default: a core each, 4 at "
                            "most)")  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["sign_again"]:
                self._sign_again()
            audit.seal()
            report = verifying.verify(
                from_number=max(1, options["first"]), payloads=not options["no_payloads"],
                processes=options["processes"],
            )  # fmt: skip
            enforced = health.append_only_is_enforced()
            drops = ", ".join(f"{name}()" for name in health.functions_that_drop())
        except DatabaseError as error:
            reason = str(error).strip().splitlines()[0]
            self.stderr.write(f"verify_audit: the database does not answer: {reason}")
            sys.exit(2)
        except BrokenProcessPool:
            self.stderr.write("verify_audit: a process of the proof was ended; try --processes 1")
            sys.exit(2)
        self._tell(report, enforced, drops)

    def _sign_again(self) -> None:
        done, refused = checkpoints.sign_again()
        for name in refused:
            self.stdout.write(f"not signed: {name} is not what the chain says")
        audit.audit(actor="system:verify_audit", action="monitoring.checkpoints.signed_again",
                    after={"signed": done, "refused": refused})  # fmt: skip
        self.stdout.write(f"checkpoints: {done} signed again, {len(refused)} left")

    def _tell(self, report: verifying.Report, enforced: bool, drops: str) -> None:
        for fault in report.faults[: verifying.MOST_FAULTS]:
            where = f"entry {fault.sequence}" if fault.sequence else "log"
            self.stdout.write(f"{fault.kind}: {where} {fault.entry_id} {fault.detail}".strip())
        word = "the chain holds" if report.ok else f"{len(report.faults)} fault(s)"
        rate = report.entries / report.seconds if report.seconds else 0.0
        note = "" if enforced else "; append-only is not enforced for this database role"
        note += f", for which {drops} drops months of the log" if drops else ""
        beside = "".join(f", {count} {what}" for what, count in report.witnessed.items() if count)
        self.stdout.write(
            f"audit log: {word}; {report.entries} entries in {report.seals} seals{beside}, "
            f"{report.pending} waiting, {report.seconds:.1f} s, {rate:.0f} entries/s{note}"
        )
        if not report.ok:
            sys.exit(1)
