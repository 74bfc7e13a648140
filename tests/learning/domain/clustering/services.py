"""Failure messages as services write them, each with the number of the template that made it."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable
from pathlib import Path

import yaml

WORDS = [
    "orders", "invoices", "ledger", "clients", "postings",
    "audit_log", "sessions", "payroll_runs", "tax_codes", "users",
]  # fmt: skip
NAMES = [
    "billing", "search", "checkout", "gateway", "ingest",
    "mailer", "reports", "auth", "scheduler", "webhooks",
]  # fmt: skip
PEOPLE = [
    "maria.lopez", "j.smith", "anna", "k.o-brien",
    "li.wei", "tom+news", "hans_peter", "fatima",
]  # fmt: skip
HOSTS = [
    "example.com", "mail.acme.co.uk", "corp.internal",
    "kanzlei-nord.de", "gmail.com", "outlook.com",
]  # fmt: skip
PODS = "bcdfghjklmnpqrstvwxz2456789"
Draw = random.Random


def drawn(r: Draw, signs: str, count: int) -> str:
    return "".join(r.choices(signs, k=count))


KINDS: dict[str, Callable[[Draw], str]] = {
    "int": lambda r: str(r.randrange(1, 10 ** r.randrange(1, 7))),
    "port": lambda r: str(r.randrange(1024, 65536)),
    "ms": lambda r: r.choice([f"{r.uniform(0.1, 9000):.3f} ms", f"{r.uniform(1, 90):.2f} ms"]),
    "dur": lambda r: r.choice(
        [
            f"{r.randrange(1, 60)}s",
            f"{r.randrange(1, 9)}m{r.randrange(60)}s",
            f"{r.randrange(999)}ms",
            f"{r.uniform(0, 9):.3f}s",
        ]
    ),
    "ip": lambda r: ".".join(str(r.randrange(1, 255)) for _ in range(4)),
    "ip6": lambda r: r.choice(
        [
            f"2001:db8::{r.randrange(16**4):x}",
            f"fe80::{r.randrange(16**4):x}:{r.randrange(16**4):x}",
        ]
    ),
    "uuid": lambda r: str(uuid.UUID(int=r.getrandbits(128))),
    "hex8": lambda r: f"{r.getrandbits(32):08x}",
    "hex40": lambda r: f"{r.getrandbits(160):040x}",
    "hex64": lambda r: f"{r.getrandbits(256):064x}",
    "ptr": lambda r: f"0x{r.getrandbits(44):x}",
    "lsn": lambda r: f"{r.randrange(256):X}/{r.getrandbits(32):X}",
    "table": lambda r: r.choice(WORDS),
    "service": lambda r: r.choice(NAMES),
    "pod": lambda r: f"{r.choice(NAMES)}-{r.getrandbits(36):09x}-" + drawn(r, PODS, 5),
    "node": lambda r: r.choice(
        [
            f"ip-10-0-{r.randrange(255)}-{r.randrange(255)}.eu-west-1.compute.internal",
            f"gke-prod-pool-{r.randrange(9)}-{r.getrandbits(32):08x}-{drawn(r, 'abcdxyz', 4)}",
            f"worker{r.randrange(40)}",
        ]
    ),
    "host": lambda r: r.choice(
        [
            f"{r.choice(NAMES)}{r.randrange(1, 20)}.prod.{r.choice(HOSTS)}",
            f"{r.choice(NAMES)}.svc.cluster.local",
        ]
    ),
    "domain": lambda r: r.choice(HOSTS),
    "mail": lambda r: f"{r.choice(PEOPLE)}@{r.choice(HOSTS)}",
    "version": lambda r: (
        r.choice(["v", ""])
        + f"{r.randrange(9)}.{r.randrange(30)}.{r.randrange(20)}"
        + r.choice(["", "", "-rc1", "-alpine", "+build.7"])
    ),
    "stamp": lambda r: (
        f"2026-{r.randrange(1, 13):02}-{r.randrange(1, 29):02}"
        f"T{r.randrange(24):02}:{r.randrange(60):02}:{r.randrange(60):02}Z"
    ),
    "pgtime": lambda r: (
        f"2026-{r.randrange(1, 13):02}-{r.randrange(1, 29):02}"
        f" {r.randrange(24):02}:{r.randrange(60):02}:{r.randrange(60):02} UTC"
    ),
    "path": lambda r: (
        r.choice(["/var/lib", "/srv/app", "/opt", "/home/ci", "/tmp"])
        + "".join(f"/{r.choice(WORDS + NAMES)}" for _ in range(r.randrange(1, 4)))
        + r.choice(["", ".py", ".json", ".log", f".{r.randrange(9)}"])
    ),
    "url": lambda r: (
        f"/api/v{r.randrange(1, 4)}/{r.choice(WORDS)}"
        + r.choice(
            [
                "",
                f"/{r.randrange(10**5)}",
                f"/{uuid.UUID(int=r.getrandbits(128))}",
                f"?page={r.randrange(40)}&size={r.randrange(100)}",
            ]
        )
    ),
    "method": lambda r: r.choice(["GET", "POST", "PUT", "DELETE", "PATCH"]),
    "bytes": lambda r: r.choice(
        [f"{r.randrange(1, 1024)} MiB", f"{r.uniform(1, 64):.1f} GB", f"{r.randrange(10**8)} bytes"]
    ),
    "mem": lambda r: r.choice(
        [f"{r.randrange(64, 4096)}Mi", f"{r.randrange(1, 32)}Gi", f"{r.randrange(10**6, 10**8)}Ki"]
    ),
    "pct": lambda r: f"{r.randrange(101)}%",
    "model": lambda r: r.choice(
        [
            "gpt-4o",
            "gpt-4.1-mini",
            "o3-pro-2026-01-11",
            "claude-sonnet-4-5",
            "llama-3.1-70b-instruct",
        ]
    ),
    "req": lambda r: "req_" + "".join(r.choices("0123456789abcdefABCDEFXYZ", k=r.choice([14, 24]))),
    "pi": lambda r: "pi_" + "".join(r.choices("0123456789ABCDEFGHIabcdefghi", k=24)),
    "cus": lambda r: "cus_" + "".join(r.choices("0123456789ABCDEFGHIabcdefghi", k=14)),
    "price": lambda r: "price_1" + "".join(r.choices("0123456789ABCDEFGHIabcdefghi", k=23)),
    "money": lambda r: r.choice(
        [
            f"{r.randrange(1, 9999)}.{r.randrange(100):02} EUR",
            f"${r.randrange(1, 999)}.{r.randrange(100):02}",
        ]
    ),
    "bucket": lambda r: f"{r.choice(NAMES)}-{r.choice(['prod', 'staging', 'eu-west-1'])}",
    "arn": lambda r: (
        f"arn:aws:{r.choice(['iam', 'sqs', 's3', 'lambda'])}:eu-west-{r.randrange(1, 4)}"
        f":{r.randrange(10**11, 10**12)}:{r.choice(['role', 'queue'])}/{r.choice(NAMES)}"
    ),
    "aws64": lambda r: "".join(r.choices("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=16)),
    "json": lambda r: r.choice(
        [
            f'{{"id": {r.randrange(10**4)}, "state": "{r.choice(WORDS)}"}}',
            f'{{"{r.choice(WORDS)}": {{"count": {r.randrange(10**4)}}}}}',
        ]
    ),
    "cls": lambda r: (
        "com."
        + r.choice(["acme", "ratchet", "kanzlei"])
        + "."
        + r.choice(NAMES)
        + "."
        + r.choice(["OrderService", "LedgerRepository", "TaxClient", "MailSender", "AuditWriter"])
    ),
    "line": lambda r: str(r.randrange(10, 900)),
    "thread": lambda r: r.choice(
        [
            f"pool-{r.randrange(9)}-thread-{r.randrange(40)}",
            f"http-nio-8080-exec-{r.randrange(200)}",
            f"ForkJoinPool.commonPool-worker-{r.randrange(9)}",
        ]
    ),
    "topic": lambda r: f"{r.choice(WORDS)}.v{r.randrange(1, 4)}-{r.randrange(12)}",
    "queueid": lambda r: r.choice(
        [
            "".join(r.choices("0123456789ABCDEF", k=r.choice([10, 11]))),
            "4" + "".join(r.choices("bcdfghBCDFGHJKLMxyz0123456789", k=13)),
        ]
    ),
    "mtaid": lambda r: (
        "".join(r.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=r.choice([12, 20])))
        + f".{r.randrange(500)} - gsmtp"
    ),
    "unit": lambda r: (
        r.choice(NAMES) + r.choice([".service", f"@{r.randrange(9)}.service", "-backup.timer"])
    ),
    "pid": lambda r: str(r.randrange(100, 99999)),
    "branch": lambda r: r.choice(
        [
            f"feature/{r.choice(NAMES)}-{r.randrange(999)}",
            "main",
            f"release/{r.randrange(9)}.{r.randrange(20)}",
            f"fix-{r.choice(WORDS)}",
        ]
    ),
    "image": lambda r: (
        r.choice(["ghcr.io/acme", "registry.corp.internal:5000/team", "docker.io/library"])
        + f"/{r.choice(NAMES)}:"
        + r.choice(
            ["latest", f"1.{r.randrange(40)}.{r.randrange(9)}", f"sha-{r.getrandbits(28):07x}"]
        )
    ),
    "col": lambda r: r.choice(["amount", "client_id", "posted_at", "iban", "vat_rate", "email"]),
    "text": lambda r: r.choice(
        ["foo", "n/a", "12,50", "31.02.2026", "O'Brien", "total due", "-", "Müller & Söhne", "NULL"]
    ),
    "user": lambda r: r.choice(
        ["app", "reporting_ro", "postgres", "svc_billing", "root", "deploy"]
    ),
}
FAMILIES: dict[str, list[str]] = {
    family: lines.splitlines()
    for family, lines in yaml.safe_load(
        (Path(__file__).parents[1] / "data" / "services.yaml").read_text(encoding="utf-8")
    ).items()
}
HOLE = re.compile(r"\{\{|\}\}|\{(\w+)\}")


def filled(template: str, draw: Draw) -> str:
    """The template with each hole drawn anew; a doubled brace is one."""
    return HOLE.sub(lambda m: KINDS[m[1]](draw) if m[1] else m[0][0], template)


def messages(family: str, count: int, seed: int) -> tuple[list[str], list[int]]:
    """``count`` messages, some templates often and some seldom (Zipf), and which one made each."""
    draw = random.Random(seed)
    lines = FAMILIES[family]
    weights = [1 / (1 + place) for place in range(len(lines))]
    draw.shuffle(weights)
    truth = draw.choices(range(len(lines)), weights, k=count)
    return [filled(lines[one], draw) for one in truth], truth
