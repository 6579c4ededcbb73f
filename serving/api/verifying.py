"""The route that proves a flip, and the document it answers with."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from serving.api.openapi import READ_ERRORS
from serving.api.parameters import Family
from serving.api.schemas import LONGEST_WAIT, Document
from serving.control.proof import Proof
from serving.control.verification import Verification

Epoch = Annotated[
    int | None, Query(ge=0, lt=2**63, description="The change to prove, as it answered; the newest when left out.", examples=[41])
]
Timeout = Annotated[
    float, Query(ge=0, le=LONGEST_WAIT, allow_inf_nan=False, description="Seconds for the gateways to follow.", examples=[5])
]


class GatewayProofOut(Document):
    """How one gateway stands to the change."""

    gateway: str = Field(examples=["node-1-4711"])
    node: str = Field(examples=["node-1"])
    epoch: int = Field(description="What it serves.", examples=[41])
    since: datetime | None = Field(description="When it began to serve that epoch.")
    seen_at: datetime
    lapsed: bool = Field(description="It is not heard of any more: it no longer counts, and may serve what it knew.", examples=[False])
    serves: bool = Field(description="It serves this change, or a later one.", examples=[True])
    in_flight: int = Field(description="Requests that it still has with versions that have left.", examples=[0])
    strays: int = Field(description="Answers that versions which have left gave since.", examples=[0])
    last_stray: datetime | None = Field(examples=[None])


class ProbeOut(Document):
    """A golden example that was asked of the public listener."""

    name: str = Field(examples=["a-seven"])
    version: str = Field(description="Who answered.", examples=["1.0.0"])
    epoch: int | None = Field(description="The epoch of the routes it was answered by.", examples=[41])
    seconds: float = Field(examples=[0.003])
    fault: str = Field(description="What is wrong with the answer.", examples=[""])


class MomentsOut(Document):
    """When what happened; null for what has not."""

    asked: datetime
    acked: datetime | None = Field(description="When the last of the live gateways began to serve it.")
    last_stray: datetime | None = Field(description="When a version that has left gave its last answer.")
    verified: datetime | None


class ProofOut(Document):
    """Whether a change is proven, and all that was seen of it."""

    family: str = Field(examples=["digits"])
    epoch: int = Field(examples=[41])
    action: str = Field(examples=["rollback"])
    production: str | None = Field(description="The version in production.", examples=["1.0.0"])
    departed: list[str] = Field(description="Versions that have left.", examples=[["1.1.0"]])
    verified: bool = Field(examples=[True])
    missing: list[str] = Field(description="Why it is not verified.", examples=[[]])
    gateways: list[GatewayProofOut]
    probes: list[ProbeOut]
    moments: MomentsOut


class VerifyRoutes:
    """Looks, and changes nothing."""

    def __init__(self, verification: Verification) -> None:
        self._verification = verification

    def router(self) -> APIRouter:
        """The route, to be mounted under /v1."""
        router = APIRouter(tags=["watching"])
        router.add_api_route(
            "/families/{family}/verify",
            self.verify,
            methods=["POST"],
            operation_id="verify",
            summary="Prove that everybody is served as the family's change decided",
            responses=READ_ERRORS,
        )
        return router

    async def verify(self, family: Family, epoch: Epoch = None, timeout: Timeout = 5.0) -> ProofOut:  # noqa: ASYNC109 - a parameter of the API
        """Waits until every live gateway serves it and has nothing of the old kind under way, then asks golden examples."""
        return proof_document(await self._verification.verify(family, epoch=epoch, timeout=timeout))


def proof_document(proof: Proof) -> ProofOut:
    """A proof as a document."""
    return ProofOut(
        family=proof.family,
        epoch=proof.epoch,
        action=proof.action,
        production=None if proof.production is None else str(proof.production),
        departed=[str(version) for version in proof.departed],
        verified=proof.is_given,
        missing=list(proof.missing),
        gateways=[GatewayProofOut.model_validate(gateway) for gateway in proof.gateways],
        probes=[ProbeOut.model_validate(probe) for probe in proof.probes],
        moments=MomentsOut.model_validate(proof.moments),
    )
