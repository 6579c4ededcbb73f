"""Pointsman: a model-serving gateway with version routing built in."""
