"""The route of policies: which one a family's next rollout would be under and why, and which one is pinned now."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field

from registry_client.versions import ModelVersion
from serving.api.openapi import READ_ERRORS
from serving.api.parameters import Family
from serving.api.schemas import Document
from serving.control.policies.showing import PolicyView
from serving.control.rollouts.looking import RolloutViews
from serving.core.underway import Underway

For = Annotated[
    str,
    Query(max_length=64, description="The candidate; by default the one tagged so, or else a MINOR step.", examples=["1.2.0"]),
]


class NextPolicyOut(Document):
    """The policy of the next rollout."""

    version: str = Field(description="Of this candidate.", examples=["1.2.0"])
    step: str = Field(description="That it is from production: patch, minor or major.", examples=["minor"])
    source: str = Field(description="`track`, or `family`: the family's own file.", examples=["track"])
    name: str = Field(description="Of the track, or of the family whose own it is.", examples=["standard"])
    digest: str = Field(examples=["9b2e" * 16])
    document: dict[str, object] = Field(description="The canonical document.", examples=[{"policy": 1, "lease": "15s"}])


class PinnedPolicyOut(Document):
    """The policy that a rollout is held to."""

    rollout: str = Field(examples=["digits-1.1.0-12"])
    digest: str = Field(examples=["9b2e" * 16])
    document: dict[str, object] = Field(description="The canonical document.", examples=[{"policy": 1, "lease": "15s"}])


class PoliciesOut(Document):
    """The policies of a family."""

    family: str = Field(examples=["digits"])
    next: NextPolicyOut
    pinned: PinnedPolicyOut | None = Field(description="Of the rollout that is afoot, or live and still watched; null without one.")


class PolicyRoutes:
    """One route."""

    def __init__(self, views: RolloutViews) -> None:
        self._views = views

    def router(self) -> APIRouter:
        """The route, to be mounted under /v1."""
        router = APIRouter(prefix="/families/{family}", tags=["rollouts"])
        summary = "Which policy its rollouts are under"
        router.add_api_route("/policy", self.policy, operation_id="getPolicy", summary=summary, responses=READ_ERRORS)
        return router

    async def policy(self, family: Family, version: For = "") -> PoliciesOut:
        """The one that the next rollout would be pinned to, with where it comes from, and the one that is pinned now."""
        return _document(await self._views.policy(family, ModelVersion.parse(version) if version else None))


def _document(view: PolicyView) -> PoliciesOut:
    chosen = view.chosen
    following = NextPolicyOut(
        version=str(view.version),
        step=chosen.step.name.lower(),
        source="track" if chosen.track else "family",
        name=chosen.track or view.family,
        digest=chosen.pinned.digest,
        document=_plain(chosen.pinned.document),
    )
    return PoliciesOut(family=view.family, next=following, pinned=None if view.pinned is None else _pinned(view.pinned))


def _pinned(underway: Underway) -> PinnedPolicyOut:
    document = _plain(underway.policy.encode())
    return PinnedPolicyOut(rollout=underway.id, digest=underway.rollout.policy_digest, document=document)


def _plain(document: bytes) -> dict[str, object]:
    return msgspec.json.decode(document, type=dict[str, object])
