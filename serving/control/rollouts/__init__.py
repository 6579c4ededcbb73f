"""Rollouts as use cases: what people ask of them, and the loop that looks, decides and acts."""
