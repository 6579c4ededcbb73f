"""What a scenario is: a name, the promise it belongs to, and a function that makes it happen and gives figures with their bounds."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TypeVar, cast

from benchmarks.chaos import Figure


class Full(IntEnum):
    """How much of everything a full run has."""

    STORM_FLIPS = 100_000
    ANSWERS = 1_000_000
    STREAM_FLIPS = 1_000
    PROPAGATED_FLIPS = 300
    POLLED_FLIPS = 100
    """They take a second each."""
    OUTAGES = 10
    """Of each kind."""
    ROLLBACKS = 100
    KILLS = 100
    TAMPERINGS = 1_000
    MUTATIONS = 10_000
    BLIND_ROLLOUTS = 1_050
    IDENTICAL_ROLLOUTS = 200


Site = TypeVar("Site")


class Scenery:
    """What stands since the scenario before: those that need the same installation one after the other do not start it anew."""

    def __init__(self) -> None:
        self._name = ""
        self._site: object = None
        self._stack = ExitStack()

    def of(self, name: str, make: Callable[[Path], AbstractContextManager[Site]]) -> Site:
        """The site of that name, made in a folder of its own when another stands or none."""
        if name != self._name:
            self.clear()
            folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="chaos-site-")))
            self._site, self._name = self._stack.enter_context(make(folder)), name
        return cast("Site", self._site)  # whoever names a site makes it, and so knows its type

    def clear(self) -> None:
        """Take down what stands."""
        self._stack.close()
        self._name, self._site = "", None


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a scenario is played: a seed, a folder of its own, and whether only a glance is asked for."""

    seed: int
    folder: Path
    is_quick: bool = False
    scenery: Scenery = field(default_factory=Scenery)
    notes: list[str] = field(default_factory=list[str])
    """What a missed figure looks like."""

    @property
    def dice(self) -> Random:
        """The scenario's dice, the same for the same seed."""
        return Random(self.seed)

    def size(self, full: Full, quick: int) -> int:
        """How much of something."""
        return quick if self.is_quick else int(full)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing that goes wrong, with what must hold all the same."""

    promise: str
    name: str
    play: Callable[[Stage], Sequence[Figure]]
    needs: Callable[[], str] = lambda: ""
    """Why it cannot be played here; empty when it can."""


def needs_root() -> str:
    """For scenarios that mount a file system."""
    return "" if os.geteuid() == 0 else "only root can mount a file system"
