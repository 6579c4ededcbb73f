"""The policy that the documentation shows, to be changed by tests."""

from pathlib import Path

ROOT = Path(__file__).parents[4]
READY_MADE = ("careful", "fast", "standard")

FULL = (Path(__file__).parent / "full.yaml").read_text(encoding="utf-8")
