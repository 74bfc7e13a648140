# ruff: noqa: E501 (sentences read better whole)
"""``make bench ONLY=alike``: how often the semantic cache finds the same question, and a wrong one.

Each group is one question in several wordings, then questions that sound like it and have another
answer. Every wording is asked after every other: a hit between two of one question is right, any
other is false. Odd groups were at hand when the telling parts were chosen, even ones were not.
Vectors are the lexical ones that an installation without an embedding model has.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

from agents.domain import lexical, likeness
from agents.domain.retrieval import DIMENSIONS

THRESHOLDS = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7)

GROUPS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("What is the VAT rate on books in Germany?", "Which VAT rate applies to books in Germany?", "VAT rate for books in Germany?"),
     ("What is the VAT rate on food in Germany?", "What is the VAT rate on books in France?", "When did the VAT rate on books in Germany change?")),
    (("How long do we have to keep invoices?", "For how long must invoices be kept?", "How long are invoices to be kept by us?"),
     ("How long do we have to keep contracts?", "How long do we have to pay invoices?", "Who has to keep invoices?")),
    (("When is the corporate tax return for 2025 due?", "What is the due date of the 2025 corporate tax return? When is it due?", "When must the corporate tax return for 2025 be filed?"),
     ("When is the corporate tax return for 2024 due?", "When is the personal tax return for 2025 due?", "Who signs the corporate tax return for 2025?")),
    (("May we deduct input tax on a company car?", "Can input tax on a company car be deducted?", "Is input tax on company cars something we may deduct?"),
     ("May we not deduct input tax on a company car?", "May we deduct output tax on a company car?", "May we deduct input tax on a company flat?")),
    (("Please explain the difference between FIFO and weighted average cost.", "Explain how FIFO differs from weighted average cost.", "Difference between FIFO and weighted average cost, please."),
     ("Please explain the difference between LIFO and weighted average cost.", "Please explain the similarity between FIFO and weighted average cost.", "Explain the tax effect of FIFO against weighted average cost.")),
    (("Which documents does the auditor need for the inventory count?", "What documents are needed by the auditor for the inventory count?", "Documents the auditor needs for the inventory count?"),
     ("Which documents does the auditor need for the cash count?", "Which documents does the client need for the inventory count?", "Which documents does the auditor need after the inventory count?")),
    (("How do I book a prepaid insurance premium?", "How should a prepaid insurance premium be booked?", "How is a prepaid insurance premium to be booked?"),
     ("How do I book an accrued insurance premium?", "How do I book a prepaid rent?", "How do I reverse a prepaid insurance premium?")),
    (("What is the depreciation period of a delivery van?", "Over which period is a delivery van depreciated?", "Depreciation period for delivery vans?"),
     ("What is the depreciation method of a delivery van?", "What is the depreciation period of a delivery bike?", "What is the resale value of a delivery van?")),
    (("Does the threshold of 10,000 EUR apply to services?", "Is the threshold of 10000 EUR applied to services?", "For services, does the 10,000 EUR threshold apply?"),
     ("Does the threshold of 100,000 EUR apply to services?", "Does the threshold of 10,000 EUR apply to goods?", "Does the threshold of 10,000 USD apply to services?")),
    (("Summarise the going concern risks of this client.", "Give a summary of this client's going concern risks.", "Going concern risks of this client, summarised."),
     ("Summarise the fraud risks of this client.", "Summarise the going concern disclosures of this client.", "List the going concern risks of all clients.")),
    (("Who approves invoices above 5,000 EUR?", "Invoices above 5,000 EUR: who approves them?", "Who has to approve invoices above 5000 EUR?"),
     ("Who approves invoices below 5,000 EUR?", "Who approves invoices above 50,000 EUR?", "When are invoices above 5,000 EUR approved?")),
    (("Is a lease of twelve months a short-term lease?", "Does a lease of twelve months count as a short-term lease?", "Would a twelve months lease be a short-term lease?"),
     ("Is a lease of thirteen months a short-term lease?", "Is a lease of twelve months a long-term lease?", "Is a lease of ten months a short-term lease?")),
    (("How much withholding tax is due on dividends to Spain?", "How much withholding tax on dividends to Spain is due?", "Dividends to Spain: how much withholding tax?"),
     ("How much withholding tax is due on dividends from Spain?", "How much withholding tax is due on interest to Spain?", "How much withholding tax is due on dividends to Italy?")),
    (("Draft a reminder to a customer whose invoice is 30 days late.", "Write a reminder to a customer whose invoice is 30 days late.", "A reminder to a customer with an invoice 30 days late, please draft it."),
     ("Draft a reminder to a customer whose invoice is 60 days late.", "Draft a reminder to a supplier whose invoice is 30 days late.", "Draft an apology to a customer whose invoice is 30 days late.")),
    (("What is materiality for an audit with revenue of 4 million?", "With revenue of 4 million, what is materiality for an audit?", "Materiality for an audit with a revenue of 4 million?"),
     ("What is materiality for an audit with revenue of 40 million?", "What is materiality for an audit with profit of 4 million?", "What is materiality for a review with revenue of 4 million?")),
    (("Are gifts to employees taxable?", "Is a gift to an employee taxable?", "Gifts given to employees: are they taxable?"),
     ("Are gifts to customers taxable?", "Are gifts from employees taxable?", "Are gifts to employees not taxable?")),
    (("How do we reconcile the bank statement of March?", "How is the bank statement of March reconciled?", "Reconciling the March bank statement, how do we do it?"),
     ("How do we reconcile the bank statement of May?", "How do we reconcile the card statement of March?", "How do we export the bank statement of March?")),
    (("Which clients have overdue filings this quarter?", "Clients with overdue filings this quarter?", "This quarter, which clients have overdue filings?"),
     ("Which clients have overdue filings last quarter?", "Which clients have overdue payments this quarter?", "Which clients have no overdue filings this quarter?")),
    (("What changed in IFRS 16 for lessees?", "What are the changes for lessees in IFRS 16?", "Changes in IFRS 16 for lessees?"),
     ("What changed in IFRS 15 for lessees?", "What changed in IFRS 16 for lessors?", "Why did IFRS 16 change for lessees?")),
    (("Can a director be removed without a meeting?", "Is it possible to remove a director without a meeting?", "Without a meeting, can a director be removed?"),
     ("Can a director be appointed without a meeting?", "Can a director be removed at a meeting?", "Can a secretary be removed without a meeting?")),
)  # fmt: skip


def run() -> dict[str, dict[str, Any]]:
    """Figures in the shape of ``benchmarks.json``: of the groups that nothing was chosen by."""
    print("threshold  groups   right hits      false hits      false, by nearness alone")
    found = {}
    for threshold in THRESHOLDS:
        for name, groups in (("odd", GROUPS[::2]), ("even", GROUPS[1::2])):
            right, pairs, false, others, plain = measured(groups, threshold)
            print(f"{threshold:8.2f}   {name:6} {right:4} of {pairs:4}    {false:4} of {others:5}    "
                  f"{plain:4} of {others:5}")  # fmt: skip
            if name == "even":
                found[f"alike.false_ratio_at_{threshold}"] = row(
                    false / max(1, false + right), True
                )
                found[f"alike.right_ratio_at_{threshold}"] = row(right / pairs, False)
    return found


def measured(groups: Any, threshold: float) -> tuple[int, int, int, int, int]:
    """Right hits and pairs of one question; false hits and other pairs; false without the parts."""
    right = pairs = false = others = plain = 0
    asked = [(number, is_same, text) for number, (same, near) in enumerate(groups)
             for is_same, texts in ((True, same), (False, near)) for text in texts]  # fmt: skip
    vectors = {text: lexical.embed(text, DIMENSIONS) for _, _, text in asked}
    for (a, a_same, one), (b, b_same, other) in combinations(asked, 2):
        near = sum(x * y for x, y in zip(vectors[one], vectors[other], strict=True)) >= threshold
        hit = near and likeness.telling(one) == likeness.telling(other)
        if a == b and a_same and b_same:
            pairs, right = pairs + 1, right + hit
        else:
            others, false, plain = others + 1, false + hit, plain + near
    return right, pairs, false, others, plain


def row(value: float, lower: bool) -> dict[str, Any]:
    return {"value": round(value, 4), "unit": "ratio", "lower_is_better": lower, "peers": {},
            "spread": [round(value, 4)] * 2}  # fmt: skip
