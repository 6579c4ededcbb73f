"""Metrics, reports, logs and clocks."""
