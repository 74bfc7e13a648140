"""Try a catalogue file's cases without a server, and print what each answered.

``python -m tests.agents.catalogue.try_cases agents/catalogue/audit.yaml [SLUG …] [--foreign] [-q]``
``--foreign`` answers with the next agent's tools instead: then every case must fail.
``-q`` leaves out the answers of cases that went as they should.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from pathlib import Path

from agents.domain.catalogue import parse_catalogue
from agents.domain.grading import grade
from agents.tools import registry
from config.errors import InvalidDocument
from tests.agents.catalogue.dry_run import entries_of, in_process, run_case


def main(arguments: list[str]) -> int:
    """Print every case; the exit code is 1 if any went otherwise than it should."""
    foreign, quiet = "--foreign" in arguments, "-q" in arguments
    paths = [Path(a) for a in arguments if a.endswith((".yaml", ".yml"))]
    slugs = {a for a in arguments if not a.startswith("-") and not a.endswith((".yaml", ".yml"))}
    declare_tools()
    total = wrong = 0
    for path in paths:
        wrong += _faults(path)
        entries = entries_of(path)
        for place, entry in enumerate(entries):
            if slugs and entry["slug"] not in slugs:
                continue
            tools = entries[(place + 1) % len(entries)].get("tools") if foreign else None
            for case in entry["cases"]:
                total += 1
                wrong += not _try(entry, case, tools, quiet=quiet)
    sys.stdout.write(f"{total} cases, {wrong} faults\n")
    return 1 if wrong else 0


def declare_tools() -> None:
    """Import every area of tools; one that is broken is told and leaves the others usable."""
    package = importlib.import_module("agents.tools")
    for module in pkgutil.iter_modules(package.__path__):
        if module.name not in registry.MACHINERY:
            try:
                importlib.import_module(f"agents.tools.{module.name}")
            except Exception as error:
                sys.stdout.write(f"agents.tools.{module.name} can't be imported: {error}\n")
    registry.discover = lambda: None  # all that can be declared is


def _faults(path: Path) -> int:
    """Print what the loader refuses in the file; how many there are."""
    try:
        parse_catalogue({path.name: path.read_text("utf-8")}, registry.names())
    except InvalidDocument as error:
        for fault in error.faults:
            where = f"line {fault['line']} {fault['path']}"
            sys.stdout.write(f"FAULT {where}: {fault['message']}\n")
        return len(error.faults)
    return 0


def _try(entry: dict, case: dict, tools: list[str] | None, *, quiet: bool) -> bool:
    title = f"{entry['slug']} · {case['name']}"
    try:
        text = run_case(entry, case["input"], in_process(), tools=tools)
        result = grade(text, case["facts"])
    except Exception:
        sys.stdout.write(f"ERROR {title}\n{traceback.format_exc()}\n")
        return False
    good = result.passed == (tools is None)
    sys.stdout.write(f"{'ok   ' if good else 'WRONG'} {title}\n")
    if tools is None:
        for missing in result.missing:
            sys.stdout.write(f"      missing: {missing}\n")
    if not (quiet and good):
        sys.stdout.write("".join(f"      | {line}\n" for line in text.splitlines()))
    return good


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
