"""Whole rollouts, simulated by the thousand: what is real and what is made up is said in each module."""
