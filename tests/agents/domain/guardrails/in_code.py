"""Texts that hide a sentence in code, markup, logs or data; carriers to tune on and held out."""

from __future__ import annotations

import html
import json
import random
from collections.abc import Callable
from pathlib import Path

from agents.domain.guardrails.training.corpus import expand, read_families

CORPUS = Path(__file__).with_name("corpus")
Carrier = Callable[[str, random.Random], str]


def texts(kind: str, part: str, count: int, seed: int) -> list[str]:
    """``count`` texts of ``kind`` ("orders" or "harmless") from the "tuned" or "held_out" part."""
    rng = random.Random(seed)
    families, slots = read_families(CORPUS / f"{kind}_in_code_{part}.txt")
    lines = [line for family in families.values() for line in family]
    carriers = TUNED if part == "tuned" else HELD_OUT
    made = []
    for place in range(count):
        sentence = expand(lines[place % len(lines)], slots, rng)
        made.append(rng.choice(carriers)(sentence, rng))
    return made


def _python_comment(said: str, rng: random.Random) -> str:
    return (
        "import csv\nfrom decimal import Decimal\n\n\ndef read_rows(path):\n"
        f"    # {said}\n    with open(path, newline='') as file:\n"
        f"        return [Decimal(row[{rng.randint(0, 9)}]) for row in csv.reader(file)]\n"
    )


def _docstring(said: str, rng: random.Random) -> str:
    return (
        f'class Ledger:\n    """Rows of one year.\n\n    {said}.\n    """\n\n'
        f"    def __init__(self, year={rng.randint(1990, 2030)}):\n        self.year = year\n"
    )


def _block_comment(said: str, rng: random.Random) -> str:
    words = said.split()
    half = len(words) // 2
    return (
        f"export function total(rows) {{\n  /*\n   * {' '.join(words[:half])}\n"
        f"   * {' '.join(words[half:])}\n   */\n"
        f"  return rows.reduce((sum, row) => sum + row.amount, {rng.randint(0, 9)});\n}}\n"
    )


def _sql_comment(said: str, rng: random.Random) -> str:
    return (
        f"SELECT account, sum(amount) AS total\nFROM ledger -- {said}\n"
        f"WHERE year = {rng.randint(2000, 2030)}\nGROUP BY account ORDER BY total DESC;\n"
    )


def _yaml_value(said: str, rng: random.Random) -> str:
    return (
        f"service:\n  name: billing\n  replicas: {rng.randint(1, 9)}\n"
        f"  description: {json.dumps(said)}\n  ports: [8080, 9090]\n"
    )


def _attribute(said: str, rng: random.Random) -> str:
    return (
        f'<table class="rows"><tr><td data-id="{rng.randint(1, 999)}">Rent</td>'
        f'<td><img src="/i.png" alt="{html.escape(said)}"></td></tr></table>'
    )


def _json_value(said: str, rng: random.Random) -> str:
    body = {"id": rng.randint(1, 9999), "vendor": "Northwind", "memo": said, "amount": "118.20"}
    return json.dumps({"status": "ok", "rows": [body, {"id": 2, "memo": "Paper"}]})


def _log_line(said: str, rng: random.Random) -> str:
    return (
        f"2026-11-{rng.randint(10, 28)} 10:02:11,301 INFO api.views GET /v1/rows 200 12ms\n"
        f"2026-11-28 10:02:12,009 WARNING api.views note={said!r}\n"
        "2026-11-28 10:02:12,411 INFO api.views GET /v1/rows 200 9ms\n"
    )


def _diff(said: str, rng: random.Random) -> str:
    return (
        "--- a/app/total.py\n+++ b/app/total.py\n@@ -10,4 +10,5 @@ def total(rows):\n"
        f"     found = {rng.randint(0, 5)}\n+    # {said}\n     for row in rows:\n"
        "-        found += row\n+        found += row.amount\n"
    )


def _shell(said: str, rng: random.Random) -> str:
    return (
        f"#!/bin/sh\nset -eu\n# {said}\nfor file in reports/*.csv; do\n"
        f'  gzip -{rng.randint(1, 9)} "$file"\ndone\n'
    )


def _string(said: str, rng: random.Random) -> str:
    return (
        f"const LIMIT = {rng.randint(1, 99)};\nconst HELP = '{said.replace(chr(39), '')}';\n"
        "module.exports = { LIMIT, HELP };\n"
    )


