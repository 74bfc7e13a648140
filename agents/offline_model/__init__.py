"""The offline model: an OpenAI-protocol server that answers without any network.

It is deterministic, calls the tools that it is given and writes from their results. It knows
nothing of accounting. Nothing else may read its behaviour profile: that is the truth which
simulations must find out.
"""
