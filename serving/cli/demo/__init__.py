"""`pointsman demo`: a real installation under real traffic, from the first version to an automatic rollback, in about a minute."""

from serving.cli.demo.walk import run

__all__ = ["run"]
