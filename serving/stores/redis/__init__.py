"""The state store in Redis, for installations of several nodes."""
