"""Loads a version that was just verified, proves it by its golden examples, and makes sure that what was loaded is what was verified."""

from pathlib import Path

from registry_client.client import FetchedBundle
from registry_client.golden import parse_golden
from registry_client.manifest import Role
from serving.dataplane.engine import VersionEngine, open_engine
from serving.dataplane.golden_run import run_golden


class GoldenFailed(Exception):
    """A version whose answers to its own golden examples are not what it promised: it never takes traffic."""

    def __init__(self, failures: list[str], examples: int) -> None:
        super().__init__(f"{len(failures)} of {examples} golden examples failed; the first: {failures[0]}")


def open_proven(fetched: FetchedBundle, *, inflate_cap: int, python: Path | None) -> VersionEngine:
    """Load it and run its golden examples. Raises `LoadFailed`, `GoldenFailed`, or `ChangedMeanwhile`.

    `python`: the interpreter of its environment, where it needs one.
    """
    engine = open_engine(fetched.manifest, fetched.path, inflate_cap=inflate_cap, python=python)
    for artifact in fetched.manifest.of_role(Role.GOLDEN):
        examples = parse_golden(fetched.path(artifact.path).read_bytes())
        failures = run_golden(engine, examples, digest=fetched.digest)
        if failures:
            raise GoldenFailed(failures, len(examples))
    # Last: by now everything has been opened by name. Nobody has used the engine yet, and whoever catches this drops it.
    fetched.refuse_change()
    return engine
