"""The routes of the audit: all of it in pages, and the heads that were published of it, for whoever verifies it."""

from typing import Annotated

from fastapi import APIRouter, Query

from serving.api.documents import audit_document, head_document, heads_document
from serving.api.openapi import WATCH_ERRORS
from serving.api.schemas import AuditOut, HeadsOut, SignedHeadOut
from serving.control.auditing import Auditing

After = Annotated[int, Query(ge=0, lt=2**63, description="Only what lies beyond this epoch.", examples=[0])]
Page = Annotated[int, Query(ge=1, le=1000, description="How many at the most.", examples=[500])]


class AuditRoutes:
    """One method per route."""

    def __init__(self, auditing: Auditing) -> None:
        self._auditing = auditing

    def router(self) -> APIRouter:
        """The routes, to be mounted under /v1."""
        router = APIRouter(prefix="/audit", tags=["audit"], responses=WATCH_ERRORS)
        add = router.add_api_route
        add("", self.entries, operation_id="getAudit", summary="The audit, oldest first")
        add("/head", self.head, operation_id="getAuditHead", summary="How far it has come, signed")
        add("/heads", self.heads, operation_id="listAuditHeads", summary="What was published of it before")
        return router

    async def entries(self, after: After = 0, limit: Page = 500) -> AuditOut:
        """Every change as it is chained: hash it again to verify it. Ask for what lies beyond `next` until that is null."""
        return audit_document(await self._auditing.entries(after=after, limit=limit), limit)

    async def head(self) -> SignedHeadOut:
        """Signed when it is asked for. A store that does not continue what was signed before is not vouched for: 503."""
        return head_document(await self._auditing.head())

    async def heads(self, after: After = 0, limit: Page = 500) -> HeadsOut:
        """From the file beside the store, oldest first. Ask for what lies beyond the last epoch until there is nothing."""
        return heads_document(await self._auditing.heads(after=after, limit=limit))
