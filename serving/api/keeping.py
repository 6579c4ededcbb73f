"""The route that tells a sweep what it must leave: every version that answers, may be gone back to, or carries a tag."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from serving.api.openapi import WATCH_ERRORS
from serving.api.schemas import KeepOut, NeedOut
from serving.control.keeping import Keeping
from serving.ports import Clock

Days = Annotated[int, Query(ge=0, le=3650, description="For how long a production that was left stays a way back.", examples=[30])]


class KeepRoutes:
    """One method per route."""

    def __init__(self, keeping: Keeping, clock: Clock) -> None:
        self._keeping = keeping
        self._clock = clock

    def router(self) -> APIRouter:
        """The routes, to be mounted under /v1."""
        router = APIRouter(tags=["watching"], responses=WATCH_ERRORS)
        router.add_api_route("/keep", self.keep, operation_id="getKeep", summary="What must not be swept away")
        return router

    async def keep(self, days: Days = 30) -> KeepOut:
        """Every version that is in use, may be gone back to, or carries a tag, with the reasons."""
        since = self._clock.now() - timedelta(days=days)
        families = await self._keeping.needed(since)
        return KeepOut(
            since=since,
            versions=[
                NeedOut(family=family, version=str(one.version), digest=one.digest, reasons=list(one.reasons))
                for family, versions in families.items()
                for one in versions
            ],
        )
