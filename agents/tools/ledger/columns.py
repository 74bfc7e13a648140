"""The header of a ledger: which column is which, under the names that exports give them."""

from __future__ import annotations

import re

from config.errors import InvalidInput

REQUIRED = (
    "line_id",
    "vendor_id",
    "vendor",
    "account_code",
    "account",
    "doc_no",
    "amount_gbp",
    "payment_date",
)
OPTIONAL = ("source_file",)

_ALIASES = {
    "line_id": ("lineid", "lineno", "linenumber", "line"),
    "vendor_id": ("vendorid", "vendorno", "vendornumber", "supplierid", "supplierno",
                  "suppliernumber"),
    "vendor": ("vendor", "vendorname", "supplier", "suppliername"),
    "account_code": ("accountcode", "accountno", "accountnumber", "costelement", "glaccount",
                     "glcode"),
    "account": ("account", "accountname", "accountdescription", "costelementname",
                "glaccountname"),
    "doc_no": ("docno", "docnumber", "documentno", "documentnumber", "sapdocumentnumber",
               "clearingdocument"),
    "amount_gbp": ("amountgbp", "amount", "amountingbp", "netamount", "netamountgbp"),
    "payment_date": ("paymentdate", "date", "datepaid", "paiddate", "clearingdate",
                     "postingdate"),
    "source_file": ("sourcefile", "source", "report"),
}  # fmt: skip


def matched(header: list[str]) -> dict[str, int]:
    """Position of each known column; a header spelled exactly wins over a variant."""
    plain = [_plain(cell) for cell in header]
    found: dict[str, int] = {}
    for column, aliases in _ALIASES.items():
        exact = [i for i, cell in enumerate(header) if cell.strip().lower() == column]
        hits = exact or [i for i, cell in enumerate(plain) if cell in aliases]
        if len(hits) > 1:
            named = ", ".join(repr(header[i].strip()) for i in hits)
            raise InvalidInput("ledger.header", named, f"several columns could be {column!r}")
        if hits:
            found[column] = hits[0]
    return found


def required(header: list[str], delimiter: str) -> dict[str, int]:
    """As ``matched``; raises InvalidInput naming what is missing and what was found."""
    found = matched(header)
    missing = [column for column in REQUIRED if column not in found]
    if missing:
        seen = ", ".join(cell.strip()[:40] for cell in header[:20])
        raise InvalidInput(
            "ledger.header",
            seen,
            f"missing column(s): {', '.join(missing)}; a ledger needs {', '.join(REQUIRED)}"
            f" (delimiter read as {delimiter!r})",
        )
    return found


def _plain(cell: str) -> str:
    return re.sub(r"[^a-z0-9]", "", cell.lower().replace("£", "gbp"))
