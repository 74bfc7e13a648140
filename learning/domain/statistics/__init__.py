"""Comparing arms from sufficient statistics. Pure: rows, time and randomness are arguments."""
