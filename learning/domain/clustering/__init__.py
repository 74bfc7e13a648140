"""Failures and comments grouped: message templates, text similarity, ids that stay."""
