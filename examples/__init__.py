"""Two real model families to try Pointsman with: `python -m examples.train` writes every version as a bundle directory."""
