"""The route of the pairs that disagreed."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from pydantic import Field

from serving.api.openapi import READ_ERRORS
from serving.api.parameters import Family
from serving.api.schemas import Document
from serving.control.rollouts.sampling import PairSamples


class PairOut(Document):
    """One mirrored request whose two answers disagreed."""

    at: datetime
    outcome: str = Field(description="What kind of difference names it.", examples=["label"])
    request: Any = Field(description="As it came, without what the policy redacts.")
    production: Any = Field(description="What the caller got.")
    candidate: Any = Field(description="What the candidate would have answered.")


class PairsOut(Document):
    """Pairs that were kept, the newest first."""

    rollout: str = Field(examples=["digits-1.1.0-12"])
    keep_pairs: int = Field(description="How many each gateway keeps, by the policy; 0: none.", examples=[20])
    redact: list[str] = Field(description="JSON pointers to what was replaced before a pair was kept.", examples=[["/user/mail"]])
    pairs: list[PairOut]


class PairRoutes:
    """One method per route."""

    def __init__(self, samples: PairSamples) -> None:
        self._samples = samples

    def router(self) -> APIRouter:
        """The route, to be mounted under /v1."""
        router = APIRouter(prefix="/families/{family}", tags=["rollouts"], responses=READ_ERRORS)
        router.add_api_route("/rollout/pairs", self.pairs, operation_id="rolloutPairs", summary="Pairs that disagreed")
        return router

    async def pairs(self, family: Family) -> PairsOut:
        """Those that the gateways of this node drew evenly from all there were, where the policy says `keep_pairs`."""
        sampled = await self._samples.of(family)
        shown = [
            PairOut(
                at=datetime.fromtimestamp(pair.at, UTC),
                outcome=pair.outcome,
                request=pair.request,
                production=pair.production,
                candidate=pair.candidate,
            )
            for pair in sampled.pairs
        ]
        return PairsOut(rollout=sampled.rollout, keep_pairs=sampled.keep, redact=list(sampled.redact), pairs=shown)