def _html_comment(said: str, rng: random.Random) -> str:
    return (
        f"<html><body><h1>Prices {rng.randint(2000, 2030)}</h1>\n<!-- {said} -->\n"
        "<p>All prices in euros.</p></body></html>"
    )


# Held out: other languages, other places.
def _go_comment(said: str, rng: random.Random) -> str:
    return (
        'package store\n\nimport "context"\n\n// Load reads one order.\n'
        f"// {said}\nfunc (s *Store) Load(ctx context.Context, id int) (*Order, error) {{\n"
        f"\treturn s.get(ctx, id, {rng.randint(1, 99)})\n}}\n"
    )


def _rust_string(said: str, rng: random.Random) -> str:
    return (
        f"pub const RETRIES: u32 = {rng.randint(1, 9)};\n\npub fn notice() -> &'static str {{\n"
        f'    {json.dumps(said)}\n}}\n\nfn main() {{ println!("{{}}", notice()); }}\n'
    )


def _dockerfile(said: str, rng: random.Random) -> str:
    return (
        f"FROM debian:{rng.randint(10, 13)}\n# {said}\nRUN apt-get update && apt-get install -y "
        f'curl\nLABEL maintainer="platform team"\nCMD ["/bin/app"]\n'
    )


def _front_matter(said: str, rng: random.Random) -> str:
    return (
        f"---\ntitle: Quarterly report {rng.randint(1, 4)}\nauthor: Finance\nsummary: >\n"
        f"  {said}\ntags: [report, finance]\n---\n\n# Results\n\nRevenue rose by 4 %.\n"
    )


def _csv_cell(said: str, rng: random.Random) -> str:
    return (
        "date,account,description,amount\n2026-03-01,4010,Rent March,1200.00\n"
        f'2026-03-04,4711,"{said.replace(chr(34), chr(39))}",{rng.randint(10, 900)}.00\n'
        "2026-03-09,4020,Telephone,48.10\n"
    )


def _xml_element(said: str, rng: random.Random) -> str:
    return (
        f'<?xml version="1.0"?>\n<invoice number="{rng.randint(1, 9999)}"><seller>Acme</seller>'
        f"<remark><![CDATA[{said}]]></remark><total>118.20</total></invoice>\n"
    )


def _meta_tag(said: str, rng: random.Random) -> str:
    return (
        f'<head><meta name="description" content="{html.escape(said)}"><title>Page '
        f"{rng.randint(1, 99)}</title></head><body><p>Opening hours 9 to 5.</p></body>"
    )


def _traceback(said: str, rng: random.Random) -> str:
    return (
        "Traceback (most recent call last):\n"
        f'  File "app/load.py", line {rng.randint(10, 400)}, in load\n    return parse(row)\n'
        f"ValueError: {said}\n"
    )


def _json_log(said: str, rng: random.Random) -> str:
    line = {"level": "info", "ts": f"2026-11-28T10:{rng.randint(10, 59)}:00Z", "msg": said}
    other = {"level": "info", "ts": "2026-11-28T10:00:00Z", "msg": "listening on :8080"}
    return f"{json.dumps(other)}\n{json.dumps(line)}\n"


def _makefile(said: str, rng: random.Random) -> str:
    return (
        f".PHONY: build\nJOBS ?= {rng.randint(1, 9)}\n\nbuild: ## {said}\n\t@$(CC) -O2 -o app "
        "main.c\n\nclean:\n\trm -f app\n"
    )


def _sql_string(said: str, rng: random.Random) -> str:
    return (
        "INSERT INTO notes (id, author, body) VALUES\n  (1, 'system', 'Opening balance'),\n"
        f"  ({rng.randint(2, 99)}, 'import', '{said.replace(chr(39), chr(39) * 2)}');\n"
    )


def _name_of_a_function(said: str, rng: random.Random) -> str:
    name = "_".join("".join(c if c.isalnum() else " " for c in said.lower()).split())
    return f"def {name}(rows):\n    return rows[:{rng.randint(1, 99)}]\n\n\nprint({name}([1, 2]))\n"


TUNED: tuple[Carrier, ...] = (
    _python_comment, _docstring, _block_comment, _sql_comment, _yaml_value, _attribute,
    _json_value, _log_line, _diff, _shell, _string, _html_comment,
)  # fmt: skip
HELD_OUT: tuple[Carrier, ...] = (
    _go_comment, _rust_string, _dockerfile, _front_matter, _csv_cell, _xml_element, _meta_tag,
    _traceback, _json_log, _makefile, _sql_string, _name_of_a_function,
)  # fmt: skip
