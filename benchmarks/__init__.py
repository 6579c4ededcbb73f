"""Pointsman side by side with its peers: one command, one run, one machine. `python -m benchmarks --help`."""
