"""The use case of callers: one inference request from its arrival to its answer."""
