"""Causal, streaming anomaly detection for operational series."""
