"""The routes that prepare a rollback: the family's runbook, and whether there is a way back now."""

from fastapi import APIRouter
from pydantic import Field

from serving.api.openapi import READ_ERRORS
from serving.api.parameters import Family
from serving.api.schemas import Document
from serving.control.entitlement import Entitlement
from serving.control.readiness import Readiness
from serving.control.runbooks import Runbooks
from serving.control.telling import Correspondence


class RunbookOut(Document):
    """The runbook of a family's rollback."""

    family: str = Field(examples=["digits"])
    policy: str = Field(description="Digest of the policy that it is made from.", examples=["9b2e" * 16])
    text: str = Field(description="Markdown.", examples=["# Runbook: rolling back digits"])


class ReadinessOut(Document):
    """Whether a rollback would work now."""

    family: str = Field(examples=["digits"])
    proven: bool = Field(description="The version is loaded: every digest verified, golden examples passed.", examples=[True])
    version: str | None = Field(description="In production now.", examples=["1.1.0"])
    to: str | None = Field(description="In production after a rollback.", examples=["1.0.0"])
    digest: str = Field(examples=["9b2e" * 16])
    estimated_seconds: float | None = Field(description="By the drills that passed, or by rule.", examples=[0.2])
    faults: list[str] = Field(examples=[[]])
    sentence: str = Field(examples=["A rollback leads to 1.0.0, in about 0.2 s"])


class RunbookRoutes:
    """Look, and change nothing."""

    def __init__(self, runbooks: Runbooks, entitlement: Entitlement, correspondence: Correspondence) -> None:
        self._runbooks = runbooks
        self._entitlement = entitlement
        self._correspondence = correspondence

    def router(self) -> APIRouter:
        """The routes, to be mounted under /v1."""
        router = APIRouter(prefix="/families/{family}", tags=["watching"])
        add = router.add_api_route
        add("/runbook", self.runbook, operation_id="getRunbook", summary="How to roll it back, and who may", responses=READ_ERRORS)
        add("/readiness", self.readiness, operation_id="getReadiness", summary="Whether a rollback would work now", responses=READ_ERRORS)
        return router

    async def runbook(self, family: Family) -> RunbookOut:
        """Made of the policy in force and of how things stand, at this moment."""
        text, digest = await self._runbooks.runbook(family, self._entitlement.operators, self._correspondence.webhooks)
        return RunbookOut(family=family, policy=digest, text=text)

    async def readiness(self, family: Family) -> ReadinessOut:
        """Asked for before every promotion: what is in production must be a good way back."""
        return _document(await self._runbooks.readiness(family))


def _document(readiness: Readiness) -> ReadinessOut:
    return ReadinessOut(
        family=readiness.family,
        proven=readiness.is_proven,
        version=None if readiness.version is None else str(readiness.version),
        to=None if readiness.to is None else str(readiness.to),
        digest=readiness.digest,
        estimated_seconds=readiness.estimated_seconds,
        faults=list(readiness.faults),
        sentence=readiness.sentence,
    )
