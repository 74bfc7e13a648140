# ruff: noqa: E501 (tables and templates read better whole)
"""Generated personal data with valid check digits, and machine text that holds none."""

from __future__ import annotations

import random
import uuid

import phonenumbers
from phonenumbers import PhoneNumberFormat as Format
from stdnum import iban, luhn
from stdnum.iso7064 import mod_97_10

REGIONS = "US GB DE FR ES IT NL PL PT SE DK NO FI CH AT BE IE CZ GR AU IN JP BR".split()
FRAMES = [
    "Please reach me at {} tomorrow.",
    "My number is {}, thanks.",
    "{} is where the courier called.",
    "You can find the contact, {}, in the attachment.",
    "Kontakt: {}",
    "We met her yesterday ({}) and she agreed.",
    "Update the record to {} please",
]


def digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def card(rng: random.Random) -> str:
    """A card number in one of the usual notations."""
    prefix, length = rng.choice(
        [("4", 16), ("51", 16), ("2221", 16), ("34", 15), ("37", 15), ("6011", 16), ("3528", 16),
         ("36", 14), ("5018", 16), ("62", 16), ("4", 19), ("4", 13)]
    )  # fmt: skip
    body = prefix + digits(rng, length - len(prefix) - 1)
    number = body + luhn.calc_check_digit(body)
    separator = rng.choice(["", " ", "-", "\u00a0", "."])
    sizes = {15: (4, 6, 5), 14: (4, 6, 4), 19: (4, 4, 4, 4, 3), 13: (13,)}.get(length, (4, 4, 4, 4))
    parts, at = [], 0
    for size in sizes:
        parts.append(number[at : at + size])
        at += size
    shown = separator.join(parts)
    return full_width(shown) if rng.random() < 0.1 else shown


def full_width(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if c.isdigit() else c for c in text)


def iban_number(rng: random.Random) -> str:
    country, length = rng.choice([("DE", 18), ("FR", 23), ("ES", 20), ("NL", 0), ("GB", 0), ("BE", 12), ("AT", 16), ("PT", 21), ("PL", 24)])  # fmt: skip
    bban = {"NL": "ABNA" + digits(rng, 10), "GB": "WEST" + digits(rng, 14)}.get(
        country, digits(rng, length)
    )
    for check in range(2, 99):
        number = f"{country}{check:02d}{bban}"
        if mod_97_10.is_valid(number[4:] + number[:4]):
            break
    style = rng.randrange(4)
    if style == 0:
        return iban.format(number)
    if style == 1:
        return "-".join(number[i : i + 4] for i in range(0, len(number), 4))
    return number.lower() if style == 2 else number


def ssn(rng: random.Random) -> str:
    area = rng.choice([n for n in range(1, 900) if n != 666])
    group, serial = rng.randint(1, 99), rng.randint(1, 9999)
    sign = rng.choice(["-", "-", " ", "."])
    return f"{area:03d}{sign}{group:02d}{sign}{serial:04d}"


def email(rng: random.Random) -> str:
    name = rng.choice(["anna", "j.smith", "o'neill", "maria_keller", "info+tax", "ünal", "x"])
    host = rng.choice(
        ["example.com", "mail.example.co.uk", "firma-gmbh.example", "sub.a.example.org"]
    )
    return f"{name}@{host}"


def phone(rng: random.Random, region: str) -> tuple[str, str]:
    """A valid number of ``region`` and how it is written: "national" or "international"."""
    kind = rng.choice(
        [phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE]
    )
    example = phonenumbers.example_number_for_type(region, kind)
    for _ in range(60):
        own = str(example.national_number)
        changed = own[: len(own) // 2] + digits(rng, len(own) - len(own) // 2)
        number = phonenumbers.PhoneNumber(
            country_code=example.country_code,
            national_number=int(changed),
            italian_leading_zero=example.italian_leading_zero,
        )
        if phonenumbers.is_valid_number_for_region(number, region):
            break
    else:
        number = example
    shape = rng.randrange(5)
    if shape == 0:
        return phonenumbers.format_number(number, Format.INTERNATIONAL), "international"
    if shape == 1:
        return phonenumbers.format_number(number, Format.E164), "international"
    national = phonenumbers.format_number(number, Format.NATIONAL)
    if shape == 2:
        return national.replace(" ", rng.choice(["-", ".", " "])), "national"
    return national, "national"


def log_line(rng: random.Random) -> str:
    """A line as machines write them, without personal data."""
    day = f"2024-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    clock = f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}"
    ident = uuid.UUID(int=rng.getrandbits(128), version=4)
    n = rng.randint(1_000_000, 9_999_999_999)
    return rng.choice(
        [
            f"{day}T{clock}.{rng.randint(0, 999):03d}Z INFO [worker-{rng.randint(1, 9)}] request_id={ident} status=200 bytes={n} took={rng.randint(1, 9999)}ms",
            f"{day} {clock},{rng.randint(0, 999):03d} ERROR app.db.pool Connection 0x{rng.getrandbits(48):012x} timed out after 30000 ms (attempt 3/5)",
            f"[{clock}] build 4.{rng.randint(0, 99)}.{n % 10000}.{rng.randint(0, 99)} commit {rng.getrandbits(160):040x}",
            f"{rng.randint(1_600_000_000, 1_800_000_000)}.{rng.randint(0, 999999):06d} TRACE span={rng.getrandbits(64):016x} parent={rng.getrandbits(64):016x} seq={n}",
            f'{{"ts": {rng.randint(1_600_000_000_000, 1_800_000_000_000)}, "level": "warn", "order_id": {n}, "sku": "{rng.randint(100, 999)}-{rng.randint(10, 99)}-X", "total": {n / 100:.2f}}}',
            f"Jan {rng.randint(1, 28)} {clock} host-{rng.randint(1, 20)} kernel: [{n / 1000:.6f}] usb {rng.randint(1, 9)}-{rng.randint(1, 9)}: new device number {rng.randint(1, 99)}",
            f"Posted document {rng.randint(5_100_000_000, 5_199_999_999)} vendor {rng.randint(10_000_000, 18_000_000)} amount {n / 100:,.2f} GBP on {day}",
            f"Journal {rng.randint(10**9, 10**10)} line {rng.randint(1, 999)}: debit 1200 {n / 100:.2f}, credit 4400 {n / 100:.2f}, period {rng.randint(1, 12)}/2024",
            f"GET /api/v1/invoices/{n}?page={rng.randint(1, 99)} 200 {rng.randint(100, 99999)} \"Mozilla/5.0 Chrome/{rng.randint(90, 130)}.0.{n % 10000}.{rng.randint(0, 200)}\"",
            f"batch {rng.randint(100000, 999999)} rows {n} checksum {rng.getrandbits(128):032x} epoch {rng.randint(1_600_000_000, 1_800_000_000)}",
            f"Invoice INV-2024-{n} PO {rng.randint(4_500_000_000, 4_599_999_999)} due {day} total EUR {n / 100:.2f}",
            f"Order {n} shipped, tracking 1Z{rng.getrandbits(56):014X}, weight {rng.randint(1, 99)}.{rng.randint(0, 9)} kg, serial {n}{rng.randint(1000, 9999)}",
        ]
    )  # fmt: skip
