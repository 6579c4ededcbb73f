"""The word for an address that every node of a cluster has another of."""

NODE = "node"
"""Instead of an address: that of the node that a process runs on, as the other nodes know it."""
