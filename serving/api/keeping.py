"""The route that tells a sweep what it must leave: every version that answers, may be gone back to, or carries a tag."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from serving.api.openapi import WATCH_ERRORS
from serving.api.schemas import Document
from serving.control.keeping import Keeping
from serving.ports import Clock

Days = Annotated[int, Query(ge=0, le=3650, description="For how long a production that was left stays a way back.", examples=[30])]


class NeedOut(Document):
    """A version that must not be swept away."""

    family: str = Field(examples=["digits"])
    version: str = Field(examples=["1.0.0"])
    digest: str = Field(examples=["0" * 64])
    reasons: list[str] = Field(examples=[["a way back", "in production until 2030-01-02T03:04:05+00:00"]])


class KeepOut(Document):
    """Every version that must not be swept away, of all families."""

    since: datetime = Field(description="From when on a production that was left stays a way back.")
    versions: list[NeedOut]


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
