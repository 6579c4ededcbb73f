"""How rollback is practised in a family: past drills and their trend, when the next is due, and what is wrong with it."""

from dataclasses import dataclass
from typing import Protocol

from serving.control.families import ReadsFamilies
from serving.control.policies.holding import HeldPolicies
from serving.core.drilling import practice_of
from serving.core.drills import (
    Drilling,
    DrillResult,
    Due,
    Practice,
    Trend,
    caught_trend_of,
    complaints,
    due,
    obstacles,
    rehearsal_complaints,
    trend_of,
)
from serving.core.policy import Drill, Policy
from serving.core.quiet import Profile, Window, quietest
from serving.ports import Clock


class Profiles(Protocol):
    """What is known of when families have how much traffic."""

    async def profile(self, family: str) -> Profile:
        """An empty one where nothing is known."""
        ...


@dataclass(frozen=True, slots=True)
class DrillStanding:
    """How rollback is practised in a family."""

    family: str
    under_way: Drilling | None
    results: tuple[DrillResult, ...]
    trend: Trend
    caught: Trend
    """Of made-up bad versions."""
    due: Due | None
    """None where the policy has no drills, or there is no way back to practise."""
    windows: tuple[Window, ...]
    """When it is held; none while nobody knows when there is the least traffic."""
    complaints: tuple[str, ...]


class DrillBook:
    """Looks, and changes nothing."""

    def __init__(self, families: ReadsFamilies, policies: HeldPolicies, profiles: Profiles, clock: Clock) -> None:
        self._families = families
        self._policies = policies
        self._profiles = profiles
        self._clock = clock

    async def standing(self, family: str) -> DrillStanding:
        """How it stands now. Raises what reading the family does, and `InvalidPolicy`."""
        record = await self._families.read(family)
        drill, practice = (await self._policies.of(record)).policy.drill, practice_of(record)
        scheduled = None if drill is None or practice is None else (drill, practice)
        return DrillStanding(
            family=family,
            under_way=record.drill,
            results=record.drills,
            trend=trend_of(record.drills),
            caught=caught_trend_of(record.drills),
            due=None if scheduled is None else due(*scheduled),
            windows=() if drill is None else windows_of(drill, await self._profiles.profile(family)),
            complaints=(
                *(() if scheduled is None else complaints(*scheduled, self._clock.now())),
                *(() if drill is None else rehearsal_complaints(drill, record.drills)),
            ),
        )

    async def hindrances(self, family: str, policy: Policy) -> tuple[str, ...]:
        """What stands in the way of a rollout's start by this policy."""
        record = await self._families.read(family)
        practice: Practice | None = practice_of(record)
        if record.drill is not None:
            return (f"a drill of {record.drill.version} is under way",)
        return () if policy.drill is None or practice is None else obstacles(policy.drill, practice, self._clock.now())


def windows_of(drill: Drill, profile: Profile) -> tuple[Window, ...]:
    """When the drills of a family are held: as the policy says, or when there is the least traffic."""
    return (Window(*drill.window),) if drill.window is not None else quietest(profile)
