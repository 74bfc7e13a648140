"""Guardrails: pure checks of what goes into a model and what comes out.

``pipeline.scan`` runs the input checks in order (injection, PII, secrets) and returns a value;
``output.check_output`` judges an answer; ``redact.redact`` masks text for logs and traces.
Nothing here does I/O, and nothing here claims to catch everything: see the reference page.
"""
