"""Handwritten digits, 8 by 8 pixels: one good succession of versions and two that look good and are not."""
