"""Measurements; run with ``make bench``. Results are in RESULTS.md."""
