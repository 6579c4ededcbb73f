"""Rollouts against a real installation with a candidate that turns bad in a way of its own, at a moment that is known."""
