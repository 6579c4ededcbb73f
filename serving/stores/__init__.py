"""Homes of the state store."""
