"""How often the lease of a canary is renewed, and how long a change of the leader may keep it from being so."""

RENEWALS = 3
"""Tries inside one lease, so that a lost one costs nothing."""

TAKEOVER_S = 6.0
"""What a change of leader may take until gateways see a renewal: the leader's lease of 3 s, a second until another has it, and a second
each for its first look at the rollouts and the gateways' next look at the store."""
