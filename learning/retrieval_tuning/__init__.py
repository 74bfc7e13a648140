"""Other retrieval settings for an agent: how documents are cut, how rankings are weighed.

Every configuration is indexed for real and searched by the path that serves, and scored on labelled
questions by what a context of the same length holds. 60 % of the questions choose, the rest says
what the choice is worth. What is better becomes an improvement; cuts that lost are removed.
"""

from learning.retrieval_tuning.tuning import tune, tune_by_marks

__all__ = ["tune", "tune_by_marks"]
