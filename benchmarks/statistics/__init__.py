"""Simulations of the statistics that judge canaries: how many requests they need, and how often they cry wolf."""
