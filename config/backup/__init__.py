"""Backups of an instance: database, artifacts, audit checkpoints, and what opens them."""
