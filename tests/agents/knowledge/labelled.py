"""A small labelled set of our own: notes of a firm, and questions with words of their answers."""

from __future__ import annotations

NOTES = {
    "Leases manual": """# Leases
## Recognition
At the commencement date the lessee recognises a right-of-use asset and a liability. The liability
is the present value of the payments that are still to be made, discounted with the rate implicit
in the contract, or with the incremental borrowing rate where the former can't be determined.
## Exemptions
Contracts of twelve months or less may stay off the balance sheet. So may items of low value, such
as tablets, small furniture and telephones. The choice for short contracts is made by class of
asset, the choice for low value contract by contract.
## Changes
When payments change with an index, the liability is measured anew with the unchanged rate. When
the term changes, a revised rate is used. The other side of the entry goes to the asset.
## Disclosure
The notes show a maturity analysis, the expense of exempt contracts, and the total cash outflow.
""",
    "Revenue manual": """# Revenue
## Steps
Find the contract, its promises, the price, the share of each promise, and the moment of transfer.
## Variable consideration
Bonuses and penalties are estimated by the expected value or by the most likely amount, and counted
only as far as a later reversal is highly improbable. Sales-based royalties wait for the sale.
## Warranties
A warranty that only assures the agreed quality is a provision. One that the customer can buy
separately is a promise of its own and takes its share of the price.
## Principal or agent
Who controls the goods before they pass on shows the gross amount; who arranges shows the fee.
""",
    "Stock manual": """# Inventories
## Cost
Cost has purchase price, duties, transport and conversion. Storage, selling and abnormal waste are
left out. Fixed overheads are spread over normal capacity, not over what was really made.
## Formulas
First-in first-out or the weighted average; last-in first-out is not allowed.
## Write-down
Items are carried at cost or at what they will fetch less the costs of selling, whichever is lower.
A write-down is taken back when the reason is gone, at most up to the original cost.
## Counting
A count is attended where stock is material. Cut-off is tested with the last goods received notes.
""",
    "Onboarding manual": """# New clients
## Identity
A person shows a passport or an identity card. A company gives an extract of the register that is
not older than three months, and names everybody who holds more than a quarter of it.
## Politically exposed persons
Senior management agrees before the relation begins, the source of wealth is recorded, and the file
is looked at every year.
## Keeping
Copies are kept for five years after the relation has ended, then they are destroyed.
## Suspicion
A report goes to the nominated officer the same day. Nobody tells the client about it.
""",
    "Travel policy": """# Travel
## Trains and flights
Trains under four hours are preferred. Business class is for flights over eight hours.
## Hotels
A night costs at most 160 euros, in capitals 210 euros. Breakfast is part of it.
## Expenses
Receipts are handed in within thirty days. Mileage is paid at 42 cents a kilometre.
""",
}

# question, the words that only the answering passage has
QUESTIONS = (
    ("Which discount rate do we use if the implicit one is unknown?", "incremental borrowing rate"),
    ("Can we leave a lease for a year off the balance sheet?", "twelve months or less"),
    ("Are phones and tablets exempt from lease accounting?", "tablets, small furniture"),
    ("Do we revise the rate when the lease term changes?", "a revised rate is used"),
    ("What must the notes on leases disclose?", "maturity analysis"),
    ("How are bonuses and penalties in a contract estimated?", "most likely amount"),
    ("When are royalties on sales recognised?", "wait for the sale"),
    ("Is a separately bought warranty a promise of its own?", "takes its share of the price"),
    ("Do we show gross revenue when we only arrange the sale?", "arranges shows the fee"),
    ("Which costs are left out of the cost of stock?", "abnormal waste"),
    ("May we use LIFO, last in first out?", "is not allowed"),
    ("Can a write-down of inventory be reversed?", "up to the original cost"),
    ("How is cut-off tested at a stock count?", "goods received notes"),
    ("How old may a company's register extract be?", "three months"),
    ("Who approves a politically exposed person?", "Senior management agrees"),
    ("How long do we keep copies of identity documents?", "five years"),
    ("May we tell a client about a suspicious report?", "Nobody tells the client"),
    ("What may a hotel in a capital cost?", "210 euros"),
    ("How much is paid for a kilometre by car?", "42 cents"),
    ("When is business class allowed?", "over eight hours"),
)
