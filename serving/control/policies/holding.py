"""The policy that a family's production is held to, when nothing is being rolled out."""

import asyncio

from serving.control.policies.parsing import parse_policy
from serving.control.policies.tracks import choose, read_tracks
from serving.core.drilling import practice_of
from serving.core.lifecycle import FamilyRecord
from serving.core.policy import Policy


async def policy_of(record: FamilyRecord) -> Policy:
    """The one that brought production there, or that its step from the version before would go by. Raises `InvalidPolicy`."""
    return await asyncio.to_thread(_policy_of, record)


def _policy_of(record: FamilyRecord) -> Policy:
    practice = practice_of(record)
    production = record.production if practice is None else practice.production
    underway = record.rollout
    if underway is not None and underway.rollout.version == str(production):
        return parse_policy(underway.policy.encode()).policy
    if production is None:
        return read_tracks()["careful"].policy
    return choose(read_tracks(), production, None if practice is None else practice.before).policy
