"""Which policy a family is under: the one that its next rollout would go by, and why that one, and the one that is pinned now."""

from dataclasses import dataclass

from registry_client.versions import Bump, ModelVersion
from serving.control.policies.home import PolicyHome
from serving.control.policies.tracks import Chosen
from serving.core.lifecycle import FamilyRecord
from serving.core.underway import Underway

FIRST = ModelVersion.parse("1.0.0")
"""Of a family without a version in production: any first version is a MAJOR step."""


@dataclass(frozen=True, slots=True)
class PolicyView:
    """The policies of a family. `version`: the candidate that the next one is chosen for; `pinned`: the rollout that is held to one now."""

    family: str
    version: ModelVersion
    chosen: Chosen
    pinned: Underway | None


async def policy_view(home: PolicyHome, record: FamilyRecord, version: ModelVersion | None) -> PolicyView:
    """The policies of a family; without a version, for the one tagged `candidate`, or else for a MINOR step. Raises `InvalidPolicy`."""
    production, underway = record.production, record.rollout
    candidate = version or record.candidate or (FIRST if production is None else ModelVersion.parse(production.after(Bump.MINOR)))
    chosen = await home.usual(record.family, candidate, production)
    return PolicyView(record.family, candidate, chosen, underway if underway is not None and underway.is_watched else None)
