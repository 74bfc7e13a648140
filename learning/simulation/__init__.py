"""The whole loop against a known truth: real versions, calls, scores, experiments and rollouts.

Nothing here knows the truth: the offline model's process acts it out, and tells it at the end.
"""
