"""Proposals by rule: from patterns, drift, slow tools and costs of one agent.

``change`` says only what is to be done, never how often or how much: a proposal that was refused
must be recognised next week, when the figures are others.
"""

from learning.domain.proposals.facts import MIN_COMPLAINTS, Facts, Proposal
from learning.domain.proposals.rules import LIGHTER, propose
from learning.domain.proposals.tools import MIN_PEOPLE, change_of

__all__ = ["LIGHTER", "MIN_COMPLAINTS", "MIN_PEOPLE", "Facts", "Proposal", "change_of", "propose"]
