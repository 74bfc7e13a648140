"""Tests on journal entries (ISA 240.33): one module per kind, one ranked list over all."""
